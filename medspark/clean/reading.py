"""Typed values out of text: each kind of column is a chain of steps, and a step that empties a value is a violation.

Columns in, columns out; no data is read here.
"""

import re
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.clean.kinds.codes import category, normalise_icd9, normalise_icd10
from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.record_rules import column_rule
from medspark.task.raw_table import (
    Action,
    BooleanColumn,
    CategoryColumn,
    CodeColumn,
    ColumnBase,
    DateColumn,
    IntervalColumn,
    Lookup,
    NumberColumn,
    Range,
    RawTable,
    TextColumn,
    Units,
)

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
DECIMAL = r"^[+-]?(?=\.?[0-9])[0-9]*(?:\.([0-9]*))?$"
INTERVAL = r"^[\[(]\s*(-?[0-9]+(?:\.[0-9]+)?)\s*-\s*(-?[0-9]+(?:\.[0-9]+)?)\s*[\])]$"
OPEN_INTERVAL = r"^[<>]=?\s*(-?[0-9]+(?:\.[0-9]+)?)$"
SPARK_TYPES = {
    "long": "bigint",
    "integer": "int",
    "interval": "double",
    "category": "string",
    "code": "string",
}
_WHOLE_DTYPES = frozenset({"tinyint", "smallint", "int", "bigint"})
_NUMBER_DTYPES = _WHOLE_DTYPES | {"float", "double"}
_ZONE_LETTERS = frozenset("XxZzVO")


class Step(NamedTuple):
    """One rule of a column: `apply` gives the value, or null where the rule is broken."""

    rule: str
    expected: str
    apply: Callable[[Column], Column]


class Violation(NamedTuple):
    """A rule with the rows that break it: `condition` is true for those and never null."""

    rule: str
    reason: str
    condition: Column
    action: Action


class Reading(NamedTuple):
    """How a column is read: its text trimmed, emptied where missing, through the steps in order, and finished.

    Each step's result is a column of its own for a while (`at`), computed once however often it is read.
    """

    name: str
    spec: ColumnBase
    is_key: bool
    trim: Callable[[Column], Column]
    given: Callable[[Column], Column]
    steps: list[Step]
    finish: Callable[[Column], Column]

    def at(self, depth: int) -> str:
        return _at(self.name, depth)

    def chain(self) -> list[Callable[[Column], Column]]:
        return [self.trim, self.given, *(step.apply for step in self.steps)]

    def value(self) -> Column:
        value = self.finish(F.col(self.at(len(self.steps) + 1)))
        return value.cast(spark_type(self.spec)).alias(self.name)

    def violations(self) -> list[Violation]:
        """The column's rules in the order they judge; a value breaks one of them at most."""
        action: Action = "set_aside" if self.is_key else self.spec.otherwise
        found = []
        if self.spec.required or self.is_key:
            on_missing: Action = "fail" if action == "fail" else "set_aside"
            empty = F.col(self.at(1)).isNull()
            rule = column_rule(self.name, "required")
            found.append(Violation(rule, self.reason("a value"), empty, on_missing))
        for depth, step in enumerate(self.steps, start=1):
            broken = F.col(self.at(depth)).isNotNull() & F.col(self.at(depth + 1)).isNull()
            rule = column_rule(self.name, step.rule)
            found.append(Violation(rule, self.reason(step.expected), broken, action))
        return found

    def reason(self, expected: str) -> str:
        return f"{self.name}: expected {expected}"

    def reasons(self) -> dict[str, str]:
        """What each rule expects, by the rule's name."""
        steps = {column_rule(self.name, step.rule): self.reason(step.expected) for step in self.steps}
        return {column_rule(self.name, "required"): self.reason("a value"), **steps}


def _at(name: str, depth: int) -> str:
    return quoted(f"_{name}:{depth}")


def read_column(name: str, dtype: str, table: RawTable) -> Reading:
    """How a source column of Spark type `dtype` is read, by its declaration in the table.

    Raises:
        InputError: a column of this Spark type cannot be read as the declared type.
    """
    spec = table.columns[name]
    is_text = dtype == "string"
    missing = ["", *table.source.missing, *spec.missing]

    def given(value: Column) -> Column:
        if is_text:
            key = F.trim(value) if isinstance(spec, TextColumn) else value
            return F.when(~key.isin(missing), value)
        if dtype in _NUMBER_DTYPES or dtype.startswith("decimal"):
            numbers = [float(text) for text in missing if re.fullmatch(NUMBER, text)]
            return F.when(~F.isnan(value.cast("double")) & ~value.cast("double").isin(numbers), value)
        return value

    return Reading(
        name=name,
        spec=spec,
        is_key=name in (table.source.case, table.source.subject),
        # Space around text is no part of it, except in a column of type string
        trim=F.trim if is_text and not isinstance(spec, TextColumn) else _same,
        given=given,
        steps=_steps(name, spec, dtype, table),
        finish=_finish(spec, table),
    )


def _same(value: Column) -> Column:
    return value


