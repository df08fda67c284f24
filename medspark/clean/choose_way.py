"""Who reads and judges a raw table: workers by themselves, where they can tell all that it asks, or Spark."""

from typing import Final

from pyspark import SparkContext
from pyspark.sql import DataFrame

from medspark.clean.worker.columns import plain_pattern
from medspark.clean.worker.times import shapes_of
from medspark.errors import TaskError
from medspark.runs.chosen import Asked, Chosen
from medspark.schemas import SOURCE_FILE
from medspark.sources.checksums import agrees, checksums_of
from medspark.sources.encodings import is_wide
from medspark.sources.size import SMALL
from medspark.sources.worker.spans import size_of
from medspark.task.columns import Column, DateColumn, ImageColumn, IntervalColumn, NumberColumn, TextColumn
from medspark.task.raw_table import RawTable

_DELIMITERS: Final = "\t,;:|!#$%&*+/<=>?@^_~"
_COMPRESSED: Final = (".gz", ".bz2", ".zst", ".lz4", ".snappy", ".deflate", ".xz")

MANY: Final = 500
SMALL_FILE: Final = 2**16
"""Bytes. What is done for each span takes a worker some 20 ms, whatever its rows; Spark takes half of that a file."""


def choose_reader(
    context: SparkContext, table: RawTable, files: list[str], repairs: DataFrame | None, asked: Asked
) -> Chosen:
    """Whether workers read a table's files by themselves or Spark does.

    Raises:
        TaskError: workers are asked for, and cannot.
    """
    if asked == "spark":
        return Chosen("spark", "it was asked for")
    problem = "rows are repaired" if repairs is not None else _of_files(context, table, files) or _of_rules(table)
    if problem is None and asked == "auto" and _many_and_small(files):
        return Chosen("spark", "the files are many and small: it reads them together, and workers each for itself")
    if problem is None:
        return Chosen("workers", "it was asked for" if asked == "workers" else "they can tell all that the table asks")
    return instead(problem, asked)


def instead(problem: str, asked: Asked) -> Chosen:
    """That Spark reads what workers cannot.

    Raises:
        TaskError: workers are asked for.
    """
    if asked == "workers":
        raise TaskError("--reader", [f"workers cannot do it here: {problem}. Use spark."])
    return Chosen("spark", f"workers cannot: {problem}")


def _many_and_small(files: list[str]) -> bool:
    return len(files) > MANY and sum(map(size_of, files)) < SMALL_FILE * len(files)


def _of_files(context: SparkContext, table: RawTable, files: list[str]) -> str | None:
    source, master = table.source, str(context.master)
    if source.format != "csv":
        return f"they read csv, and the source is {source.format}"
    if source.quoted_newlines or is_wide(source.encoding):
        return "a record's end can be found only from its file's beginning"
    if source.dialect is not None:
        return "the files are no plain CSV"
    if source.delimiter not in _DELIMITERS:
        return "the delimiter"
    if any(file.endswith(_COMPRESSED) for file in files):
        return "files are compressed"
    if not all(file.startswith("file:") for file in files):
        return "files are not on this machine"
    if (sums := _of_checksums(files)) is not None:
        return sums
    return None if master == "local" or master.startswith("local[") else "they are on other machines"


def _of_checksums(files: list[str]) -> str | None:
    """Hadoop's checksums of few bytes are compared here; those of many, and those that are not of the files' bytes, are
    left to its own reader, which says so."""
    summed = [file for file in files if checksums_of(file).exists()]
    if not summed:
        return None
    if not sum(size_of(file) for file in summed) <= SMALL:
        return "Hadoop's checksums lie beside the files, which its own reader compares"
    return None if all(map(agrees, summed)) else "Hadoop's checksums beside the files are not of their bytes"


def _of_rules(table: RawTable) -> str | None:
    """The first thing that a table asks which workers cannot tell."""
    if table.beside or table.is_open:
        return f"column {next(iter(table.beside), '')!r} is not the source's"
    found = (f"column {name!r}: {why}" for name, column in table.columns.items() if (why := _of_column(column, table)))
    problem = next(found, None)
    return problem if problem is not None else _of_keys(table)


def _of_column(column: Column, table: RawTable) -> str | None:
    match column:
        case ImageColumn():
            return "images"
        case DateColumn() if not shapes_of(column):
            return f"the pattern {column.format}"
        case TextColumn(matches=str(pattern)) if plain_pattern(pattern) is None:
            return f"the regular expression {pattern}"
        case NumberColumn(units=units) if units is not None and column.type != "double":
            return f"units of {column.type}"
        case NumberColumn(units=units) if units is not None and units.column not in table.columns:
            return "its column of units"
    return None


def _of_keys(table: RawTable) -> str | None:
    duplicates = table.source.duplicates
    same = duplicates.same if duplicates is not None and duplicates.same != "whole_row" else ()
    for name in (table.source.case, *same):
        column = table.columns.get(name)
        if column is None or isinstance(column, IntervalColumn) or _has_point(column):
            return f"column {name!r} as a key"
    by = duplicates.by if duplicates is not None else None
    if by is not None and by not in table.columns:
        return f"column {by!r} as an order"
    reads_file = any(SOURCE_FILE in check.expect for check in table.checks)
    return "a check reads the file's name" if reads_file else None


def _has_point(column: Column) -> bool:
    return isinstance(column, NumberColumn) and column.type in ("double", "decimal")
