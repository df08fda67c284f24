"""A warehouse to events: every mapped table read and judged, with what became of its rows.

Each table is read twice, to count it and to write it, and a third time where rows were set aside: nothing is kept
in memory, so the warehouse may be larger than the cluster's.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import reduce
from typing import Any, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import BETWEEN, COPY, EMPTIED, FAILED, KEPT, QUARANTINED, SET_ASIDE, STATUS, mark_duplicates
from medspark.clean.table import quarantine_rows, require_whole_files
from medspark.errors import AccountingError, InputError
from medspark.events.build import EVENT_COUNT, EVENT_REASONS, EVENTS, NON_EVENT, add_events
from medspark.schemas import EVENT_COLUMNS, SUBJECT_ID
from medspark.sources.databases.open import OpenSource, open_source
from medspark.sources.read import expressions_hold, judge_typed, readable, text_rows, typed_rows
from medspark.sources.text import REPAIRED, Survey, source_files, survey_typed
from medspark.store.files import list_files
from medspark.task.event_task import EventSource
from medspark.task.mapping import MappedTable, Mapping
from medspark.task.raw_table import RawTable, TableSource

DATABASES = ("jdbc", "delta", "catalog")


class TableCounts(NamedTuple):
    """What became of one table's rows: rows_in = with_events + the non-events + the quarantined + duplicates."""

    rows_in: int
    blank_lines: int
    with_events: int
    events: int
    non_events: dict[str, int]
    quarantined: dict[str, int]
    duplicates: int
    set_missing: dict[str, int]
    repaired: int


class Events(NamedTuple):
    """A warehouse's events and what was set aside, with the counts of each table."""

    records: DataFrame
    quarantine: DataFrame
    counts: dict[str, TableCounts]
    fingerprint: str
    files: int


class _Table(NamedTuple):
    name: str
    raw: RawTable
    judged: DataFrame
    survey: Survey
    cached: DataFrame | None


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
                counts = _count(tables)
            _require_sound(counts, tables, repairs)
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


# ---------------------------------------------------------------- tables


def _read_table(
    spark: SparkSession,
    source: EventSource,
    mapping: Mapping,
    name: str,
    spec: MappedTable,
    database: OpenSource | None,
    repairs: DataFrame | None,
) -> _Table | None:
    """One table, judged and with its events; None for an optional one that the source lacks."""
    raw = raw_table(source, mapping, name, spec)
    cached = None
    if database is not None:
        if spec.optional and not database.has_table(name):
            return None
        # Read once: what is counted is what is written, even of a table that changes
        frame = database.read(name, spec.subject, list(raw.columns), spec.absent)
        cached = frame.persist(StorageLevel.MEMORY_AND_DISK)
        rows, survey = judge_typed(cached, F.lit(name), raw, repairs), survey_typed(cached, F.lit(name))
    else:
        files = table_files(spark, source, name, spec)
        if not files and spec.optional:
            return None
        with readable(raw.source.path):
            rows, survey = (typed_rows if source.format in ("parquet", "orc") else text_rows)(
                spark, raw, files, repairs
            )
    judged = mark_duplicates(add_events(rows, spec, mapping), raw)  # rows set aside are copies of none
    fate = (
        F.when(F.col(STATUS) == COPY, COPY)
        .when(F.col(SET_ASIDE) != "", QUARANTINED)
        .when(F.col(NON_EVENT).isNotNull(), NON_EVENT)
        .otherwise(KEPT)
    )
    return _Table(name, raw, judged.withColumn(STATUS, fate), survey, cached)


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


# ---------------------------------------------------------------- counting


class _Found(NamedTuple):
    counts: TableCounts
    failed: dict[str, int]


def _count(tables: list[_Table]) -> dict[str, _Found]:
    """What became of every table's rows, in one job."""
    parts = [
        table.judged.select(
            F.lit(table.name).alias("table"),
            STATUS,
            F.substring_index(SET_ASIDE, BETWEEN, 1).alias(SET_ASIDE),
            EMPTIED,
            FAILED,
            REPAIRED,
            NON_EVENT,
            F.col(EVENT_COUNT).alias("events"),
        )
        for table in _with_rows(tables)
    ]
    keys = ["table", STATUS, SET_ASIDE, EMPTIED, FAILED, REPAIRED, NON_EVENT]
    rows = reduce(DataFrame.unionByName, parts).groupBy(*keys).agg(F.count("*").alias("rows"), F.sum("events"))
    by_table: dict[str, list[Any]] = {table.name: [] for table in tables}
    for row in rows.collect():
        by_table[row["table"]].append(row)
    return {table.name: _table_counts(table.survey, by_table[table.name]) for table in tables}


