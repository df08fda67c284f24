"""How columns that have a type of their own are read, file by file, and made one type where nothing is lost by it."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.schemas import quoted
from medspark.spark.columns import Value

NULL: Final = "null"
"""The type of a column that has no value, which is of every type."""
HALF_FLOAT: Final = "half float"
NANOSECONDS, NANOSECONDS_NTZ = "timestamp in nanoseconds", "timestamp_ntz in nanoseconds"

READ_AS: Final = {HALF_FLOAT: "binary", NANOSECONDS: "bigint", NANOSECONDS_NTZ: "bigint"}
"""What Spark's reader is asked for where it has no such type."""
_BECOMES: Final = {HALF_FLOAT: "float", NANOSECONDS: "timestamp", NANOSECONDS_NTZ: "timestamp_ntz"}
_WIDTHS: Final = ("tinyint", "smallint", "int", "bigint")


class StoredFile(NamedTuple):
    """A file's columns by their types as stored, and those of them that have no value in it."""

    file: str
    dtypes: dict[str, str]
    empty: frozenset[str] = frozenset()


class ReadColumn(NamedTuple):
    """How one column of one file is read: its type there (NULL: not at all), and the type that it then has."""

    stored: str
    dtype: str


def plan_columns(files: list[StoredFile], names: Iterable[str]) -> dict[str, dict[str, ReadColumn]]:
    """How each file's columns are read, by file: of one type where that loses nothing, else of the file's own.

    >>> one, two = StoredFile("1", {"a": "int"}), StoredFile("2", {"a": "bigint"})
    >>> plan_columns([one, two], ["a"])["1"]
    {'a': ReadColumn(stored='int', dtype='bigint')}
    """
    plan: dict[str, dict[str, ReadColumn]] = {file.file: {} for file in files}
    for name in names:
        full = {f.dtypes[name] for f in files if f.dtypes.get(name, NULL) != NULL and name not in f.empty}
        known = {_BECOMES.get(dtype, dtype) for dtype in full}
        common = _common(known)
        for file in files:
            stored = file.dtypes.get(name, NULL)
            if stored not in full:
                plan[file.file][name] = ReadColumn(NULL, common or min(known, default="string"))
            else:
                plan[file.file][name] = ReadColumn(stored, common or _BECOMES.get(stored, stored))
    return plan


def _common(dtypes: set[str]) -> str | None:
    """The one type that holds all values of these types exactly; None where there is none."""
    if len(dtypes) == 1:
        return next(iter(dtypes))
    if dtypes and dtypes <= set(_WIDTHS):
        return max(dtypes, key=_WIDTHS.index)
    return "double" if dtypes == {"float", "double"} else None


def stored_value(name: str, column: ReadColumn) -> Value:
    """A column as the file has it, of the type that all its files are read as."""
    if column.stored == HALF_FLOAT:
        return _from_half(F.col(quoted(name))).cast(column.dtype)
    value = quoted(name)
    if column.stored == NULL:
        value = "null"
    elif column.stored in (NANOSECONDS, NANOSECONDS_NTZ):
        value = f"timestamp_micros({value} div 1000)"
    return f"cast({value} AS {column.dtype})"


def lost_digits(columns: Mapping[str, ReadColumn]) -> Column | None:
    """The names of a row's times that are between two microseconds, a line each; None where no column can have such."""
    names = [name for name, column in columns.items() if column.stored in (NANOSECONDS, NANOSECONDS_NTZ)]
    if not names:
        return None
    return F.concat_ws("\n", *(F.when(F.col(quoted(name)) % 1000 != 0, name) for name in names))


def _from_half(value: Column) -> Column:
    """IEEE 754's binary16, little-endian, of which Spark reads the two bytes alone."""
    digits = F.hex(value)
    bits = F.conv(F.concat(F.substring(digits, 3, 2), F.substring(digits, 1, 2)), 16, 10).cast("int")
    exponent, fraction = F.shiftright(bits, 10).bitwiseAND(F.lit(31)), bits.bitwiseAND(F.lit(1023)) / 1024
    size = (
        F.when(exponent == 0, fraction * 2.0**-14)
        .when(exponent < 31, (fraction + 1) * F.pow(F.lit(2.0), exponent - 15))
        .otherwise(F.when(fraction == 0, float("inf")).otherwise(float("nan")))
    )
    return F.when(bits >= 2**15, -size).otherwise(size)
