"""Cases to tensors, one Arrow batch at a time: the same function in training and in every scoring worker.

Each row is encoded by itself, so neither the batch it falls into nor its neighbours change its tensor. No Spark here.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.encode.statistics import CATEGORIES, CODES_PREFIX, GRID_PREFIX, NUMERIC, Statistics
from medspark.encode.worker.events import encode_bag, encode_grid, encode_sequence, encode_values
from medspark.encode.worker.table import encode_categories, encode_codes, encode_numeric

Arrays = dict[str, npt.NDArray[np.generic]]

MOST_CELLS = 20_000_000
"""Numbers of all inputs encoded at a time: wide features make short batches, not large memory."""


@np.errstate(over="ignore", invalid="ignore")  # a number past float32 is infinite; scoring sets its row aside
def encode(batch: pa.RecordBatch, statistics: Statistics) -> Arrays:
    """The network's inputs for a batch of n cases.

    Returns:
        By input name, none without a column: `numeric` (n, features + indicators + values) float32, `categories`
        (n, features) int32 with ids that are offset so that one table serves all features, `codes_NAME` (n, width)
        int32, 0 where a row has fewer; of sequences and grids what `encode_sequence` and `encode_grid` say.
    """
    arrays: Arrays = {}
    if statistics.numeric or statistics.values:
        values = [encode_values(batch.column(group.column), group) for group in statistics.values]
        arrays[NUMERIC] = np.concatenate([encode_numeric(batch, statistics), *values], axis=1)
    if statistics.categorical:
        arrays[CATEGORIES] = encode_categories(batch, statistics)
    for codes in statistics.codes:
        arrays[CODES_PREFIX + codes.name] = encode_codes(batch, codes)
    for bag in statistics.bags:
        arrays[CODES_PREFIX + bag.column] = encode_bag(batch.column(bag.column), bag)
    for sequence in statistics.sequences:
        arrays |= encode_sequence(batch.column(sequence.column), sequence)
    for grid in statistics.grids:
        arrays[GRID_PREFIX + grid.column] = encode_grid(batch.column(grid.column), grid)
    return {name: array for name, array in arrays.items() if array.shape[1]}


def encode_batches(
    batches: Iterator[pa.RecordBatch], statistics: Statistics, keys: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Batches of cases to batches of tensors: the `keys` as they are, then one list column for each input."""
    for batch in short_batches(batches, statistics):
        arrays = {name: as_list(array) for name, array in encode(batch, statistics).items()}
        columns = [batch.column(key) for key in keys]
        yield pa.RecordBatch.from_arrays([*columns, *arrays.values()], names=[*keys, *arrays])


def short_batches(batches: Iterable[pa.RecordBatch], statistics: Statistics) -> Iterator[pa.RecordBatch]:
    """The batches cut so that the inputs of each have at most MOST_CELLS numbers."""
    rows = max(1, MOST_CELLS // max(1, sum(statistics.widths().values())))
    for whole in batches:
        for at in range(0, max(1, whole.num_rows), rows):
            yield whole.slice(at, rows)


def as_list(array: npt.NDArray[np.generic]) -> pa.ListArray:
    """A two-dimensional array as a column of lists over the same memory."""
    rows, width = array.shape
    offsets = (
        np.arange(0, (rows + 1) * width, width, dtype=np.int32)[: rows + 1] if width else np.zeros(rows + 1, np.int32)
    )
    numbers = pa.array(array.reshape(-1))
    kind = pa.list_(pa.field("element", numbers.type, nullable=False))
    return pa.ListArray.from_arrays(pa.array(offsets), numbers, type=kind)
