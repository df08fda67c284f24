"""The rows of a raw table, read from text or with types of their own, repaired ones in place of theirs; not judged."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.schemas import RECORD_RULE, REPAIRED, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, TEXT, quoted
from medspark.sources.databases.open import open_source
from medspark.sources.databases.source import match_name
from medspark.sources.encodings import is_wide, require_declared_encoding
from medspark.sources.headers import check_header, check_json_keys, compare_columns, other_columns
from medspark.sources.invisible_letters import COMPOSING
from medspark.sources.parse import parse_csv, parse_json, parse_view
from medspark.sources.repairs import put_repairs
from medspark.sources.survey import Survey, survey_lines, survey_typed
from medspark.sources.text_files import number_lines, read_lines, read_whole_files
from medspark.sources.typed_files import read_typed, write_value
from medspark.sources.worker.dialects import PLAIN, PLAIN_DELIMITER, plain_batches
from medspark.spark.arrow import map_batches
from medspark.spark.columns import Value, listed, select
from medspark.spark.wide import FrameStep, as_they_lie
from medspark.task.connection import IN_DATABASES
from medspark.task.dialect import Dialect
from medspark.task.raw_table import TYPED, RawTable


class RawPart(NamedTuple):
    """Rows that are read alike: a place, a text, a digest and the record rule they break, and the columns `names`."""

    rows: DataFrame
    names: list[str]
    first: str = ""
    """The first file whose columns have the types of these, for messages."""
    letters: int = COMPOSING
    """What their text needs at most to be normalised, of `medspark.sources.invisible_letters`."""


class RawRows(NamedTuple):
    """A table's rows before any is judged; of typed rows the repaired ones are text, a part of their own."""

    survey: Survey
    parts: list[RawPart]
    present: list[str]
    """The table's columns that the source has."""
    unread: list[str]
    """The source's columns that the table does not declare."""


def read_rows(
    spark: SparkSession, table: RawTable, files: list[str], repairs: DataFrame | None, spread: FrameStep = as_they_lie
) -> RawRows:
    """The rows of a table in files.

    Args:
        spread: how rows are dealt out before they are parsed and judged.

    Raises:
        InputError: a file cannot be read, or has other columns than the table.
    """
    if table.source.format in TYPED:
        found = read_typed(spark, files, table)
        raw = typed_rows(list(map(spread, found.frames)), table, repairs, found.firsts)
        return raw._replace(unread=found.unread)
    return _text_rows(spark, table, files, repairs, spread)


@contextmanager
def open_rows(
    spark: SparkSession, table: RawTable, files: list[str], repairs: DataFrame | None, spread: FrameStep
) -> Iterator[RawRows]:
    """The rows of a table in files, or in a database: its snapshot lasts as long as the block, and so does what was
    read of it, once, so that what is counted is what is judged even of a table that changes. Of an executor that is
    lost Spark reads its share again: of PostgreSQL and Delta from the snapshot, of others as the table then is.

    Raises:
        TaskError: a connection's settings or credentials are wrong.
        InputError: the source cannot be read, or has other columns than the table.
    """
    if table.source.format not in IN_DATABASES:
        yield read_rows(spark, table, files, repairs, spread)
        return
    with open_source(spark, table.source) as database:
        name = table.source.name
        known = database.columns(name)
        called = {match_name(asked, known): asked for asked in table.names}
        names = [called.get(own, own) for own in known]
        if problems := compare_columns(names, table, name, ordered=False):
            raise other_columns([f"{table.source.place}: {problem}" for problem in problems])
        there = [asked for asked in table.columns if asked in names]
        frame = database.read(name, table.source.subject, there).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            raw = typed_rows([frame.withColumn(SOURCE_FILE, F.lit(name))], table, repairs)
            yield raw._replace(unread=[asked for asked in names if asked not in table.columns])
        finally:
            frame.unpersist()


def typed_rows(
    frames: list[DataFrame], table: RawTable, repairs: DataFrame | None, firsts: list[str] | None = None
) -> RawRows:
    """The rows of frames that have types of their own; SOURCE_FILE says where each row is from.

    A column without a type, as a view's null is, is text without a value.

    Raises:
        InputError: digits of a time would be lost.
    """
    frames = list(map(_without_void, frames))
    survey = survey_typed(frames, table)
    named = zip(frames, firsts or [""] * len(frames), strict=True)
    parts = [part for frame, first in named for part in _typed_parts(frame, first, table, repairs, survey.letters)]
    there = set(frames[0].columns)
    present = [name for name in table.columns if name in there]
    return RawRows(survey, parts, present, [])


