"""The events of a judged row: its table's event rules, as Spark columns.

A row is kept with the events it makes, passed over by a rule that says why, or set aside.
"""

from functools import reduce
from itertools import chain
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import SET_ASIDE
from medspark.clean.kinds.numbers import NUMBER, finite
from medspark.schemas import (
    AVAILABLE_TIME,
    CODE,
    ENCOUNTER_ID,
    NUMERIC_VALUE,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    UNIT,
    quoted,
)
from medspark.sources.record_rules import NO_ROW
from medspark.task.expressions import spark_sql
from medspark.task.mapping import PLACEHOLDER, EventRule, MappedTable, Mapping, ValueRule

EVENTS: Final = "_events"
EVENT_COUNT: Final = "_event_count"
NON_EVENT: Final = "_non_event"
"""The name of the rule by which a row is no event."""
NOT_IN_VIEW: Final = "no row of the view"
"""Of a line that is passed over since the table's view makes no row of it."""
NO_EVENT, NO_SUBJECT, BAD_UNIT, OUT_OF_RANGE = "event: none", "row: subject", "value: unit", "value: range"
EVENT_REASONS: Final = {
    NO_EVENT: "expected at least one event: a code, and a time unless the event is static",
    NO_SUBJECT: "expected a patient beside the row's id, without whom it corrects and deletes nothing",
    BAD_UNIT: "expected a unit that the mapping converts",
    OUT_OF_RANGE: "expected a number in the range that the mapping gives for its code",
}
_COMPARED: Final = r"^\s*(?:[<>]=?|[≤≥])\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*$"
_RULE: Final = "rule"
"""Of an event for a while: the value rule that it breaks."""


def add_events(judged: DataFrame, table: MappedTable, mapping: Mapping) -> DataFrame:
    """Add each row's events by the rules (EVENTS), the rule that passes it over (NON_EVENT), and what sets it aside.

    EVENTS has a place for each rule, null where the row has no event by it; EVENT_COUNT says how many it has. The
    subject is the column SUBJECT_ID of the result.

    Every event is a column of its own first, and no step is a function over arrays: Spark does not compile a query
    with one, and would interpret all rules of every row.
    """
    skipped = [F.when(F.expr(spark_sql(skip.when)), skip.name) for skip in table.passed_over]
    if table.view is not None:
        skipped.insert(0, F.when(F.col(SET_ASIDE) == NO_ROW, NOT_IN_VIEW))
    names = [f"_event:{at}" for at in range(len(table.events))]
    rows = judged.withColumns(
        {
            SUBJECT_ID: F.col(quoted(table.subject)),
            NON_EVENT: F.coalesce(*skipped) if skipped else F.lit(None).cast("string"),
            **{name: _event(rule, mapping) for name, rule in zip(names, table.events, strict=True)},
        }
    )
    events = [F.col(quoted(name)) for name in names]
    if mapping.values:
        rows = rows.withColumns(
            {name: _in_one_unit(event, mapping.values) for name, event in zip(names, events, strict=True)}
        )
        broken = F.coalesce(*(event[_RULE] for event in events))
    else:
        broken = F.lit(None).cast("string")
    count = reduce(Column.__add__, (event.isNotNull().cast("int") for event in events))
    fault = F.when(F.col(SUBJECT_ID).isNull() | (count == 0), NO_EVENT).otherwise(broken)
    fault = F.when(F.col(NON_EVENT).isNull(), fault)
    if table.row is not None:  # also where a rule passes it over: nobody would learn that it deletes nothing
        fault = F.when(has_id(table) & F.col(SUBJECT_ID).isNull(), NO_SUBJECT).otherwise(fault)
    set_aside = F.coalesce(F.when(F.col(SET_ASIDE) == "", fault), F.col(SET_ASIDE))
    return rows.withColumns({EVENTS: F.array(*events), EVENT_COUNT: count, SET_ASIDE: set_aside}).drop(*names)


def id_parts(table: MappedTable) -> list[Column]:
    """The parts of a row's id as text; none of a table without `row`."""
    return [F.col(quoted(name)).cast("string") for name in table.row.same] if table.row is not None else []


def has_id(table: MappedTable) -> Column:
    """Whether a row has an id: one that lacks a part of it has none, else all such rows of a patient were one."""
    parts = id_parts(table)
    return reduce(Column.__and__, (part.isNotNull() for part in parts)) if parts else F.lit(False)


