"""Whole numbers in columns that have a type of their own: exact, or not a whole number."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

WHOLE_DTYPES: Final = frozenset({"tinyint", "smallint", "int", "bigint"})
_COUNTS_TO: Final = {"float": 2.0**24, "double": 2.0**53}
"""Below this each whole number has a floating-point number of its own."""


def is_number(dtype: str) -> bool:
    """Whether a Spark type is one of numbers.

    >>> is_number("decimal(38,0)"), is_number("string")
    (True, False)
    """
    return dtype in WHOLE_DTYPES or dtype in _COUNTS_TO or dtype.startswith("decimal")


def exact_whole(value: Column, dtype: str, target: str) -> Column:
    """A number as the whole-numbered Spark type `target`, null where it is not whole, too large, or not exact."""
    if dtype in WHOLE_DTYPES:
        return value.try_cast(target)
    if dtype in _COUNTS_TO:
        return F.when((F.abs(value) < _COUNTS_TO[dtype]) & (value % 1 == 0), value.try_cast(target))
    return exact_decimal(value, dtype, target)


def exact_decimal(value: Column, dtype: str, target: str) -> Column:
    """A number as another exact type, null where digits would be lost."""
    cast = value.try_cast(target)
    return F.when(cast.try_cast(dtype) == value, cast)


def whole_text(value: Column, dtype: str) -> Column:
    """The digits of a whole number; null where it is none."""
    return exact_whole(value, dtype, "decimal(38,0)").cast("string")
