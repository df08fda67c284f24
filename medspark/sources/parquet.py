"""What a Parquet file holds, by its footer: each column's stored type, and whether it has any value at all."""

import struct
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import SparkContext

from medspark.errors import InputError
from medspark.sources.stored import HALF_FLOAT, NANOSECONDS, NANOSECONDS_NTZ, NULL, StoredFile
from medspark.store.files import read_end

_MAGIC: Final = b"PAR1"
_TAIL: Final = 64 * 1024
"""Bytes at a file's end that most footers fit in."""

_PHYSICAL: Final = {
    "BOOLEAN": "boolean", "INT32": "int", "INT64": "bigint", "INT96": "timestamp", "FLOAT": "float",
    "DOUBLE": "double", "BYTE_ARRAY": "binary", "FIXED_LEN_BYTE_ARRAY": "binary",
}  # fmt: skip
_LOGICAL: Final = {
    "STRING": "string", "ENUM": "string", "JSON": "string", "DATE": "date", "FLOAT16": HALF_FLOAT,
    "UNKNOWN": NULL,
}  # fmt: skip
_WHOLE: Final = {
    "INT_8": "tinyint", "INT_16": "smallint", "INT_32": "int", "INT_64": "bigint",
    "UINT_8": "smallint", "UINT_16": "int", "UINT_32": "bigint", "UINT_64": "decimal(20,0)",
}  # fmt: skip


def look_at_parquet(context: SparkContext, file: str) -> StoredFile:
    """A Parquet file's columns, without a job of Spark, which knows neither null nor nanoseconds nor half floats.

    Raises:
        InputError: it is no Parquet file, or is damaged.
    """
    footer = _footer(context, file)
    dtypes: dict[str, str] = {}
    empty = set()
    for at in range(footer.num_columns):
        column = footer.schema.column(at)
        if column.max_repetition_level or column.max_definition_level > 1 or column.path != column.name:
            dtypes[column.path.split(".")[0]] = "nested"
            continue
        dtypes[column.name] = _dtype(column)
        if _has_no_value(footer, at):
            empty.add(column.name)
    return StoredFile(file, dtypes, frozenset(empty))


def _footer(context: SparkContext, file: str) -> Any:
    tail = read_end(context, file, _TAIL)
    if len(tail) < 12 or tail[-4:] != _MAGIC:
        raise InputError(f"{file}: a file cannot be read. It is not a Parquet file.")
    size = struct.unpack("<I", tail[-8:-4])[0] + 8
    tail = tail if size <= len(tail) else read_end(context, file, size)
    try:
        return pq.read_metadata(pa.BufferReader(_MAGIC + tail[-size:]))
    except (pa.ArrowException, OSError):
        hint = "It is damaged, or not of the format that the task names."
        raise InputError(f"{file}: a file cannot be read. {hint}") from None


def _dtype(column: Any) -> str:
    """The Spark type of a column, or a name for what Spark has no type for."""
    logical, words = column.logical_type.type, str(column.logical_type)
    if logical == "TIMESTAMP":
        in_utc = "isAdjustedToUTC=true" in words
        if "nanoseconds" in words:
            return NANOSECONDS if in_utc else NANOSECONDS_NTZ
        return "timestamp" if in_utc else "timestamp_ntz"
    if logical == "INT" and column.converted_type in _WHOLE:
        return _WHOLE[column.converted_type]
    if logical == "DECIMAL":
        return f"decimal({column.precision},{column.scale})"
    if logical == "NONE":
        return _PHYSICAL[column.physical_type]
    return _LOGICAL.get(logical, str(logical).lower())


def _has_no_value(footer: Any, at: int) -> bool:
    """Whether the counts beside the data say that every value of a column is null."""
    for group in range(footer.num_row_groups):
        counts = footer.row_group(group).column(at).statistics
        if counts is None or not counts.has_null_count or counts.null_count != footer.row_group(group).num_rows:
            return False
    return True
