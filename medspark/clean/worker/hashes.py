"""Hashes of keys, by which rows that are the same are found. No Spark here."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medspark.clean.worker.staged import Hashes
from medspark.clean.worker.texts import bytes_of
from medspark.sources.worker.xxhash64 import hash_texts

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_NOTHING: Final = np.uint64(0x5851F42D4C957F2D)


def hash_keys(columns: list[pa.Array]) -> Hashes:
    """A hash of each row of some columns: rows that are the same have the same; nulls are alike."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            mixed = (mixed ^ _hashed(column)) * _MIX
            mixed ^= mixed >> np.uint64(29)
    return mixed


def _hashed(column: pa.Array) -> Hashes:
    if pa.types.is_string(column.type):
        offsets, data = bytes_of(column)
        found = hash_texts(data.tobytes(), offsets[:-1], offsets[1:]).view(np.uint64)
    else:
        kind = {pa.date32(): pa.int32(), pa.bool_(): pa.int8()}.get(column.type, pa.int64())
        found = column.cast(kind).cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)
    return np.where(pc.is_null(column).to_numpy(zero_copy_only=False), _NOTHING, found)
