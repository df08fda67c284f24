"""Rows that are the same, among those whose keys have the same hash. No Spark here."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medspark.clean.worker.staged import Hashes, Places

AT: Final = "at"


def suspects(hashes: Hashes) -> Places:
    """Where hashes stand that are there more than once.

    >>> suspects(np.array([7, 5, 7, 1, 5], np.uint64)).tolist()
    [0, 1, 2, 4]
    """
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return np.flatnonzero(np.isin(hashes, repeated)) if len(repeated) else np.zeros(0, np.int64)


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
