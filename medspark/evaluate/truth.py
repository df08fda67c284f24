"""What a network learns from and is judged by: each target's label, and a weight that is 0 where it is not known."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.evaluate.censoring import Followed, Truth, censoring_weights, chance_followed
from medspark.schemas import FOLLOWED, LABEL, TARGETS
from medspark.task.outcome import Kind, OutcomeBase

Floats = npt.NDArray[np.float64]


class Reading(NamedTuple):
    """How a table's labels are read."""

    kind: Kind
    columns: tuple[str, ...]
    size: int
    """Targets."""
    horizons: tuple[float, ...] = ()
    chance: Followed | None = None
    """Of being followed, among the cases learned from."""


def reading_of(outcome: OutcomeBase, learned: pa.Table | None = None) -> Reading:
    """How the labels of a task are read.

    Args:
        outcome: the task's.
        learned: the label columns of the cases learned from, which the weights of horizons come from.
    """
    targets = outcome.targets
    found = Reading(targets.kind, targets.labels, len(targets.names), outcome.horizons_days)
    if targets.kind != "horizons" or learned is None:
        return found
    days = learned[FOLLOWED].combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)
    return found._replace(chance=chance_followed(days, np.isnan(_labels(learned, found)[:, -1])))


def truth_of(table: pa.Table, reading: Reading) -> Truth:
    """The truth of a table's n rows, from its label columns."""
    label = _labels(table, reading)
    if reading.chance is None:
        return Truth(label, np.isfinite(label).astype(np.float64))
    days = table[FOLLOWED].combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)
    return Truth(label, censoring_weights(label, days, np.array(reading.horizons), reading.chance))


def _labels(table: pa.Table, reading: Reading) -> Floats:
    if reading.kind == "binary":
        return _floats(table[LABEL].combine_chunks()).reshape(-1, 1)
    lists = table[TARGETS].combine_chunks()
    label = np.full((len(lists), reading.size), np.nan)
    there = lists.is_valid().to_numpy(zero_copy_only=False)  # a list that is null is of a case that nothing is known of
    label[there] = _floats(lists.drop_null().flatten()).reshape(-1, reading.size)
    return label


def _floats(booleans: pa.Array) -> Floats:
    return np.asarray(booleans.cast("int8").cast("float64").to_numpy(zero_copy_only=False), np.float64)