def read_all(frame: DataFrame, readings: list[Reading]) -> DataFrame:
    """Add every step of every reading to the frame, all columns' first steps first: `Reading.at` names them."""
    current = {reading.name: quoted(reading.name) for reading in readings}
    for depth in range(max((len(reading.chain()) for reading in readings), default=0)):
        deep = [reading for reading in readings if depth < len(reading.chain())]
        added = [
            reading.chain()[depth](F.col(current[reading.name])).alias(reading.at(depth).strip("`").replace("``", "`"))
            for reading in deep
        ]
        frame = frame.select("*", *added)
        current |= {reading.name: reading.at(depth) for reading in deep}
    return frame


def spark_type(spec: ColumnBase) -> str:
    """The Spark type of a declared column in `records`."""
    if isinstance(spec, NumberColumn) and spec.type == "decimal":
        return f"decimal({spec.precision},{spec.scale})"
    kind: str = spec.type  # type: ignore[attr-defined]
    return SPARK_TYPES.get(kind, kind)


def _steps(name: str, spec: ColumnBase, dtype: str, table: RawTable) -> list[Step]:
    match spec:
        case NumberColumn():
            return [_number_type(name, spec, dtype, table.source.point_zero), *_units(spec.units), *_range(spec.range)]
        case IntervalColumn():
            _only(name, dtype, spec.type, {"string"})
            return [Step("type", "an interval such as [70-80) or >200", _interval), *_range(spec.range)]
        case BooleanColumn():
            return [_boolean_type(name, spec, dtype)]
        case CategoryColumn():
            return _levels(name, spec, dtype, table)
        case TextColumn():
            _only(name, dtype, spec.type, {"string"})
            return [] if spec.matches is None else [_pattern(spec.matches)]
        case CodeColumn():
            _only(name, dtype, spec.type, {"string"})
            normalise = normalise_icd9 if spec.system == "ICD9CM" else normalise_icd10
            return [Step("code", f"a code of {spec.system}", normalise)]
        case DateColumn():
            return [_time_type(name, spec, dtype, table.source.timezone)]
    raise AssertionError(type(spec))


def _finish(spec: ColumnBase, table: RawTable) -> Callable[[Column], Column]:
    """What happens to a value that broke no rule: a code's meaning, or its category, takes its place."""
    if isinstance(spec, CategoryColumn) and spec.lookup is not None:
        return partial(_meaning, table.lookups[spec.lookup])
    if isinstance(spec, CodeColumn) and spec.roll_up == "category":
        return category
    return _same


def _only(name: str, dtype: str, declared: str, allowed: set[str] | frozenset[str]) -> None:
    if dtype not in allowed:
        raise InputError(
            f"column {name!r} is declared {declared}, which can be read from {' or '.join(sorted(allowed))}; "
            f"the source has {dtype}"
        )


# ---------------------------------------------------------------- steps


def _number_type(name: str, spec: NumberColumn, dtype: str, point_zero: bool) -> Step:
    target = spark_type(spec)
    expected = {
        "long": "a whole number",
        "integer": "a whole number of at most 32 bits",
        "double": "a number",
    }
    says = expected.get(spec.type, f"a number with at most {spec.scale} decimals")
    if dtype == "string":
        parse: dict[str, Callable[[Column], Column]] = {
            "double": _double,
            "decimal": partial(_decimal, spec.scale, target),
        }
        return Step("type", says, parse.get(spec.type, partial(_whole_with_point if point_zero else _whole, target)))
    allowed = set(_WHOLE_DTYPES)
    if spec.type == "double":
        allowed |= {"float", "double"}
    if spec.type in ("double", "decimal") and dtype.startswith("decimal"):
        allowed.add(dtype)
    _only(name, dtype, spec.type, allowed)
    if spec.type == "decimal" and dtype.startswith("decimal"):
        return Step("type", says, lambda v: F.when(v.try_cast(target).cast(dtype) == v, v.try_cast(target)))
    return Step("type", says, lambda v: _finite(v.try_cast(target)) if target == "double" else v.try_cast(target))


def _whole(target: str, text: Column) -> Column:
    return text.try_cast(target)  # refuses decimals, exponents and what does not fit


def _whole_with_point(target: str, text: Column) -> Column:
    return _whole(target, F.regexp_replace(text, r"^([+-]?[0-9]+)\.0+$", "$1"))


def _double(text: Column) -> Column:
    return _finite(F.when(text.rlike(NUMBER), text.try_cast("double")))


def _finite(value: Column) -> Column:
    return F.when(F.abs(value) < float("inf"), value)


def _decimal(scale: int, target: str, text: Column) -> Column:
    """A decimal with no digit rounded away: trailing zeros may go, others may not."""
    decimals = F.length(F.rtrim(F.regexp_extract(text, DECIMAL, 1), F.lit("0")))
    return F.when(text.rlike(DECIMAL) & (decimals <= scale), text.try_cast(target))


def _interval(text: Column) -> Column:
    low, high = (F.regexp_extract(text, INTERVAL, group).try_cast("double") for group in (1, 2))
    bound = F.regexp_extract(text, OPEN_INTERVAL, 1).try_cast("double")
    return F.coalesce(F.when(low <= high, (low + high) / 2), bound)


