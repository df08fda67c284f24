"""Columns of a frame as SQL: of thousands of columns, a call to Java for each part of each would take minutes."""

from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.schemas import quoted

Value = Column | str
"""What is computed: a column, or SQL."""


def when(condition: str, value: str) -> str:
    """A value where a condition holds, in SQL; else null."""
    return f"CASE WHEN {condition} THEN {value} END"


def select(frame: DataFrame, kept: Iterable[str], values: Mapping[str, Value]) -> DataFrame:
    """Columns that stay as they are, in SQL ("*" for all), and values under new names, those in SQL first."""
    texts = [*kept, *(f"{value} AS {quoted(name)}" for name, value in values.items() if isinstance(value, str))]
    columns = [value.alias(name) for name, value in values.items() if isinstance(value, Column)]
    return frame.select(*map(F.expr, texts), *columns) if columns else frame.selectExpr(texts)
