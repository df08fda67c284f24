"""Text and times to dates, and to timestamps in UTC."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.steps import Kind, Step, require_dtype, unchanged
from medspark.task.columns import DateColumn


def read_time(name: str, spec: DateColumn, dtype: str, timezone: str) -> Kind:
    step = _date(name, spec, dtype) if spec.type == "date" else _timestamp(name, spec, dtype, timezone)
    return Kind(spec.type, [step])


def _date(name: str, spec: DateColumn, dtype: str) -> Step:
    says = f"a {spec.type} like {spec.format}"
    if dtype == "string":
        return Step("type", says, lambda text: F.try_to_timestamp(text, F.lit(spec.format)).cast("date"))
    require_dtype(name, dtype, spec.type, {"date"})
    return Step("type", says, unchanged)


def _timestamp(name: str, spec: DateColumn, dtype: str, timezone: str) -> Step:
    says = f"a {spec.type} like {spec.format}"
    require_dtype(name, dtype, spec.type, {"string", "timestamp", "timestamp_ntz"})
    if dtype == "timestamp":
        return Step("type", says, unchanged)
    if dtype == "timestamp_ntz":
        return Step("type", says, lambda value: _in_utc(value.cast("timestamp"), timezone))

    def parse(text: Column) -> Column:
        wall_clock = F.try_to_timestamp(text, F.lit(spec.format))
        return wall_clock if spec.has_zone else _in_utc(wall_clock, timezone)

    return Step("type", says, parse)


def _in_utc(wall_clock: Column, timezone: str) -> Column:
    """The instant of a wall-clock time; null for a time that the clock skips in spring.

    A time that the clock shows twice in autumn is the first of the two.
    """
    instant = F.to_utc_timestamp(wall_clock, timezone)
    return F.when(F.from_utc_timestamp(instant, timezone) == wall_clock, instant)
