"""What a kind of column is made of: the Spark type it becomes, and the rules on the way there."""

from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.sources.whole_numbers import WHOLE_DTYPES, is_number
from medspark.spark.columns import Value

Apply = Callable[[str], Value]
"""What is computed of a column, which SQL calls by its argument."""


class Step(NamedTuple):
    """One rule of a column: `apply` gives the value, or null where the rule is broken."""

    rule: str
    expected: str
    apply: Apply


def unchanged(place: str) -> str:
    return place


def of_column(compute: Callable[[Column], Column]) -> Apply:
    return lambda place: compute(F.col(place))


class Kind(NamedTuple):
    """How a column is read: its steps in order, then `finish`, then a cast to the Spark type it has in `records`."""

    dtype: str
    steps: list[Step]
    finish: Apply = unchanged
    """What takes the place of a value that broke no rule, such as a code's meaning."""


def require_dtype(name: str, dtype: str, declared: str, allowed: set[str] | frozenset[str]) -> None:
    """Refuse a source's column of a type that the declared one is not read from.

    Raises:
        InputError: naming the column and both types.
    """
    if dtype not in allowed:
        raise InputError(
            f"column {name!r} is declared {declared}, which can be read from {' or '.join(sorted(allowed))}; "
            f"the source has {dtype}"
        )


def numbers_and(dtype: str, *others: str) -> set[str]:
    """The Spark types of numbers, of decimals the one of `dtype`, and others.

    >>> sorted(numbers_and("decimal(38,0)") - numbers_and("string"))
    ['decimal(38,0)']
    """
    return {*WHOLE_DTYPES, "float", "double", *([dtype] if is_number(dtype) else []), *others}


def step_name(name: str, depth: int) -> str:
    """The column that holds a column's value after so many steps, the first of which trims it.

    >>> step_name("age", 1)
    '_age:1'
    """
    return f"_{name}:{depth}"