def _without_void(frame: DataFrame) -> DataFrame:
    void = [name for name, dtype in frame.dtypes if dtype == "void"]
    return frame.withColumns({name: F.col(quoted(name)).cast("string") for name in void}) if void else frame


def _typed_parts(
    frame: DataFrame, first: str, table: RawTable, repairs: DataFrame | None, letters: int
) -> list[RawPart]:
    there = set(frame.columns)
    names = [name for name in table.columns if name in there]
    dtypes = dict(frame.dtypes)
    as_text = ", ".join(f"{write_value(name, dtypes[name], table)} AS {quoted(name)}" for name in names)
    values: dict[str, Value] = {
        SOURCE_LINE: "cast(null AS bigint)",
        TEXT: f"to_json(struct({as_text}), map('ignoreNullFields', 'false'))",
        RECORD_RULE: "cast(null AS string)",
        ROW_DIGEST: f"xxhash64({listed(names)})",
    }
    rows = put_repairs(select(frame, [SOURCE_FILE, *map(quoted, names)], values), repairs)
    parts = [_declared(rows.where(~F.col(REPAIRED)), names, table)._replace(first=first, letters=letters)]
    if repairs is not None:
        repaired = parse_json(rows.where(REPAIRED), names, _decimals(names, table))
        parts.append(_declared(repaired, names, table))
    return parts


def _text_rows(
    spark: SparkSession, table: RawTable, files: list[str], repairs: DataFrame | None, spread: FrameStep
) -> RawRows:
    source = table.source
    header = source.format == "csv" and source.header
    lines = (
        read_whole_files(spark, files, source)
        if source.format == "json" or source.quoted_newlines or source.dialect or is_wide(source.encoding)
        else read_lines(spark, files, source.encoding)
    )
    survey = survey_lines(lines, header, table)
    require_declared_encoding(survey, source.encoding)
    names = check_header(survey, files, table) if header else list(table.names)
    records = spread(number_lines(spark, lines, survey, header)).withColumn(ROW_DIGEST, F.xxhash64(TEXT))
    repaired = put_repairs(records, repairs)
    if table.view is not None:
        names = list(table.columns)
        parsed = parse_view(repaired, table.view)
    elif source.dialect is not None:
        parsed = _parsed_dialect(repaired, names, source.dialect, source.delimiter)
    elif source.format == "csv":
        parsed = parse_csv(repaired, names, source.delimiter)
    else:
        passed = set(table.names) - set(table.columns)
        names = check_json_keys(records, list(table.names), passed | table.optional)
        parsed = parse_json(repaired, names, _decimals(names, table))
    present = [name for name in names if name in table.columns]
    unread = [name for name in names if name not in table.columns]
    # Nobody looked at what repaired rows have, nor at the fields of a dialect
    letters = survey.letters if repairs is None and source.dialect is None else COMPOSING
    return RawRows(survey, [_declared(parsed, names, table)._replace(letters=letters)], present, unread)


def _parsed_dialect(records: DataFrame, names: list[str], dialect: Dialect, delimiter: str) -> DataFrame:
    """The columns of records that are no plain CSV, each written as such first."""
    types = ", ".join(f"{quoted(field.name)} {field.dataType.simpleString()}" for field in records.schema)
    plain = map_batches(records, partial(plain_batches, dialect, delimiter), f"{types}, {PLAIN} string")
    return parse_csv(plain, names, PLAIN_DELIMITER, PLAIN)


def _declared(rows: DataFrame, names: list[str], table: RawTable) -> RawPart:
    """The rows with the declared columns alone; of an open table, with those that the source lacks, empty."""
    present = [name for name in names if name in table.columns]
    absent = [name for name in table.columns if name not in names] if table.is_open else []
    return RawPart(rows.withColumns({name: F.lit(None).cast("string") for name in absent}), [*present, *absent])


def _decimals(names: list[str], table: RawTable) -> set[str]:
    return {name for name in names if name in table.columns and table.columns[name].type == "decimal"}
