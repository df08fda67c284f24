"""What became of the rows of every table of a warehouse."""

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from typing import Final, NamedTuple

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from medspark.clean.judge import KEPT, SET_ASIDE, STATUS
from medspark.clean.limits import require_no_other_header
from medspark.clean.tally import ROWS, TALLIED, tally
from medspark.clean.worker.staged import BETWEEN
from medspark.errors import AccountingError, InputError
from medspark.events.build import EVENT_COUNT, NON_EVENT
from medspark.events.since import micros_of
from medspark.schemas import REPAIRED, ROW_OF_LINE, SUBJECT_ID, quoted
from medspark.sources.record_rules import DUPLICATE
from medspark.sources.survey import Survey
from medspark.sources.unchanged import FileStates
from medspark.store.facts import EventCounts, MappedCounts
from medspark.task.raw_table import RawTable

_TABLE: Final = "_table"
_PATIENTS: Final = "_patients"
_WRITTEN: Final = "_written_at"
_AGAIN: Final = "_is_read_again"
_FURTHER: Final = "_further"
"""Whether a row is another one of a line that has one already, as a view makes some."""
_LACK: Final = "_lack:"
"""Begins the name of the count of rows without a value of a table's column, by the column's place."""


class JudgedTable(NamedTuple):
    """A table's rows with their status, their events and the rules that they break."""

    name: str
    raw: RawTable
    judged: DataFrame
    survey: Survey
    states: FileStates
    """Of its files, before the first pass; none of a database's table, which is read once."""
    present: list[str]
    unread: list[str]
    """Columns of the mapping that the source has, and of the source that the mapping does not declare."""
    written: str | None = None
    """The column with the time of a row's writing."""


class FoundRows(NamedTuple):
    """What became of a table's rows, and how many break each rule that fails the run."""

    counts: MappedCounts
    failed: dict[str, int]
    again: MappedCounts
    """The same of those rows that the next append reads again."""


def newest_written(tables: list[JudgedTable]) -> dict[str, int]:
    """The newest time of writing of each table that has any, in microseconds since 1970, in one job."""
    told = [table for table in tables if table.written]
    if not told:
        return {}
    parts = [t.judged.select(F.lit(t.name).alias(_TABLE), micros_of(str(t.written)).alias(_WRITTEN)) for t in told]
    newest = reduce(DataFrame.unionByName, parts).groupBy(_TABLE).agg(F.max(_WRITTEN).alias(_WRITTEN)).collect()
    return {row[_TABLE]: row[_WRITTEN] for row in newest if row[_WRITTEN] is not None}


def count_rows(tables: list[JudgedTable], again: Mapping[str, int] | None = None) -> dict[str, FoundRows]:
    """What became of every table's rows, in one job.

    Args:
        tables: theirs.
        again: from which time of writing on the next append reads each table again, all of one that is not named; None
            where it reads no row again.
    """
    keys = [_TABLE, _AGAIN, *TALLIED, NON_EVENT]
    lacks = [f"{_LACK}{at}" for at in range(max(len(table.present) for table in tables))]
    parts = [
        _counted(table, lacks, _is_again(table, again)).select(*keys, EVENT_COUNT, _PATIENTS, _FURTHER, *lacks)
        for table in with_rows(tables)
    ]
    groups = (
        reduce(DataFrame.unionByName, parts)
        .groupBy(*keys)
        .agg(
            F.count("*").alias(ROWS),
            F.sum(EVENT_COUNT).alias(EVENT_COUNT),
            F.count_if(_FURTHER).alias(_FURTHER),
            F.approx_count_distinct(_PATIENTS).alias(_PATIENTS),
            *(F.count_if(lack).alias(lack) for lack in lacks),
        )
    )
    by_table: dict[str, list[Row]] = {table.name: [] for table in tables}
    for group in groups.collect():
        by_table[group[_TABLE]].append(group)
    return {table.name: _found_rows(table.survey, by_table[table.name], table.present) for table in tables}


def _is_again(table: JudgedTable, again: Mapping[str, int] | None) -> Column:
    """Whether the next append reads a row again."""
    if again is None or table.written is None or table.name not in again:
        return F.lit(again is not None)
    return F.coalesce(micros_of(table.written) >= again[table.name], F.lit(True))


