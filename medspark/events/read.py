"""A warehouse to events: every mapped table read and judged, with what became of its rows.

Each table is read twice, to count it and to write it, and a third time where rows were set aside: nothing is kept
in memory, so the warehouse may be larger than the cluster's.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import reduce
from typing import NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import COPY, KEPT, QUARANTINED, SET_ASIDE, STATUS, judge_rows, mark_duplicates
from medspark.clean.quarantine import quarantine_rows
from medspark.errors import InputError
from medspark.events.build import EVENT_REASONS, EVENTS, NON_EVENT, add_events
from medspark.events.count import FoundRows, JudgedTable, count_rows, require_sound, with_rows
from medspark.schemas import EVENT_COLUMNS, SUBJECT_ID
from medspark.sources.databases.open import open_source
from medspark.sources.databases.source import OpenSource
from medspark.sources.failures import expressions_hold, readable
from medspark.sources.files import require_whole_files, source_files
from medspark.sources.read import read_rows, typed_rows
from medspark.store.facts import MappedCounts
from medspark.store.files import list_files
from medspark.task.event_source import EventSource
from medspark.task.mapping import MappedTable, Mapping
from medspark.task.raw_table import RawTable, TableSource

DATABASES = ("jdbc", "delta", "catalog")


class Events(NamedTuple):
    """A warehouse's events and what was set aside, with the counts of each table."""

    records: DataFrame
    quarantine: DataFrame
    counts: dict[str, MappedCounts]
    fingerprint: str
    files: int


@contextmanager
def read_events(
    spark: SparkSession, source: EventSource, mapping: Mapping, repairs: DataFrame | None = None
) -> Iterator[Events]:
    """The events of a source, to be written within the context: a database's snapshot lasts as long.

    Raises:
        InputError: a table cannot be read, lacks a column, or breaks a rule that fails the run.
        AccountingError: a table's rows do not add up.
    """
    require_whole_files(spark)
    with opened(spark, source) as database:
        place = database.place if database is not None else str(source.path)
        tables = [
            table
            for name, spec in mapping.tables.items()
            if (table := _read_table(spark, source, mapping, name, spec, database, repairs)) is not None
        ]
        if not tables:
            raise InputError(f"{place}: expected at least one table of {mapping.mapping}, received none")
        try:
            with readable(place):
                counts = count_rows(tables)
            require_sound(counts, tables, repairs)
            events = Events(
                records=_records(tables),
                quarantine=_quarantine(tables, counts),
                counts={name: found.counts for name, found in counts.items()},
                fingerprint=_fingerprint(tables),
                files=sum(len(table.survey.files) for table in tables),
            )
            with expressions_hold():  # the values of events are worked out when they are written, not to count them
                yield events
        finally:  # else the session's next read of a table would get these rows again
            for table in tables:
                if table.cached is not None:
                    table.cached.unpersist()


def opened(spark: SparkSession, source: EventSource) -> AbstractContextManager[OpenSource | None]:
    """The connection to a source in a database, or nothing where it lies in files."""
    return open_source(spark, source) if source.format in DATABASES else nullcontext()


def _read_table(
    spark: SparkSession,
    source: EventSource,
    mapping: Mapping,
    name: str,
    spec: MappedTable,
    database: OpenSource | None,
    repairs: DataFrame | None,
) -> JudgedTable | None:
    """One table, judged and with its events; None for an optional one that the source lacks."""
    raw = raw_table(source, mapping, name, spec)
    cached = None
    if database is not None:
        if spec.optional and not database.has_table(name):
            return None
        # Read once: what is counted is what is written, even of a table that changes
        frame = database.read(name, spec.subject, list(raw.columns), spec.absent)
        cached = frame.persist(StorageLevel.MEMORY_AND_DISK)
        rows = typed_rows(cached, F.lit(name), raw, repairs)
        judged = judge_rows(rows, raw)
    else:
        files = table_files(spark, source, name, spec)
        if not files and spec.optional:
            return None
        with readable(raw.source.path):
            rows = read_rows(spark, raw, files, repairs)
            judged = judge_rows(rows, raw)
    judged = mark_duplicates(add_events(judged, spec, mapping), raw)  # rows set aside are copies of none
    fate = (
        F.when(F.col(STATUS) == COPY, COPY)
        .when(F.col(SET_ASIDE) != "", QUARANTINED)
        .when(F.col(NON_EVENT).isNotNull(), NON_EVENT)
        .otherwise(KEPT)
    )
    return JudgedTable(name, raw, judged.withColumn(STATUS, fate), rows.survey, cached)


