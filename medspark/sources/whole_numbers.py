"""Whole numbers in columns that have a type of their own, in SQL: exact, or not a whole number."""

from typing import Final

from medspark.spark.columns import when

WHOLE_DTYPES: Final = frozenset({"tinyint", "smallint", "int", "bigint"})
_COUNTS_TO: Final = {"float": 2.0**24, "double": 2.0**53}
"""Below this each whole number has a floating-point number of its own."""


def is_number(dtype: str) -> bool:
    """Whether a Spark type is one of numbers.

    >>> is_number("decimal(38,0)"), is_number("string")
    (True, False)
    """
    return dtype in WHOLE_DTYPES or dtype in _COUNTS_TO or dtype.startswith("decimal")


def exact_whole(value: str, dtype: str, target: str) -> str:
    """A number as the whole-numbered Spark type `target`, null where it is not whole, too large, or not exact."""
    if dtype in WHOLE_DTYPES:
        return f"try_cast({value} AS {target})"
    if dtype in _COUNTS_TO:
        return when(f"abs({value}) < {_COUNTS_TO[dtype]}D AND {value} % 1 = 0", f"try_cast({value} AS {target})")
    return exact_decimal(value, dtype, target)


def exact_decimal(value: str, dtype: str, target: str) -> str:
    """A number as another exact type, null where digits would be lost."""
    cast = f"try_cast({value} AS {target})"
    return when(f"try_cast({cast} AS {dtype}) = {value}", cast)


def whole_text(value: str, dtype: str) -> str:
    """The digits of a whole number; null where it is none."""
    return f"string({exact_whole(value, dtype, 'decimal(38,0)')})"
