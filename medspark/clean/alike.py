"""Rows that are the same as another one, found among those that workers put down: by hashes, then by what is hashed."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
AT: Final = "at"


class Hashed(NamedTuple):
    """Rows by their places, and a hash of each one's key."""

    at: Places
    hashes: Hashes


def suspects(parts: Iterable[Hashed], left_out: Places) -> Places:
    """The places of rows whose hash another row has, sorted.

    Args:
        parts: of all rows.
        left_out: the places of rows that compete with nobody.
    """
    parts = list(parts)
    at = np.concatenate([part.at for part in parts] or [np.zeros(0, np.int64)])
    hashes = np.concatenate([part.hashes for part in parts] or [np.zeros(0, np.uint64)])
    if len(left_out):
        stay = ~np.isin(at, left_out)
        at, hashes = at[stay], hashes[stay]
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return np.sort(at[np.isin(hashes, repeated)]) if len(repeated) else np.zeros(0, np.int64)


def repeats(rows: pa.Table, same: list[str], order: list[tuple[str, str]]) -> Places:
    """The places of rows before which one stands that is the same, in an order that says which of them counts.

    Args:
        rows: their places in `at`, and the columns of their keys and of the order.
        same: the columns that rows have in common; nulls are the same.
        order: columns and directions, as Arrow sorts by; nulls come last.
    """
    if rows.num_rows < 2:
        return np.zeros(0, np.int64)
    placed = rows.take(pc.sort_indices(rows, [*((name, "ascending") for name in same), *order]))
    alike = np.ones(rows.num_rows - 1, bool)
    for name in same:
        column = placed[name].combine_chunks()
        one, other = column.slice(0, len(column) - 1), column.slice(1)
        both = pc.and_(pc.is_null(one), pc.is_null(other))
        alike &= pc.or_(pc.equal(one, other).fill_null(False), both).to_numpy(zero_copy_only=False)
    return np.asarray(placed[AT].to_numpy()[1:][alike])


def several(rows: pa.Table, same: list[str]) -> int:
    """How many different keys more than one row has."""
    if rows.num_rows < 2:
        return 0
    counted = rows.group_by(same).aggregate([([], "count_all")])
    return int((counted["count_all"].to_numpy() > 1).sum())