def raw_table(source: EventSource, mapping: Mapping, name: str, spec: MappedTable) -> RawTable:
    """The table as cleaning reads it."""
    return RawTable(
        name=name,
        source=TableSource(
            kind="table",
            path=f"{source.path}/{spec.files or name}",
            format="csv" if source.format == "csv" else "orc" if source.format == "orc" else "parquet",
            case=spec.subject,
            subject=spec.subject,
            timezone=mapping.timezone,
            missing=mapping.missing,
            encoding=mapping.encoding,
            delimiter=mapping.delimiter,
            point_zero=mapping.point_zero,
            quoted_newlines=mapping.quoted_newlines,
            duplicates=spec.duplicates,
        ),
        columns=spec.columns,
        derived=spec.derived,
        lookups=spec.lookups,
        checks=spec.checks,
        is_open=True,
        optional=frozenset(spec.absent),
    )


def table_files(spark: SparkSession, source: EventSource, name: str, spec: MappedTable) -> list[str]:
    """The files of a table: those its pattern names, else NAME.EXT, compressed or not, or a folder NAME.

    Raises:
        InputError: there are none, of a table that is not optional, or two of those ways have some.
    """
    ends = [f".{source.format}"] if source.format != "csv" else [".csv", ".csv.gz", ".csv.bz2", ".csv.zst"]
    ways = [spec.files] if spec.files else [name, *(f"{name}{end}" for end in ends)]
    found = [f"{source.path}/{way}" for way in ways if list_files(spark.sparkContext, f"{source.path}/{way}")]
    if len(found) > 1:
        raise InputError(f"table {name!r}: expected it once, received {' and '.join(found)}")
    if not found and not spec.optional:
        raise InputError(f"table {name!r}: expected files at {source.path}/{' or '.join(ways)}, received none")
    return source_files(spark, found[0]) if found else []


def _fingerprint(tables: list[JudgedTable]) -> str:
    total = sum(int(table.survey.fingerprint, 16) * (at + 1) for at, table in enumerate(tables))
    return f"{total % 2**64:016x}"


def _records(tables: list[JudgedTable]) -> DataFrame:
    """The events of all tables, one row each."""
    _require_one_subject_type(tables)
    parts = [
        table.judged.select(SUBJECT_ID, F.explode(F.when(F.col(STATUS) == KEPT, F.col(EVENTS))).alias("_event"))
        for table in with_rows(tables)
    ]
    columns = [F.col(f"_event.{name}") for name in EVENT_COLUMNS if name != SUBJECT_ID]
    return reduce(DataFrame.unionByName, parts).where("_event is not null").select(SUBJECT_ID, *columns)


def _require_one_subject_type(tables: list[JudgedTable]) -> None:
    types = {table.name: dict(table.judged.dtypes)[SUBJECT_ID] for table in tables}
    if len(set(types.values())) > 1:
        raise InputError(f"expected subjects of one type in all tables, received {types}")


def _quarantine(tables: list[JudgedTable], counts: dict[str, FoundRows]) -> DataFrame:
    """The rows of all tables that were set aside; tables without any are not read again."""
    dirty = [t for t in tables if counts[t.name].counts.quarantined or counts[t.name].counts.duplicates]
    parts = [
        quarantine_rows(table.judged.where(F.col(STATUS).isin(QUARANTINED, COPY)), table.raw, EVENT_REASONS)
        for table in dirty
    ]
    nothing = quarantine_rows(tables[0].judged.where(F.lit(False)), tables[0].raw, EVENT_REASONS)
    return reduce(DataFrame.unionByName, parts, nothing)
