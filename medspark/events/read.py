"""A warehouse to events: every mapped table read and judged, with what became of its rows.

Each table in files is read twice, to count it and to write it, and a third time where rows were set aside: nothing is
kept in memory, so the warehouse may be larger than the cluster's. A database's table is read once, and kept meanwhile,
and so are the rows that a view makes of FHIR resources, in memory or on disk.
"""

from collections.abc import Iterator
from collections.abc import Mapping as Mapped
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import KEPT, QUARANTINED, SET_ASIDE, STATUS, judge_rows, mark_duplicates
from medspark.clean.quarantine import quarantine_rows
from medspark.errors import InputError
from medspark.events.build import EVENT_REASONS, EVENTS, NON_EVENT, add_events
from medspark.events.count import FoundRows, JudgedTable, count_rows, newest_written, require_sound, with_rows
from medspark.events.deletions import Deletions, read_deletions, take_back
from medspark.events.joined import with_joined
from medspark.events.since import READ_BEFORE, database_rows, pass_over_read, read_from, this_moment, written
from medspark.events.unread import unread_names
from medspark.events.versions import with_versions
from medspark.events.warehouse import Warehouse, open_warehouse, raw_table, table_files
from medspark.events.writings import events_of_writings, with_writings
from medspark.schemas import EVENT_COLUMNS, ROW, SUBJECT_ID
from medspark.sources.failures import readable
from medspark.sources.files import require_whole_files
from medspark.sources.read import RawPart, RawRows, read_rows, typed_rows
from medspark.sources.record_rules import DUPLICATE, NO_ROW
from medspark.sources.unchanged import FileStates, file_states
from medspark.spark.failures import expressions_hold
from medspark.store.facts import MappedCounts, ReadTo
from medspark.store.files import raw_path
from medspark.task.event_source import EventSource
from medspark.task.mapping import MappedTable, Mapping
from medspark.task.places import mapping_places


class Part(NamedTuple):
    """What of a table is read."""

    only: frozenset[str] | None
    """Its files; all of them without it."""
    since: int | None
    """From where on, as `read_from` has it; all without it."""


class Events(NamedTuple):
    """A warehouse's events and what was set aside, with the counts of each table."""

    records: DataFrame
    quarantine: DataFrame
    counts: dict[str, MappedCounts]
    fingerprint: str
    files: int
    states: FileStates
    """Of all files, before the first pass."""
    unread: dict[str, list[str]]
    """Columns of each table that the mapping does not declare, and as `files` or `tables` what no table reads."""
    read_to: ReadTo


@contextmanager
def read_events(
    spark: SparkSession,
    source: EventSource,
    mapping: Mapping,
    repairs: DataFrame | None = None,
    only: frozenset[str] | None = None,
    since: Mapped[str, int] | None = None,
) -> Iterator[Events]:
    """The events of a source, to be written within the context: a database's snapshot lasts as long.

    Where the source has an `increment`, the records have ROW_COLUMNS too, and every writing of a row.

    Args:
        spark: the session.
        source: where the tables are.
        mapping: what they mean.
        repairs: repaired rows of the quarantine, read in place of theirs.
        only: the files that are read; all of them without it.
        since: from where on each table is read, as `read_from` has it; a table that it does not name is read whole.

    Raises:
        InputError: a table cannot be read, lacks a column, or breaks a rule that fails the run.
        AccountingError: a table's rows do not add up.
    """
    require_whole_files(spark)
    # The values of events are worked out when they are written, not to count them
    held, begun = expressions_hold(mapping_places(mapping)), this_moment()
    with held, open_warehouse(spark, source, mapping) as warehouse, ExitStack() as kept:
        deletions = read_deletions(warehouse, kept)
        found: dict[str, JudgedTable] = {}
        for name, spec in sorted(mapping.tables.items(), key=lambda item: bool(item[1].joined)):  # those joined before
            part = Part(only, (since or {}).get(name))
            table = _read_table(warehouse, name, spec, repairs, kept, deletions, part, found)
            if table is not None:
                found[name] = table
        tables = [found[name] for name in mapping.tables if name in found]
        if not tables:
            raise InputError(f"{warehouse.place}: expected at least one table of {mapping.mapping}, received none")
        with readable(warehouse.place):
            marks = _marks(warehouse, tables, begun)
            counts = count_rows(tables, _read_again(warehouse, marks, since or {}))
        require_sound(counts, tables, repairs)
        events = Events(
            records=_records(tables),
            quarantine=_quarantine(tables, counts),
            counts={name: _without_known(table.counts) for name, table in counts.items()},
            fingerprint=_fingerprint(tables, deletions),
            files=sum(len(table.survey.files) for table in tables),
            unread=_unread(warehouse, tables),
            states={file: state for one in (*tables, deletions) if one for file, state in one.states.items()},
            read_to=ReadTo(
                marks=marks,
                ids=_ids(warehouse, tables),
                again={name: table.again for name, table in counts.items() if table.again.rows_in},
            ),
        )
        yield events


