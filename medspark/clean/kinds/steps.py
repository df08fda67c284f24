"""One rule of a column."""

from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import Column

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.task.columns import ColumnBase, NumberColumn


class Step(NamedTuple):
    """One rule of a column: `apply` gives the value, or null where the rule is broken."""

    rule: str
    expected: str
    apply: Callable[[Column], Column]


def require_dtype(name: str, dtype: str, declared: str, allowed: set[str] | frozenset[str]) -> None:
    if dtype not in allowed:
        raise InputError(
            f"column {name!r} is declared {declared}, which can be read from {' or '.join(sorted(allowed))}; "
            f"the source has {dtype}"
        )


def unchanged(value: Column) -> Column:
    return value


WHOLE_DTYPES = frozenset({"tinyint", "smallint", "int", "bigint"})


def step_column(name: str, depth: int) -> str:
    """The column that holds a value after so many steps, as Spark SQL reads it."""
    return quoted(f"_{name}:{depth}")


SPARK_TYPES = {
    "long": "bigint",
    "integer": "int",
    "interval": "double",
    "category": "string",
    "code": "string",
}


def spark_type(spec: ColumnBase) -> str:
    """The Spark type of a declared column in `records`."""
    if isinstance(spec, NumberColumn) and spec.type == "decimal":
        return f"decimal({spec.precision},{spec.scale})"
    kind: str = spec.type  # type: ignore[attr-defined]
    return SPARK_TYPES.get(kind, kind)
