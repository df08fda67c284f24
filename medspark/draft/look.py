"""Whether what a task reads is there: files, and a table's columns in the task's order. No Spark here."""

from collections.abc import Iterator
from pathlib import Path

from medspark.draft.sample import read_sample
from medspark.errors import InputError, did_you_mean
from medspark.task.columns import TextColumn
from medspark.task.event_task import EventTask
from medspark.task.scoring import columns_asked_for
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task

_FILES = ("csv", "parquet", "orc", "delta")


def data_problems(task: Task) -> list[str]:
    """Every file that is not there, and every column that a table lacks or has beyond the task's; one sentence each.

    Files of other machines (hdfs://, s3a://), catalogs and databases are not looked at.
    """
    return list(_of_warehouse(task) if isinstance(task, EventTask) else _of_table(task))


def _of_table(task: TableTask) -> Iterator[str]:
    path = task.source.path
    if "://" in path:
        return
    if not _exists(path):
        yield f"source.path: expected a file, a folder or a pattern, received nothing that is there: {path}"
    elif task.source.format in ("csv", "parquet") and task.source.header:
        yield from _of_columns(task, path)
    for name, lookup in task.lookups.items():
        if lookup.path is not None and "://" not in lookup.path and not _exists(lookup.path):
            yield f"lookups.{name}.path: expected a file, received nothing that is there: {lookup.path}"
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    for name, column in task.columns.items():
        fasta = column.fasta if isinstance(column, TextColumn) else None
        if fasta is not None and "://" not in fasta and not _exists(str(folder / fasta)):
            yield f"columns.{name}.fasta: expected a file, received nothing that is there: {folder / fasta}"


def _of_columns(task: TableTask, path: str) -> Iterator[str]:
    """A source to score may lack what scoring does not read, and is looked at by the same rule."""
    try:
        found = list(read_sample(path).columns)
    except InputError as error:
        yield f"source: {error}"
        return
    expected = [name for name in task.columns if name not in task.beside]
    unknown = [name for name in found if name not in expected]
    asked = columns_asked_for(task)
    for name in expected:
        if name not in found:
            read = "" if name in asked else " (training needs it, scoring does not)"
            yield f"columns.{name}: the source has no such column{read}.{did_you_mean(name, unknown)}"
    for name in unknown:
        yield f"columns: the source has a column {name!r} that the task does not.{did_you_mean(name, expected)}"
    if sorted(found) == sorted(expected) and found != expected and task.source.format == "csv":
        at = next(at for at, names in enumerate(zip(found, expected, strict=True)) if names[0] != names[1])
        yield f"columns: expected {expected[at]!r} as column {at + 1}, received {found[at]!r}: another order"


def _of_warehouse(task: EventTask) -> Iterator[str]:
    source = task.source
    if source.path is None or "://" in source.path or source.format not in _FILES:
        return
    if not Path(source.path).is_dir():
        yield f"source.path: expected a folder, received nothing that is there: {source.path}"
        return
    for name, table in task.mapping.tables.items():
        patterns = [table.files] if table.files is not None else [f"{name}.{source.format}*", name]
        if not table.optional and not any(_exists(f"{source.path}/{pattern}") for pattern in patterns):
            yield f"source: expected {' or '.join(patterns)} in {source.path}, received neither"


def _exists(path: str) -> bool:
    place = Path(path)
    if place.exists():
        return True
    parts = place.parts
    at = next((at for at, part in enumerate(parts) if set("*?[{") & set(part)), None)
    if at is None:
        return False
    return any(True for _ in Path(*parts[:at]).glob("/".join(parts[at:]))) if "{" not in path else True
