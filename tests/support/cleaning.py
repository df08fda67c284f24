"""Cleaning for the tests: a task around a few columns, and a run of it over a file.

The fixtures belong to the folders whose conftest takes them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from medspark.clean.table import Cleaned, clean
from medspark.errors import InputError
from medspark.runs.chosen import Asked
from medspark.schemas import ROW_DIGEST, SOURCE_FILE, SOURCE_LINE
from medspark.task.table_task import TableTask
from support.errors import SECRET

Clean = Callable[..., Cleaned]
Rows = Callable[[Cleaned], list[tuple[Any, ...]]]
Refusal = Callable[..., str]
Files = dict[str, str | bytes]

AB = {"a": "long", "b": "string"}
PATIENTS = {"id": "long", "age": {"type": "integer", "range": [0, 120]}, "note": "string"}
NEWLINES = {"quoted_newlines": True}
NDJSON = {"format": "ndjson"}
JSON = {"format": "json"}


def _task(path: Path | str, columns: dict[str, Any], sections: dict[str, Any], source: dict[str, Any]) -> TableTask:
    first = next(iter(columns))
    return TableTask.model_validate(
        {
            "task": "t",
            "title": "t",
            "source": {"kind": "table", "path": str(path), "case": first, "subject": first, "format": "csv", **source},
            "columns": {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in columns.items()},
            "outcome": {"name": "o", "when": "true"},
            "features": {},
            **sections,
        }
    )


@pytest.fixture(scope="session")
def task_of() -> Callable[..., TableTask]:
    """task_of(path, {"id": "long"}, encoding="utf-8"): the first column names the case; settings are the source's."""

    def build(
        path: Path | str, columns: dict[str, Any], sections: dict[str, Any] | None = None, **source: Any
    ) -> TableTask:
        return _task(path, columns, sections or {}, source)

    return build


@pytest.fixture
def clean_path(spark: SparkSession) -> Callable[..., Cleaned]:
    """clean_path(path, columns, ...): cleans by the task that `task_of` makes."""

    def run(
        path: Path | str,
        columns: dict[str, Any],
        *,
        sections: dict[str, Any] | None = None,
        scoring: bool = False,
        repairs: DataFrame | None = None,
        reader: Asked = "auto",
        **source: Any,
    ) -> Cleaned:
        task = _task(path, columns, sections or {}, source)
        return clean(spark, task, scoring=scoring, repairs=repairs, reader=reader)

    return run


@pytest.fixture
def clean_text(clean_path: Callable[..., Cleaned], tmp_path: Path) -> Callable[..., Cleaned]:
    """As `clean_path`, for a text or bytes written to a file."""

    def run(content: str | bytes, columns: dict[str, Any], **settings: Any) -> Cleaned:
        path = tmp_path / f"in.{settings.get('format', 'csv')}"
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return clean_path(path, columns, **settings)

    return run


@pytest.fixture
def records_of() -> Callable[[Cleaned], list[tuple[Any, ...]]]:
    """The records' values in order, without their place; releases what cleaning kept."""

    def rows(cleaned: Cleaned) -> list[tuple[Any, ...]]:
        found = cleaned.records.orderBy(SOURCE_FILE, SOURCE_LINE).drop(SOURCE_FILE, SOURCE_LINE, ROW_DIGEST).collect()
        return [tuple(row) for row in found]

    return rows


@pytest.fixture
def set_aside() -> Callable[[Cleaned], list[tuple[int | None, str]]]:
    """Line and rule of each quarantined row."""

    def rows(cleaned: Cleaned) -> list[tuple[int | None, str]]:
        return [tuple(row) for row in cleaned.quarantine.orderBy("file", "line").select("line", "rule").collect()]

    return rows


@pytest.fixture
def refusal(clean_path: Clean, tmp_path: Path) -> Refusal:
    """refusal(files, **source): what is said of files with the columns AB that are refused, without a value of them."""

    def run(files: Files, **source: Any) -> str:
        with pytest.raises(InputError) as error:
            clean_path(write_files(tmp_path, files), AB, **source)
        says = str(error.value)
        assert SECRET not in says
        assert "4711" not in says
        return says

    return run


def write_files(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def write_parquet(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path)
