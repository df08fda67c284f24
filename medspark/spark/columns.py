"""Columns of a frame as SQL: of thousands of columns, a call to Java for each part of each would take minutes."""

from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.schemas import quoted

Value = Column | str
"""What is computed: a column, or SQL."""


def listed(names: Iterable[str]) -> str:
    """Names as Spark SQL reads them in a list: of thousands a call to Java each would take minutes.

    >>> listed(["age", "a-b"])
    '`age`, `a-b`'
    """
    return ", ".join(map(quoted, names))


def literal(text: str) -> str:
    """`text` as Spark SQL reads it, a string; a `$` would begin the name of a setting.

    >>> print(literal("it's 5 $ "), literal("a\\\\b"))
    'it\\'s 5 \\u0024 ' 'a\\\\b'
    """
    return "'" + text.replace("\\", r"\\").replace("'", r"\'").replace("$", r"\u0024") + "'"


def when(condition: str, value: str) -> str:
    """A value where a condition holds, in SQL; else null."""
    return f"CASE WHEN {condition} THEN {value} END"


def select(frame: DataFrame, kept: Iterable[str], values: Mapping[str, Value]) -> DataFrame:
    """Columns that stay as they are, in SQL ("*" for all), and values under new names, those in SQL first."""
    texts = [*kept, *(f"{value} AS {quoted(name)}" for name, value in values.items() if isinstance(value, str))]
    columns = [value.alias(name) for name, value in values.items() if isinstance(value, Column)]
    return frame.select(*map(F.expr, texts), *columns) if columns else frame.selectExpr(texts)
