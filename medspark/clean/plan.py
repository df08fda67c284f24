"""What workers are told of a table, out of the same readings that Spark's way has."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from pyspark.sql import SparkSession

from medspark.cases.table import Criteria
from medspark.clean.judge import derived_columns, reasons_of
from medspark.clean.typed_values import INVISIBLE_LETTERS, Reading, column_rule, read_column
from medspark.clean.worker.plan import ColumnPlan, TablePlan
from medspark.clean.worker.zones import Zone
from medspark.schemas import EXCLUDED
from medspark.sources.record_rules import RECORD_REASONS
from medspark.task.columns import CategoryColumn, DateColumn
from medspark.task.expressions import columns_of
from medspark.task.raw_table import RawTable

_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def plan_table(spark: SparkSession, table: RawTable, names: list[str], criteria: Criteria | None = None) -> TablePlan:
    """A table as workers judge it.

    Args:
        spark: whose Java knows the zones.
        table: one that `choose_reader` gives to workers.
        names: the columns that its files have.
        criteria: of records that are scored as they are cleaned.
    """
    source, duplicates = table.source, table.source.duplicates
    judged = [name for name in names if name in table.columns]
    whole_row = duplicates is not None and duplicates.same == "whole_row"
    keys: list[tuple[str, ...]] = []
    if duplicates is not None and isinstance(duplicates.same, tuple):
        keys.append(duplicates.same)
    if (source.case,) not in keys:
        keys.append((source.case,))
    checked = {name for check in table.checks for name in columns_of(check.expect)}
    derived = {name for item in table.derived.values() for name in columns_of(item.expression)}
    excluded = criteria.reads if criteria is not None and criteria.applies else None
    return TablePlan(
        source=table.name,
        names=tuple(names),
        columns=tuple(_plan_column(read_column(name, "string", table), table) for name in judged),
        encoding=source.encoding,
        delimiter=source.delimiter,
        header=source.header,
        zone=zone_of(spark, source.timezone) if _has_times(table) else _UTC,
        point_zero=source.point_zero,
        reasons=expected_of(table, judged),
        keys=tuple(keys),
        whole_row=whole_row,
        asked=frozenset((checked | derived) & set(judged)),
        evaluated=frozenset((checked | derived | (excluded or set())) & set(judged)),
        derived=(*derived_columns(table, judged), *([EXCLUDED] if excluded is not None else [])),
        in_sql=bool(table.checks or table.derived or excluded is not None),
        decide_nothing=table.decide_nothing,
    )


def expected_of(table: RawTable, names: list[str]) -> dict[str, str]:
    """What every rule expects that a row can break."""
    return {**RECORD_REASONS, **reasons_of(names, table)}


def _plan_column(reading: Reading, table: RawTable) -> ColumnPlan:
    name, spec = reading.name, reading.spec
    action = "set_aside" if reading.is_key else spec.otherwise
    lookup = None
    if isinstance(spec, CategoryColumn) and spec.lookup is not None:
        lookup = table.lookups[spec.lookup].entries or {}
    return ColumnPlan(
        name=name,
        spec=spec,
        dtype=reading.kind.dtype,
        rules=tuple(column_rule(name, step.rule) for step in reading.kind.steps),
        required=column_rule(name, "required") if spec.required or reading.is_key else None,
        on_missing="fail" if action == "fail" else "set_aside",
        action=action,
        normalised=column_rule(name, INVISIBLE_LETTERS),
        missing=frozenset(("", *table.source.missing, *spec.missing)),
        entries=lookup,
    )


def _has_times(table: RawTable) -> bool:
    return any(isinstance(column, DateColumn) and column.type == "timestamp" for column in table.columns.values())


_UTC: Final = Zone(-62_135_596_800, 253_402_300_800, 0, ())
"""From the year 1 to the year 9999."""


def zone_of(spark: SparkSession, name: str) -> Zone:
    """A zone's changes, as the Java that Spark runs on knows them."""
    java: Any = spark.sparkContext._jvm
    time = java.java.time
    rules = time.ZoneId.of(name, time.ZoneId.SHORT_IDS).getRules()
    if rules.isFixedOffset():
        offset = int(rules.getStandardOffset(time.Instant.EPOCH).getTotalSeconds())
        return _UTC._replace(offset=offset)
    first = time.Instant.parse(f"{_FIRST_YEAR}-01-01T00:00:00Z")
    since, until = first.getEpochSecond(), time.Instant.parse(f"{_LAST_YEAR}-01-01T00:00:00Z").getEpochSecond()
    known = [_change(text) for text in _CHANGE.findall(str(rules.getTransitions().toString()))]
    last, coming = max(known, default=(since, 0, 0))[0], list(rules.getTransitionRules())
    years = range(_year_of(last), _LAST_YEAR + 1) if coming else ()
    told = (str(rule.createTransition(year).toString()) for year in years for rule in coming)
    known += [change for text in told for change in map(_change, _CHANGE.findall(text)) if change[0] > last]
    changes = sorted(change for change in known if since < change[0] < until)
    offset = int(rules.getOffset(first).getTotalSeconds())
    day = 86_400  # no wall clock is further from UTC
    return Zone(since + day, until - day, offset, tuple(changes))


_OFFSET: Final = r"(Z|[+-][0-9:]+)"
_CHANGE: Final = re.compile(rf"at (\S+?){_OFFSET} to {_OFFSET}\]")
"""How Java writes a zone's change: Transition[Gap at 2020-03-29T02:00+01:00 to +02:00]; all of them in one call."""


def _change(found: tuple[str, str, str]) -> tuple[int, int, int]:
    """
    >>> _change(("2020-03-29T02:00", "+01:00", "+02:00"))
    (1585443600, 3600, 7200)
    """
    before, after = _seconds(found[1]), _seconds(found[2])
    return int(datetime.fromisoformat(found[0]).replace(tzinfo=UTC).timestamp()) - before, before, after


def _seconds(offset: str) -> int:
    """
    >>> _seconds("Z"), _seconds("-03:30:52")
    (0, -12652)
    """
    parts = (int(part) for part in offset[1:].split(":") if part)
    seconds = sum(part * size for part, size in zip(parts, (3600, 60, 1), strict=False))
    return -seconds if offset[0] == "-" else seconds


def _year_of(seconds: int) -> int:
    return datetime.fromtimestamp(seconds, UTC).year
