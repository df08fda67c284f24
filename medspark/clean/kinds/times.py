"""Text and times to dates, and to timestamps in UTC."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.steps import Kind, Step, of_column, require_dtype, unchanged
from medspark.task.columns import ISO_8601, TWO_DIGITS, DateColumn

MIDNIGHT: Final = r"[ Tt]00:00(?::00(?:\.0{1,9})?)?"
"""What may stand behind a day of ISO 8601, as databases export it."""
_NO_DIGITS: Final = r"(\.[0-9]{6})0{1,3}(?=\z|[Zz+-])"
"""Digits of a second behind the sixth that say nothing, as SQL Server and Java write them."""


def read_time(name: str, spec: DateColumn, dtype: str, timezone: str) -> Kind:
    step = _date(name, spec, dtype, timezone) if spec.type == "date" else _timestamp(name, spec, dtype, timezone)
    return Kind(spec.type, [step, *_range_steps(spec, timezone)])


def _date(name: str, spec: DateColumn, dtype: str, timezone: str) -> Step:
    says = f"a {spec.type} like {spec.format}"
    if dtype == "string":
        return Step("type", says, of_column(lambda text: _parsed(_day_alone(text, spec), spec).cast("date")))
    require_dtype(name, dtype, spec.type, {"string", "date", "timestamp", "timestamp_ntz"})
    if dtype == "date":
        return Step("type", says, unchanged)

    def whole_day(value: Column) -> Column:
        local = F.from_utc_timestamp(value, timezone) if dtype == "timestamp" else value
        return F.when(local == F.date_trunc("day", local), local.cast("date"))

    return Step("type", f"{says}, without a time of day", of_column(whole_day))


def _timestamp(name: str, spec: DateColumn, dtype: str, timezone: str) -> Step:
    says = f"a {spec.type} like {spec.format}"
    require_dtype(name, dtype, spec.type, {"string", "date", "timestamp", "timestamp_ntz"})
    if dtype == "timestamp":
        return Step("type", says, unchanged)
    if dtype in ("date", "timestamp_ntz"):
        return Step("type", says, of_column(lambda value: _in_utc(value.cast("timestamp"), timezone)))

    def parse(text: Column) -> Column:
        text = _six_digits(text, spec)
        if spec.has_zone:
            return _parsed(text, spec)
        wall_clock = _parsed(text, spec, spec.without_zone)
        instant = _in_utc(wall_clock, timezone)
        if spec.without_zone == spec.format:
            return instant
        # A time that the clock skips is none, and not one in UTC
        return F.when(wall_clock.isNotNull(), instant).otherwise(_parsed(text, spec))

    return Step("type", says, of_column(parse))


def _day_alone(text: Column, spec: DateColumn) -> Column:
    """A day of ISO 8601 without the midnight that may stand behind it."""
    if spec.format != ISO_8601["date"]:
        return text
    return F.when(F.length(text) > len("2020-07-01"), F.regexp_replace(text, rf"{MIDNIGHT}\z", "")).otherwise(text)


def _six_digits(text: Column, spec: DateColumn) -> Column:
    """A time of ISO 8601 with at most six digits of a second, where the others are 0."""
    if spec.format != ISO_8601["timestamp"]:
        return text
    shortest = len("2020-07-0112:00:00.0000000")
    return F.when(F.length(text) >= shortest, F.regexp_replace(text, _NO_DIGITS, "$1")).otherwise(text)


def _parsed(text: Column, spec: DateColumn, pattern: str | None = None) -> Column:
    """The wall-clock time of a text, in the century that the task tells; null for a day that the year does not have."""
    parsed = F.try_to_timestamp(text, F.lit(pattern or spec.format))
    first = spec.first_year
    if first is None or not TWO_DIGITS.search(spec.letters):
        return parsed
    in_century = _years_later(parsed, first + F.pmod(F.year(parsed) - first, F.lit(100)) - F.year(parsed))
    low = spec.range.low if spec.range is not None and spec.pivot_year is None else None
    if low is None:
        return in_century
    return F.when(in_century.cast("date") < F.lit(low), _years_later(in_century, F.lit(100))).otherwise(in_century)


def _years_later(time: Column, years: Column) -> Column:
    later = time + F.make_ym_interval(years.cast("int"), F.lit(0))
    return F.when(F.dayofmonth(later) == F.dayofmonth(time), later)  # 29 February is none in 1900


def _range_steps(spec: DateColumn, timezone: str) -> list[Step]:
    if spec.range is None:
        return []
    low, high = spec.range.low, spec.range.high

    def within(value: Column) -> Column:
        day = F.from_utc_timestamp(value, timezone).cast("date") if spec.type == "timestamp" else value
        inside = F.lit(True)
        if low is not None:
            inside = inside & (day >= F.lit(low))
        if high is not None:
            inside = inside & (day <= F.lit(high))
        return F.when(inside, value)

    return [Step("range", f"{low or 'any day'} to {high or 'any day'}", of_column(within))]


def _in_utc(wall_clock: Column, timezone: str) -> Column:
    """The instant of a wall-clock time; null for a time that the clock skips in spring.

    A time that the clock shows twice in autumn is the first of the two.
    """
    instant = F.to_utc_timestamp(wall_clock, timezone)
    return F.when(F.from_utc_timestamp(instant, timezone) == wall_clock, instant)