def _event(rule: EventRule, mapping: Mapping) -> Column:
    """One event as a struct, null where the row has none by this rule."""
    code = F.coalesce(*(_code(pattern) for pattern in rule.code))
    time, day_end = _time(rule, mapping)
    number, text = _value(rule)
    present = code.isNotNull()
    if not _is_static(rule):
        present = present & time.isNotNull()
    if rule.when is not None:
        present = present & F.expr(spark_sql(rule.when))
    event = F.struct(
        code.alias(CODE),
        time.alias(TIME),
        number.alias(NUMERIC_VALUE),
        text.alias(TEXT_VALUE),
        _expression(rule.unit, "string").alias(UNIT),
        _expression(rule.encounter, "string").alias(ENCOUNTER_ID),
        # greatest passes over nulls
        F.greatest(_expression(rule.available, "timestamp"), day_end).alias(AVAILABLE_TIME),
    )
    return F.when(present, event)


def _expression(expression: str | None, dtype: str) -> Column:
    value = F.lit(None) if expression is None else F.expr(spark_sql(expression))
    return value.cast(dtype)


def _code(pattern: str) -> Column:
    """A code by its pattern: null where a column in it is."""
    parts = PLACEHOLDER.split(pattern)
    literals, names = parts[::2], parts[1::2]
    columns = [F.col(quoted(name)).cast("string") for name in names]
    pieces = chain.from_iterable(zip(map(F.lit, literals), [*columns, F.lit("")], strict=True))
    return F.concat(*pieces)


def _value(rule: EventRule) -> tuple[Column, Column]:
    """Number and text of an event. A comparator keeps its text beside the number it compares with."""
    number, text = _expression(rule.number, "double"), _expression(rule.text, "string")
    if rule.value is not None:
        given = _expression(rule.value, "string")
        plain = finite(F.when(F.trim(given).rlike(NUMBER), F.trim(given)).try_cast("double"))
        compared = F.nullif(F.regexp_extract(given, _COMPARED, 1), F.lit("")).try_cast("double")
        number = F.coalesce(number, plain, compared)
        text = F.coalesce(text, F.when(plain.isNull(), F.nullif(F.trim(given), F.lit(""))))
    return finite(number), text


def _is_static(rule: EventRule) -> bool:
    return rule.time is None and rule.date is None


def _time(rule: EventRule, mapping: Mapping) -> tuple[Column, Column]:
    """When an event happened, and the end of its day where no more than the day is known of it, else null."""
    time = _expression(rule.time, "timestamp")
    day = F.to_utc_timestamp(_expression(rule.date, "date").cast("timestamp"), mapping.timezone)
    nothing = F.lit(None).cast("timestamp")
    if _is_static(rule) or mapping.date_only_known == "start_of_day":
        return F.coalesce(time, day), nothing
    local = F.from_utc_timestamp(F.coalesce(time, day), mapping.timezone)
    next_day = F.to_utc_timestamp(F.date_trunc("day", local) + F.expr("interval 1 day"), mapping.timezone)
    is_date = time.isNull()
    if mapping.midnight == "date_only":
        is_date = is_date | (local == F.date_trunc("day", local))
    return F.coalesce(time, day), F.when(is_date, next_day)


def _in_one_unit(event: Column, rules: dict[str, ValueRule]) -> Column:
    """The event with its number in its code's unit, and the value rule that it breaks."""
    number, unit, code = event[NUMERIC_VALUE], event[UNIT], event[CODE]
    never = F.when(F.lit(False), F.lit(None))
    value, named, fault = never, never, never
    for name, rule in rules.items():
        converted, its_unit, known = _converted(number, unit, rule)
        outside = F.lit(False)
        if rule.range is not None and rule.range.low is not None:
            outside = outside | (converted < rule.range.low)
        if rule.range is not None and rule.range.high is not None:
            outside = outside | (converted > rule.range.high)
        this = (code == name) & number.isNotNull()
        value = value.when(this & known, converted)
        named = named.when(this, its_unit)
        fault = fault.when(this & ~known, BAD_UNIT).when(this & outside, OUT_OF_RANGE)
    kept = {column: event[column] for column in (CODE, TIME, TEXT_VALUE, ENCOUNTER_ID, AVAILABLE_TIME)}
    kept |= {NUMERIC_VALUE: value.otherwise(number), UNIT: named.otherwise(unit), _RULE: fault}
    return F.when(event.isNotNull(), F.struct(*(column.alias(name) for name, column in kept.items())))


def _converted(number: Column, unit: Column, rule: ValueRule) -> tuple[Column, Column, Column]:
    """The number in the rule's unit, its unit then, and whether the one it came in is known; without one it stays."""
    if not rule.to_unit:
        return number, unit, F.lit(True)
    given = F.coalesce(unit, F.lit(rule.when_missing))
    scaled = [F.when(given == name, number * scale.factor + scale.offset) for name, scale in rule.to_unit.items()]
    known = reduce(Column.__or__, (given == name for name in rule.to_unit))
    return F.coalesce(*scaled, number), F.when(known, rule.unit).otherwise(unit), F.coalesce(known, unit.isNull())