def _counted(table: JudgedTable, lacks: list[str], is_again: Column) -> DataFrame:
    """A table's rows with what is counted of them; all tables in one query, so that columns go by their places."""
    absent = [F.col(quoted(name)).isNull() for name in table.present]
    absent += [F.lit(False)] * (len(lacks) - len(absent))
    further = F.coalesce(F.col(ROW_OF_LINE) > 0, F.lit(False)) if table.raw.view is not None else F.lit(False)
    return table.judged.withColumns(
        {
            _FURTHER: further,
            REPAIRED: F.col(REPAIRED) & ~further,  # lines are repaired
            _TABLE: F.lit(table.name),
            SET_ASIDE: F.substring_index(SET_ASIDE, BETWEEN, 1),  # the only rule that is counted
            _PATIENTS: F.xxhash64(SUBJECT_ID),  # of whatever type
            _AGAIN: is_again,
            **dict(zip(lacks, absent, strict=True)),
        }
    )


def _found_rows(survey: Survey, groups: list[Row], columns: list[str]) -> FoundRows:
    rows = survey.rows + sum(group[_FURTHER] for group in groups)
    again = [group for group in groups if group[_AGAIN]]
    return FoundRows(
        _mapped_counts(groups, columns, rows, survey.blank),
        tally(groups).failed,
        _mapped_counts(again, columns, sum(group[ROWS] for group in again), 0),
    )


def _mapped_counts(groups: list[Row], columns: list[str], rows_in: int, blank_lines: int) -> MappedCounts:
    found = tally(groups)
    non_events: Counter[str] = Counter()
    for group in groups:
        if group[STATUS] == NON_EVENT:
            non_events[group[NON_EVENT]] += group[ROWS]
    kept = [group for group in groups if group[STATUS] == KEPT]
    missing = {name: sum(group[f"{_LACK}{at}"] for group in kept) for at, name in enumerate(columns)}
    return MappedCounts(
        rows_in=rows_in,
        blank_lines=blank_lines,
        with_events=found.status[KEPT],
        events=sum(group[EVENT_COUNT] for group in kept),
        non_events=dict(sorted(non_events.items())),
        quarantined=found.quarantined,
        duplicates=found.status[DUPLICATE],
        set_missing=found.set_missing,
        repaired=found.repaired,
        normalised=found.normalised,
        columns=sorted(columns),  # whatever the order in which a source has them
        missing={name: rows for name, rows in missing.items() if rows},
        patients=max((group[_PATIENTS] for group in kept), default=0),
    )


def require_sound(found: dict[str, FoundRows], tables: list[JudgedTable], repairs: DataFrame | None) -> None:
    """Refuse tables that are not sound as a whole, before anything is written.

    Raises:
        InputError: rows break a rule that fails the run, or a repaired row has no place.
        AccountingError: a table's rows do not add up.
    """
    failed = [
        f"  - {name}, {rule}: {rows} rows" for name, table in found.items() for rule, rows in table.failed.items()
    ]
    if failed:
        raise InputError("the source breaks rules that the mapping says must hold\n" + "\n".join(failed))
    for name, (counts, *_) in found.items():
        require_no_other_header(counts.quarantined, f"table {name!r}")
        others = sum(counts.non_events.values()) + sum(counts.quarantined.values()) + counts.duplicates
        if counts.rows_in != counts.with_events + others:
            raise AccountingError(
                f"table {name!r}: {counts.rows_in} rows came in, but {counts.with_events} made events and {others} "
                "were passed over or set aside. Did the source change while it was read? Run again."
            )
    asked = repairs.count() if repairs is not None else 0
    repaired = sum(table.counts.repaired for table in found.values())
    if asked != repaired:
        raise InputError(f"{asked} repaired rows were given, but {repaired} of them match a row of the source")


def with_rows(tables: list[JudgedTable]) -> list[JudgedTable]:
    """The tables that have rows, one at least: each one in a query costs a compilation, an empty one too."""
    return [table for table in tables if table.survey.rows] or tables[:1]


def total_counts(tables: dict[str, MappedCounts]) -> EventCounts:
    """The counts of all tables together, and of each; a rule is named with its table."""
    return EventCounts(
        rows_in=sum(table.rows_in for table in tables.values()),
        blank_lines=sum(table.blank_lines for table in tables.values()),
        with_events=sum(table.with_events for table in tables.values()),
        non_events=sum(sum(table.non_events.values()) for table in tables.values()),
        records=sum(table.events for table in tables.values()),
        quarantined={f"{name}, {rule}": n for name, table in tables.items() for rule, n in table.quarantined.items()},
        duplicates=sum(table.duplicates for table in tables.values()),
        set_missing={f"{name}, {rule}": n for name, table in tables.items() for rule, n in table.set_missing.items()},
        tables=tables,
        normalised={f"{name}, {rule}": n for name, table in tables.items() for rule, n in table.normalised.items()},
    )
