"""Whether what a task reads is there: files, and a table's columns in the task's order. Spark is not started."""

import bz2
import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.draft.sample import files_at
from medspark.sources.fasta import fasta_places
from medspark.sources.headers import compare_columns
from medspark.sources.worker.dialects import PLAIN_DELIMITER, split_dialect
from medspark.store.files import is_elsewhere
from medspark.task.event_task import EventTask
from medspark.task.raw_table import TableSource
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task

_IN_FILES: Final = ("csv", "parquet", "orc", "fhir", "delta")
_HEADER_LETTERS: Final = 2**20
"""Of a file of another dialect, among which its header is."""
_UNPACK: Final[dict[str, Any]] = {".gz": gzip.open, ".bz2": bz2.open}


def data_problems(task: Task) -> list[str]:
    """Every file that is not there, and every column that a table lacks or has beyond the task's; one sentence each.

    Files of other machines (hdfs://, s3a://), catalogs, databases and patterns with braces are not looked at.
    """
    return [*_beside(task), *(_of_warehouse(task) if isinstance(task, EventTask) else _of_table(task))]


def _beside(task: Task) -> Iterator[str]:
    """Files that say who is learned from."""
    if task.split.subjects is not None and not _is_there(task.split.subjects.path, "*"):
        yield f"split.subjects: expected a file, received nothing that is there: {task.split.subjects.path}"
    labels = task.population.labels if isinstance(task, EventTask) else None
    if labels is not None and not _is_there(labels.path, "*.parquet"):
        yield f"population.labels: expected Parquet files, received none: {labels.path}"


def _is_there(path: str, pattern: str) -> bool:
    """Whether there is a file of such a name at or below a path; of what cannot be looked at, True."""
    here = Path(_here(path))
    return is_elsewhere(path) or (here.is_file() and here.match(pattern)) or any(here.rglob(pattern))


def _of_table(task: TableTask) -> Iterator[str]:
    source = task.source
    named = {f"lookups.{name}.path": lookup.path for name, lookup in task.lookups.items() if lookup.path is not None}
    named |= {f"columns.{name}.fasta": place for name, place in fasta_places(task).items()}
    if source.path is not None and source.format != "catalog":
        named = {"source.path": source.path, **named}
    for where, path in named.items():
        if _is_missing(path):
            yield f"{where}: expected a file, a folder or a pattern, received nothing that is there: {path}"
    if source.path is not None and source.format in ("csv", "parquet") and source.header:
        yield from _of_columns(task, source.path)


def _of_columns(task: TableTask, path: str) -> Iterator[str]:
    """Of files whose columns are alike, what differs is told once."""
    if is_elsewhere(path):
        return
    table, first = task.raw_table(), dict[tuple[str, ...], Path]()
    for file in files_at(_here(path)):
        first.setdefault(tuple(_names(file, task.source)), file)
    for names, file in first.items():
        if not set(names) & set(table.columns):  # then it may be a row of data, which no message may hold
            yield f"source: {file}: expected the task's columns in its header, received none of them"
            continue
        ordered = task.source.format == "csv"
        yield from (f"source: {file}: {text}" for text in compare_columns(list(names), table, str(file), ordered))


def _names(file: Path, source: TableSource) -> list[str]:
    """The columns of a file; none where it cannot be read."""
    try:
        if source.format == "parquet":
            return list(pq.read_schema(file).names)
        encoding = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
        text: Any = {"mode": "rt", "encoding": encoding, "errors": "replace", "newline": ""}
        with _UNPACK.get(file.suffix, open)(file, **text) as stream:
            if source.dialect is None:
                return next(csv.reader([cast("str", stream.readline())], delimiter=source.delimiter), [])
            start = cast("str", stream.read(_HEADER_LETTERS))
        _, names, _ = next(split_dialect(start, source.dialect, source.delimiter, True, source.quoted_newlines))
        return next(csv.reader([names], delimiter=PLAIN_DELIMITER), [])
    except (OSError, EOFError, csv.Error, pa.ArrowException):
        return []


def _of_warehouse(task: EventTask) -> Iterator[str]:
    source = task.source
    if source.path is None or source.format not in _IN_FILES or is_elsewhere(source.path):
        return
    if not Path(_here(source.path)).is_dir():
        yield f"source.path: expected a folder, received nothing that is there: {source.path}"
        return
    for name, table in task.mapping.tables.items():
        patterns = [table.files] if table.files is not None else [f"{name}.{source.format}*", name]
        if not table.optional and all(_is_missing(f"{source.path}/{pattern}") for pattern in patterns):
            yield f"source: expected {' or '.join(patterns)} in {source.path}, received nothing that is there"


def _is_missing(path: str) -> bool:
    """Whether nothing is there; of what cannot be looked at, False."""
    return not is_elsewhere(path) and "{" not in path and not files_at(_here(path))


def _here(path: str) -> str:
    return path.removeprefix("file://").removeprefix("file:")
