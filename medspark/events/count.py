"""What became of every table's rows."""

from collections import Counter
from functools import reduce
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import BETWEEN, COPY, EMPTIED, FAILED, KEPT, QUARANTINED, SET_ASIDE, STATUS
from medspark.errors import AccountingError, InputError
from medspark.events.build import EVENT_COUNT, NON_EVENT
from medspark.schemas import REPAIRED
from medspark.sources.survey import Survey
from medspark.store.facts import EventCounts, MappedCounts
from medspark.task.raw_table import RawTable


class JudgedTable(NamedTuple):
    name: str
    raw: RawTable
    judged: DataFrame
    survey: Survey
    cached: DataFrame | None


class FoundRows(NamedTuple):
    counts: MappedCounts
    failed: dict[str, int]


def count_rows(tables: list[JudgedTable]) -> dict[str, FoundRows]:
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
        for table in with_rows(tables)
    ]
    keys = ["table", STATUS, SET_ASIDE, EMPTIED, FAILED, REPAIRED, NON_EVENT]
    rows = reduce(DataFrame.unionByName, parts).groupBy(*keys).agg(F.count("*").alias("rows"), F.sum("events"))
    by_table: dict[str, list[Any]] = {table.name: [] for table in tables}
    for row in rows.collect():
        by_table[row["table"]].append(row)
    return {table.name: _table_counts(table.survey, by_table[table.name]) for table in tables}


def _table_counts(survey: Survey, rows: list[Any]) -> FoundRows:
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
    counts = MappedCounts(
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
    return FoundRows(counts, sorted_rules[FAILED])


def require_sound(found: dict[str, FoundRows], tables: list[JudgedTable], repairs: DataFrame | None) -> None:
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
    )
