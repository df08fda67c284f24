"""Delta tables, each as of its newest commit when the source was opened."""

from pathlib import Path
from typing import Any

import pytest
from support.databases import Away, session, tables_at
from support.errors import told

from medspark.errors import InputError
from medspark.sources.databases.open import open_source


def delta(path: str) -> dict[str, Any]:
    def write(table: str, rows: int, mode: str) -> None:
        session().range(rows).toDF("person_id").write.format("delta").mode(mode).save(f"{path}/{table}")

    write("person", 2, "overwrite")
    write("person", 3, "append")
    write("odd`name", 1, "overwrite")
    session().range(1).write.parquet(f"{path}/no_delta")
    with open_source(session(), tables_at("delta", path)) as tables:
        write("person", 10, "append")
        return {
            "versions": tables.versions,
            "rows": (tables.read("PERSON", "person_id").count(), tables.read("odd`name").count()),
            "has": [tables.has_table(name) for name in ("person", "no_delta", "../person")],
            "missing": told(InputError, lambda: tables.read("person", None, ["person"])),
        }


@pytest.mark.integration
def test_a_delta_table_is_read_as_it_was_when_the_source_was_opened(away: Away, tmp_path: Path) -> None:
    found = away(delta, str(tmp_path))
    assert found["versions"] == {"odd`name": 0, "person": 1}
    assert found["rows"] == (5, 1)
    assert found["has"] == [True, False, False]
    assert "table 'person': expected the columns person, received person_id." in found["missing"]