def _boolean_type(name: str, spec: BooleanColumn, dtype: str) -> Step:
    if dtype == "boolean":
        return Step("type", "true or false", _same)
    _only(name, dtype, "boolean", {"string", "boolean"})
    says = f"one of {', '.join((*spec.true_values, *spec.false_values))}"
    return Step(
        "type",
        says,
        lambda text: F.when(text.isin(*spec.true_values), True).when(text.isin(*spec.false_values), False),
    )


def _levels(name: str, spec: CategoryColumn, dtype: str, table: RawTable) -> list[Step]:
    _only(name, dtype, spec.type, {"string", *_WHOLE_DTYPES})
    if spec.lookup is not None:
        codes = list(table.lookups[spec.lookup].entries or {})
        return [Step("lookup", f"a code of {spec.lookup}", partial(_one_of, codes))]
    if spec.levels is not None:
        return [Step("level", f"one of {', '.join(spec.levels)}", partial(_one_of, list(spec.levels)))]
    return [] if dtype == "string" else [Step("type", "a level", lambda value: value.cast("string"))]


def _one_of(levels: list[str], value: Column) -> Column:
    text = value.cast("string")
    return F.when(text.isin(levels), text)


def _meaning(lookup: Lookup, code: Column) -> Column:
    pairs = (lookup.entries or {}).items()
    literals = [F.lit(item) for item in chain.from_iterable(pairs)]
    return F.element_at(F.create_map(*literals), code)


def _pattern(pattern: str) -> Step:
    return Step("pattern", f"text like {pattern}", lambda text: F.when(text.rlike(rf"\A(?:{pattern})\z"), text))


def _units(units: Units | None) -> list[Step]:
    if units is None:
        return []
    unit = F.coalesce(F.col(_at(units.column, 1)), F.lit(units.when_missing))
    names = list(units.to_unit)

    def convert(value: Column) -> Column:
        converted = F.when(unit == names[0], value * units.to_unit[names[0]].factor + units.to_unit[names[0]].offset)
        for name in names[1:]:
            scale = units.to_unit[name]
            converted = converted.when(unit == name, value * scale.factor + scale.offset)
        return _finite(converted)

    return [Step("unit", f"a unit of {', '.join(names)}", convert)]


def _range(allowed: Range | None) -> list[Step]:
    if allowed is None:
        return []
    low, high = allowed.low, allowed.high

    def within(value: Column) -> Column:
        inside = F.lit(True)
        if low is not None:
            inside = inside & (value >= low)
        if high is not None:
            inside = inside & (value <= high)
        return F.when(inside, value)

    ends = f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}".strip()
    return [Step("range", ends if low is not None else f"up {ends}", within)]


def _time_type(name: str, spec: DateColumn, dtype: str, timezone: str) -> Step:
    says = f"a {spec.type} like {spec.format}"
    if spec.type == "date":
        if dtype == "string":
            return Step("type", says, lambda text: F.try_to_timestamp(text, F.lit(spec.format)).cast("date"))
        _only(name, dtype, spec.type, {"date"})
        return Step("type", says, _same)
    _only(name, dtype, spec.type, {"string", "timestamp", "timestamp_ntz"})
    if dtype == "timestamp":
        return Step("type", says, _same)
    if dtype == "timestamp_ntz":
        return Step("type", says, lambda value: _in_utc(value.cast("timestamp"), timezone))

    def parse(text: Column) -> Column:
        wall_clock = F.try_to_timestamp(text, F.lit(spec.format))
        return wall_clock if _has_zone(spec.format) else _in_utc(wall_clock, timezone)

    return Step("type", says, parse)


def _has_zone(pattern: str) -> bool:
    """Whether a datetime pattern, its quoted text aside, holds a time zone or an offset."""
    return bool(set("".join(pattern.split("'")[::2])) & _ZONE_LETTERS)


def _in_utc(wall_clock: Column, timezone: str) -> Column:
    """The instant of a wall-clock time; null for a time that the clock skips in spring.

    A time that the clock shows twice in autumn is the first of the two.
    """
    instant = F.to_utc_timestamp(wall_clock, timezone)
    return F.when(F.from_utc_timestamp(instant, timezone) == wall_clock, instant)


# ---------------------------------------------------------------- back to text


def write_value(name: str, dtype: str, table: RawTable) -> Column:
    """A typed source value as its column would read it from text, so that a row set aside can be mended and read."""
    spec, value = table.columns[name], F.col(quoted(name))
    match spec:
        case BooleanColumn() if dtype == "boolean" and spec.true_values and spec.false_values:
            return F.when(value, spec.true_values[0]).when(~value, spec.false_values[0])
        case DateColumn() if dtype == "timestamp" and not _has_zone(spec.format):
            return F.date_format(F.from_utc_timestamp(value, table.source.timezone), spec.format)
        case DateColumn() if dtype in ("date", "timestamp", "timestamp_ntz"):
            return F.date_format(value, spec.format)
    return F.when(~F.isnan(value), value) if dtype in ("float", "double") else value
