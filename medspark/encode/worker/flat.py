"""Columns of a batch as flat numpy arrays: numbers, ids of a vocabulary, the entries of lists and maps. No Spark here.

Slices and nulls are heeded everywhere, so a row's entries are the same in whatever batch the row comes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.encode.kinds.base import FIRST_ID, KNOTS, MISSING_ID, UNKNOWN_ID

CLIP = 3.0
"""Spreads from the median that a smoothly scaled value never passes."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shares = Iterator[tuple[str, npt.NDArray[Any]]]
"""Inputs of the network, or features' shares of them, by name, each (n, width)."""


class Entries(NamedTuple):
    """The entries of all rows behind one another."""

    row: Ints
    """(m,) the row of each."""
    place: Ints
    """(m,) its place in its row, from 0."""
    lengths: Ints
    """(n,) entries of each row; 0 where the row is null."""
    items: pa.Array
    """(m,) the entries; of a map, structs of key and value."""


def entries(column: pa.Array) -> Entries:
    """A column of lists or maps, flattened."""
    if pa.types.is_map(column.type):
        # On a map, pyarrow's flatten raises, list_parent_indices aborts, and keys and items forget the slice
        pair = pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])
        column = column.cast(pa.list_(pair))
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    row = np.repeat(np.arange(len(column)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Entries(row, place, lengths, column.flatten())


def as_float(column: pa.Array) -> Floats:
    """Values as doubles, NaN where null; whole numbers past 2^53 round, as every network's inputs do."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def ids_of(column: pa.Array, vocabulary: tuple[str, ...]) -> npt.NDArray[np.int32]:
    """Each text's id in the vocabulary: MISSING_ID where null, UNKNOWN_ID where not in it.

    >>> ids_of(pa.array(["F", None, "X", "M"]), ("F", "M")).tolist()
    [2, 0, 1, 3]
    """
    text = column.cast(pa.string())
    found = pc.index_in(text, value_set=pa.array(vocabulary, pa.string()))
    ids = pc.add(found, pa.scalar(FIRST_ID, pa.int32()))
    known = pc.fill_null(ids, pa.scalar(UNKNOWN_ID, pa.int32()))
    filled: npt.NDArray[np.int32] = pc.if_else(pc.is_valid(text), known, pa.scalar(MISSING_ID, pa.int32())).to_numpy(
        zero_copy_only=False
    )
    return filled


def distinct_ids(row: Ints, ids: npt.NDArray[np.int32], rows: int, width: int) -> npt.NDArray[np.int32]:
    """Each row's ids once each, the highest first, at most `width`, padded with 0: (rows, width).

    Args:
        row: (m,) the row of each id.
        ids: (m,) where 0 is none.

    >>> distinct_ids(np.array([0, 0, 0, 2]), np.array([2, 5, 2, 0], np.int32), rows=3, width=3).tolist()
    [[5, 2, 0], [0, 0, 0], [0, 0, 0]]
    """
    size = int(ids.max(initial=0)) + 1
    key = np.unique(row * size + (size - 1 - ids))  # rises by row, then falls by id
    row, falling = key // size, size - 1 - key % size
    row, falling = row[falling != MISSING_ID], falling[falling != MISSING_ID]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    out = np.full((rows, width), MISSING_ID, np.int32)
    out[row[place < width], place[place < width]] = falling[place < width]
    return out


def drawn_in(deviation: Floats) -> Floats:
    """Deviations drawn smoothly within CLIP: nothing changes near 0, and no value is worth more than CLIP spreads.

    As RealMLP does (Holzmüller et al. 2024): z / sqrt(1 + (z / 3)^2).

    >>> drawn_in(np.array([0.0, 0.5, -3.0, 1e300])).round(3).tolist()
    [0.0, 0.493, -2.121, 3.0]
    """
    return deviation / np.hypot(1.0, deviation / CLIP)


def quantile_place(value: Floats, knots: npt.ArrayLike) -> Floats:
    """Where values lie among the quantiles at KNOTS, in [0, 1]: linear between two, the middle of those that tie.

    Args:
        value: (...) finite.
        knots: (KNOTS,) for all values, or (..., KNOTS) for each.

    >>> knots = (0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 9, 20, 50)  # two in ten of the training cases had 0
    >>> quantile_place(np.array([0.0, 3.5, 50.0]), knots).round(3).tolist()
    [0.1, 0.65, 1.0]
    """
    x = np.asarray(knots, np.float64)
    share = _tied_shares(x)
    last = len(KNOTS) - 1
    reached = (x <= value[..., None]).sum(axis=-1)
    x, share = np.broadcast_to(x, (*value.shape, last + 1)), np.broadcast_to(share, (*value.shape, last + 1))

    def at(array: Floats, index: Ints) -> Floats:
        return np.take_along_axis(array, index[..., None], axis=-1)[..., 0]

    low, high = np.maximum(reached - 1, 0), np.minimum(reached, last)
    step = at(x, high) - at(x, low)
    slope = (at(share, high) - at(share, low)) / np.where(step > 0, step, 1.0)
    place: Floats = slope * np.where(step > 0, value - at(x, low), 0.0) + at(share, low)
    return place


def _tied_shares(knots: Floats) -> Floats:
    """The share at each knot, (..., KNOTS): of knots that tie, the mean of the first one's and the last one's."""
    share = np.asarray(KNOTS)
    index = np.arange(len(KNOTS))
    new = np.diff(knots, axis=-1, prepend=np.nan) != 0
    first = np.maximum.accumulate(np.where(new, index, 0), axis=-1)
    ends = np.diff(knots, axis=-1, append=np.nan) != 0
    last = np.flip(np.minimum.accumulate(np.flip(np.where(ends, index, index[-1]), axis=-1), axis=-1), axis=-1)
    shares: Floats = (share[first] + share[last]) / 2
    return shares