def _read_table(
    warehouse: Warehouse,
    name: str,
    spec: MappedTable,
    repairs: DataFrame | None,
    kept: ExitStack,
    deletions: Deletions | None,
    part: Part,
    before: dict[str, JudgedTable],
) -> JudgedTable | None:
    """One table, judged and with its events; None for an optional one that the source lacks, and for one of which no
    file is to be read.

    What Spark keeps of it is freed by `kept`, else the session's next read of the table would get these rows again.
    """
    table = raw_table(warehouse, name, spec)
    if warehouse.database is not None:
        found = _of_database(warehouse, name, spec, repairs, kept, part)
    else:
        found = _of_files(warehouse, name, spec, repairs, kept, part)
    if found is None:
        return None
    raw, judged, states = found
    judged = with_joined(judged, name, spec, before)
    judged = take_back(add_events(judged, spec, warehouse.mapping), spec, deletions)
    increment = warehouse.source.increment
    if increment is not None:
        judged = pass_over_read(judged, spec, increment.by, part.since)
    judged = mark_duplicates(with_versions(judged, spec), table)  # rows set aside are none's duplicates
    status = (
        F.when(F.col(NON_EVENT) == READ_BEFORE, NON_EVENT)  # also of one that is set aside, or a copy
        .when(F.col(STATUS) == DUPLICATE, DUPLICATE)
        .when((F.col(SET_ASIDE) != "") & (F.col(SET_ASIDE) != NO_ROW), QUARANTINED)
        .when(F.col(NON_EVENT).isNotNull(), NON_EVENT)
        .otherwise(KEPT)
    )
    judged = judged.withColumn(STATUS, status)
    if increment is not None:
        folder = raw_path(warehouse.spark.sparkContext, str(warehouse.source.path))
        judged = with_writings(judged, table, spec, increment.by, folder)
    present = [column for column in raw.present if column in spec.columns]
    return JudgedTable(name, table, judged, raw.survey, states, present, raw.unread, written(spec))


def _of_database(
    warehouse: Warehouse, name: str, spec: MappedTable, repairs: DataFrame | None, kept: ExitStack, part: Part
) -> tuple[RawRows, DataFrame, FileStates] | None:
    """A table's rows, and judged; None of one that may be absent and is."""
    frame = database_rows(warehouse, name, spec, part.since)
    if frame is None or warehouse.database is None:
        return None
    table = raw_table(warehouse, name, spec)
    # Read once: what is counted is what is written, even of a table that changes
    frame = frame.persist(StorageLevel.MEMORY_AND_DISK)
    kept.callback(frame.unpersist)
    raw = typed_rows([frame], table, repairs)
    raw = raw._replace(unread=warehouse.database.unread_columns(name, table.columns))
    return raw, judge_rows(raw, table), {}