def _table_counts(survey: Survey, rows: list[Any]) -> _Found:
    status: Counter[str] = Counter()
    ruled: dict[str, Counter[str]] = {key: Counter() for key in (NON_EVENT, QUARANTINED, EMPTIED, FAILED)}
    for row in rows:
        status[row[STATUS]] += row["rows"]
        if row[STATUS] == NON_EVENT:
            ruled[NON_EVENT][row[NON_EVENT]] += row["rows"]
        if row[STATUS] == QUARANTINED:
            ruled[QUARANTINED][row[SET_ASIDE]] += row["rows"]
        if row[STATUS] == KEPT:
            ruled[EMPTIED].update({rule: row["rows"] for rule in row[EMPTIED].split(BETWEEN) if rule})
        ruled[FAILED].update({rule: row["rows"] for rule in row[FAILED].split(BETWEEN) if rule})
    sorted_rules = {key: dict(sorted(rules.items())) for key, rules in ruled.items()}
    counts = TableCounts(
        rows_in=survey.rows,
        blank_lines=survey.blank,
        with_events=status[KEPT],
        events=sum(row["sum(events)"] for row in rows if row[STATUS] == KEPT),
        non_events=sorted_rules[NON_EVENT],
        quarantined=sorted_rules[QUARANTINED],
        duplicates=status[COPY],
        set_missing=sorted_rules[EMPTIED],
        repaired=sum(row["rows"] for row in rows if row[REPAIRED]),
    )
    return _Found(counts, sorted_rules[FAILED])


def _require_sound(found: dict[str, _Found], tables: list[_Table], repairs: DataFrame | None) -> None:
    failed = [
        f"  - {name}, {rule}: {rows} rows" for name, table in found.items() for rule, rows in table.failed.items()
    ]
    if failed:
        raise InputError("the source breaks rules that the mapping says must hold\n" + "\n".join(failed))
    for name, (counts, _) in found.items():
        aside = sum(counts.non_events.values()) + sum(counts.quarantined.values()) + counts.duplicates
        if counts.rows_in != counts.with_events + aside:
            raise AccountingError(
                f"table {name!r}: {counts.rows_in} rows came in, but {counts.with_events} made events and {aside} "
                "were passed over or set aside. Did the source change while it was read? Run again."
            )
    asked = repairs.count() if repairs is not None else 0
    repaired = sum(counts.repaired for counts, _ in found.values())
    if asked != repaired:
        raise InputError(f"{asked} repaired rows were given, but {repaired} of them match a row of the source")


def _fingerprint(tables: list[_Table]) -> str:
    total = sum(int(table.survey.fingerprint, 16) * (at + 1) for at, table in enumerate(tables))
    return f"{total % 2**64:016x}"


# ---------------------------------------------------------------- frames


def _with_rows(tables: list[_Table]) -> list[_Table]:
    """The tables that have rows, one at least: each one in a query costs a compilation, an empty one too."""
    return [table for table in tables if table.survey.rows] or tables[:1]


def _records(tables: list[_Table]) -> DataFrame:
    """The events of all tables, one row each."""
    _require_one_subject_type(tables)
    parts = [
        table.judged.select(SUBJECT_ID, F.explode(F.when(F.col(STATUS) == KEPT, F.col(EVENTS))).alias("_event"))
        for table in _with_rows(tables)
    ]
    columns = [F.col(f"_event.{name}") for name in EVENT_COLUMNS if name != SUBJECT_ID]
    return reduce(DataFrame.unionByName, parts).where("_event is not null").select(SUBJECT_ID, *columns)


def _require_one_subject_type(tables: list[_Table]) -> None:
    types = {table.name: dict(table.judged.dtypes)[SUBJECT_ID] for table in tables}
    if len(set(types.values())) > 1:
        raise InputError(f"expected subjects of one type in all tables, received {types}")


def _quarantine(tables: list[_Table], counts: dict[str, _Found]) -> DataFrame:
    """The rows of all tables that were set aside; tables without any are not read again."""
    dirty = [t for t in tables if counts[t.name].counts.quarantined or counts[t.name].counts.duplicates]
    parts = [
        quarantine_rows(table.judged.where(F.col(STATUS).isin(QUARANTINED, COPY)), table.raw, EVENT_REASONS)
        for table in dirty
    ]
    nothing = quarantine_rows(tables[0].judged.where(F.lit(False)), tables[0].raw, EVENT_REASONS)
    return reduce(DataFrame.unionByName, parts, nothing)
