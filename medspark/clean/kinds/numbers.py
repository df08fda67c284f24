"""Numbers, and intervals between two: their types, units and ranges."""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.steps import Apply, Kind, Step, numbers_and, of_column, require_dtype, step_name
from medspark.schemas import quoted
from medspark.sources.whole_numbers import exact_decimal, exact_whole
from medspark.spark.columns import literal, when
from medspark.task.base import Range
from medspark.task.columns import IntervalColumn, NumberColumn, Units
from medspark.task.raw_table import TableSource

NUMBER: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"

_DECIMAL: Final = r"^[+-]?(?=\.?[0-9])[0-9]*(?:\.([0-9]*))?$"

_INTERVAL: Final = r"^[\[(]\s*(-?[0-9]+(?:\.[0-9]+)?)\s*-\s*(-?[0-9]+(?:\.[0-9]+)?)\s*[\])]$"

_BOUND: Final = r"^[<>]=?\s*(-?[0-9]+(?:\.[0-9]+)?)$"

_SPARK_TYPES: Final = {"long": "bigint", "integer": "int", "double": "double"}

_EXPECTED: Final = {
    "long": "a whole number",
    "integer": "a whole number of at most 32 bits",
    "double": "a number",
}


def read_number(name: str, spec: NumberColumn, dtype: str, source: TableSource) -> Kind:
    target = f"decimal({spec.precision},{spec.scale})" if spec.type == "decimal" else _SPARK_TYPES[spec.type]
    says = _EXPECTED.get(spec.type, f"a number with at most {spec.scale} decimals")
    parse = _parser(spec, target, source) if dtype == "string" else _caster(name, spec, target, dtype)
    return Kind(target, [Step("type", says, parse), *_unit_steps(spec.units), *_range_steps(spec.range)])


def read_interval(name: str, spec: IntervalColumn, dtype: str) -> Kind:
    require_dtype(name, dtype, spec.type, {"string"})
    step = Step("type", "an interval such as [70-80) or >200", of_column(_interval_middle))
    return Kind("double", [step, *_range_steps(spec.range)])


def _parser(spec: NumberColumn, target: str, source: TableSource) -> Apply:
    """Text to a number of a Spark type."""
    parse: Callable[[str], str]
    if spec.type == "double":
        parse = _double
    elif spec.type == "decimal":
        parse = partial(_decimal, spec.scale, target)
    else:
        parse = partial(_whole_with_point if source.point_zero else _whole, target)
    dialect = source.dialect
    if dialect is None or not dialect.writes_numbers_otherwise:
        return parse
    return lambda text: parse(_with_point(text, dialect.decimal, dialect.thousands or ""))


def _with_point(text: str, decimal: str, thousands: str) -> str:
    """A number as programs write it; null where digits are not grouped by three, or a mark is out of place."""
    thousands = " " if thousands.isspace() else thousands  # which every space is by now
    groups = rf"[0-9]{{1,3}}(?:{re.escape(thousands)}[0-9]{{3}})+|" if thousands else ""
    pattern = rf"^[+-]?(?:{groups}[0-9]*)(?:{re.escape(decimal)}[0-9]*)?(?:[eE][+-]?[0-9]+)?$"
    plain = f"replace({text}, {literal(thousands)}, '')" if thousands else text
    return when(f"{text} RLIKE {literal(pattern)}", f"replace({plain}, {literal(decimal)}, '.')")


def _caster(name: str, spec: NumberColumn, target: str, dtype: str) -> Apply:
    """A source's own numbers to a Spark type that holds them.

    Raises:
        InputError: the declared type does not hold all of them.
    """
    require_dtype(name, dtype, spec.type, numbers_and(dtype, "string"))
    if spec.type == "double":
        return lambda value: _finite(f"try_cast({value} AS {target})")
    if spec.type == "decimal":
        return lambda value: exact_decimal(value, dtype, target)
    return lambda value: exact_whole(value, dtype, target)


def _whole(target: str, text: str) -> str:
    return f"try_cast({text} AS {target})"  # refuses decimals, exponents and what does not fit


def _whole_with_point(target: str, text: str) -> str:
    point_zero = literal(r"^([+-]?[0-9]+)\.0+$")
    return _whole(target, f"regexp_replace({text}, {point_zero}, {literal('$1')})")


def _double(text: str) -> str:
    return _finite(when(f"{text} RLIKE {literal(NUMBER)}", f"try_cast({text} AS double)"))


def finite(value: Column) -> Column:
    """The number, null where it is infinite or not a number."""
    return F.when(F.abs(value) < float("inf"), value)


def _finite(value: str) -> str:
    """The same in SQL."""
    return when(f"abs({value}) < double('Infinity')", value)


def _decimal(scale: int, target: str, text: str) -> str:
    """A decimal with no digit rounded away: trailing zeros may go, others may not."""
    decimal = literal(_DECIMAL)
    decimals = f"length(trim(TRAILING '0' FROM regexp_extract({text}, {decimal}, 1)))"
    return when(f"{text} RLIKE {decimal} AND {decimals} <= {scale}", f"try_cast({text} AS {target})")


def _interval_middle(text: Column) -> Column:
    """The middle of an interval between two numbers; of one with a single end, that end."""
    low, high = (F.regexp_extract(text, _INTERVAL, group).try_cast("double") for group in (1, 2))
    bound = F.regexp_extract(text, _BOUND, 1).try_cast("double")
    return F.coalesce(F.when(low <= high, (low + high) / 2), bound)


def _unit_steps(units: Units | None) -> list[Step]:
    if units is None:
        return []
    unit = F.coalesce(F.col(quoted(step_name(units.column, 1))), F.lit(units.when_missing))
    names = list(units.to_unit)

    def convert(value: Column) -> Column:
        converted = F.when(unit == names[0], value * units.to_unit[names[0]].factor + units.to_unit[names[0]].offset)
        for name in names[1:]:
            scale = units.to_unit[name]
            converted = converted.when(unit == name, value * scale.factor + scale.offset)
        return finite(converted)

    return [Step("unit", f"a unit of {', '.join(names)}", of_column(convert))]


def _range_steps(allowed: Range | None) -> list[Step]:
    if allowed is None:
        return []
    low, high = allowed.low, allowed.high

    def within(value: str) -> str:
        inside = [f"{value} {sign} double('{end!r}')" for sign, end in ((">=", low), ("<=", high)) if end is not None]
        return when(" AND ".join(inside), value)

    ends = f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}".strip()
    return [Step("range", ends if low is not None else f"up {ends}", within)]
