"""Text and numbers to numbers: types, units, ranges, intervals."""

from collections.abc import Callable
from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.kinds.steps import WHOLE_DTYPES, Step, require_dtype, spark_type, step_column
from medspark.task.base import Range
from medspark.task.columns import NumberColumn, Units

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"

DECIMAL = r"^[+-]?(?=\.?[0-9])[0-9]*(?:\.([0-9]*))?$"

INTERVAL = r"^[\[(]\s*(-?[0-9]+(?:\.[0-9]+)?)\s*-\s*(-?[0-9]+(?:\.[0-9]+)?)\s*[\])]$"

OPEN_INTERVAL = r"^[<>]=?\s*(-?[0-9]+(?:\.[0-9]+)?)$"


def number_type(name: str, spec: NumberColumn, dtype: str, point_zero: bool) -> Step:
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
    allowed = set(WHOLE_DTYPES)
    if spec.type == "double":
        allowed |= {"float", "double"}
    if spec.type in ("double", "decimal") and dtype.startswith("decimal"):
        allowed.add(dtype)
    require_dtype(name, dtype, spec.type, allowed)
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


def interval_middle(text: Column) -> Column:
    low, high = (F.regexp_extract(text, INTERVAL, group).try_cast("double") for group in (1, 2))
    bound = F.regexp_extract(text, OPEN_INTERVAL, 1).try_cast("double")
    return F.coalesce(F.when(low <= high, (low + high) / 2), bound)


def unit_steps(units: Units | None) -> list[Step]:
    if units is None:
        return []
    unit = F.coalesce(F.col(step_column(units.column, 1)), F.lit(units.when_missing))
    names = list(units.to_unit)

    def convert(value: Column) -> Column:
        converted = F.when(unit == names[0], value * units.to_unit[names[0]].factor + units.to_unit[names[0]].offset)
        for name in names[1:]:
            scale = units.to_unit[name]
            converted = converted.when(unit == name, value * scale.factor + scale.offset)
        return _finite(converted)

    return [Step("unit", f"a unit of {', '.join(names)}", convert)]


def range_steps(allowed: Range | None) -> list[Step]:
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