def _of_files(
    warehouse: Warehouse, name: str, spec: MappedTable, repairs: DataFrame | None, kept: ExitStack, part: Part
) -> tuple[RawRows, DataFrame, FileStates] | None:
    """The same of files, with their states before the first pass; None where none is to be read."""
    table, is_part = raw_table(warehouse, name, spec), part.only is not None
    # Files that were read before may be gone
    files = table_files(warehouse, name, spec.model_copy(update={"optional": True}) if is_part else spec)
    files = files if part.only is None else [file for file in files if file in part.only]
    states = file_states(warehouse.spark.sparkContext, files)
    if not files and (spec.optional or is_part):
        return None
    with readable(table.source.place):
        raw = read_rows(warehouse.spark, table, files, repairs)
        if table.view is not None:
            raw = raw._replace(parts=[_kept(part, kept) for part in raw.parts])
        return raw, judge_rows(raw, table), states


def _kept(part: RawPart, kept: ExitStack) -> RawPart:
    """Rows that take long to make, made once and not for each pass."""
    rows = part.rows.persist(StorageLevel.MEMORY_AND_DISK)
    kept.callback(rows.unpersist)
    return part._replace(rows=rows)


def _unread(warehouse: Warehouse, tables: list[JudgedTable]) -> dict[str, list[str]]:
    found = {**unread_names(warehouse), **{table.name: table.unread for table in tables}}
    return {name: unread for name, unread in found.items() if unread}


def _without_known(counts: MappedCounts) -> MappedCounts:
    """The counts without rows that were read before."""
    known = counts.non_events.get(READ_BEFORE, 0)
    others = {name: rows for name, rows in counts.non_events.items() if name != READ_BEFORE}
    return replace(counts, rows_in=counts.rows_in - known, non_events=others)


def _marks(warehouse: Warehouse, tables: list[JudgedTable], begun: int) -> dict[str, int]:
    """How far each table was read: a time of writing that is yet to come, as of a wrong clock, would hide all rows that
    are written until then."""
    increment = warehouse.source.increment
    if increment is None or increment.by == "files":
        return {}
    if increment.by == "changes" and warehouse.database is not None:
        return {table.name: warehouse.database.version_of(table.name) for table in tables}
    return {name: min(written, begun) for name, written in newest_written(tables).items()}


def _ids(warehouse: Warehouse, tables: list[JudgedTable]) -> dict[str, str]:
    """By which a table that was made anew is told from the one that was read before."""
    increment, database = warehouse.source.increment, warehouse.database
    if increment is None or increment.by != "changes" or database is None:
        return {}
    found = {table.name: database.id_of(table.name) for table in tables}
    return {name: one for name, one in found.items() if one is not None}


def _read_again(warehouse: Warehouse, marks: Mapped[str, int], since: Mapped[str, int]) -> dict[str, int] | None:
    """From where on the next append reads each table that has times of writing; None where none is read again."""
    increment = warehouse.source.increment
    if increment is None or increment.by != "column":
        return None
    then = read_from(increment, marks)
    return {name: max(found[name] for found in (then, since) if name in found) for name in {*then, *since}}


def _fingerprint(tables: list[JudgedTable], deletions: Deletions | None) -> str:
    total = sum(int(table.survey.fingerprint, 16) * (at + 1) for at, table in enumerate(tables))
    total += deletions.fingerprint * (len(tables) + 1) if deletions is not None else 0
    return f"{total % 2**64:016x}"


def _records(tables: list[JudgedTable]) -> DataFrame:
    """The events of all tables, one row each."""
    _require_one_subject_type(tables)
    if ROW in tables[0].judged.columns:
        return reduce(DataFrame.unionByName, map(events_of_writings, with_rows(tables)))
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
        quarantine_rows(table.judged.where(F.col(STATUS).isin(QUARANTINED, DUPLICATE)), table.raw, EVENT_REASONS)
        for table in dirty
    ]
    nothing = quarantine_rows(tables[0].judged.where(F.lit(False)), tables[0].raw, EVENT_REASONS)
    return reduce(DataFrame.unionByName, parts, nothing)
