"""A database of no kind that medspark knows, read by what its driver lists: Derby, which Spark brings."""

from typing import Any

import pytest
from support.databases import Away, database_at, session
from support.errors import told

from medspark.errors import InputError
from medspark.sources.databases.open import open_source


def derby() -> dict[str, Any]:
    url = "jdbc:derby:memory:hospital"
    people = session().createDataFrame([(n, "x") for n in range(40)], "person_id int, mrn string")
    people.write.jdbc(f"{url};create=true", '"person_a"')
    people.limit(1).write.jdbc(url, '"personXa"')
    with open_source(session(), database_at(url)) as tables:
        frame = tables.read("PERSON_A", "person_id", ["person_id"])
        return {
            "consistent": tables.consistent,
            "tables": tables.tables,
            "columns": tables.columns("person_a"),
            "read": (frame.rdd.getNumPartitions(), frame.count()),
            "missing": told(InputError, lambda: tables.read("persona")),
        }


@pytest.mark.integration
def test_another_database_is_read_without_a_snapshot_and_says_so(away: Away) -> None:
    found = away(derby)
    assert found["missing"].startswith("jdbc:derby:memory:hospital: expected a table 'persona', received 2 tables")
    assert {key: found[key] for key in ("consistent", "tables", "columns", "read")} == {
        "consistent": False,
        "tables": ("personXa", "person_a"),
        "columns": ("person_id", "mrn"),
        "read": (4, 40),
    }
