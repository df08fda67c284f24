"""Cases to tensors, one Arrow batch at a time: the same function in training and in every scoring worker.

Each row is encoded by itself, so neither the batch it falls into nor its neighbours change its tensor. No Spark here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.encode.kinds.base import FeatureStatistics
from medspark.encode.kinds.events import BagStatistics, GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.arrow import byte_array, number_array
from medspark.encode.worker.events import encode_bags, encode_grids, encode_sequences, encode_values
from medspark.encode.worker.flat import Shares
from medspark.encode.worker.genes import encode_genes
from medspark.encode.worker.images import encode_images
from medspark.encode.worker.missing import missing_share
from medspark.encode.worker.table import encode_categories, encode_codes, encode_numeric
from medspark.encode.worker.tensors import Arrays
from medspark.schemas import MISSING_SHARE

ENCODERS: Final[dict[type[FeatureStatistics], Callable[[pa.RecordBatch, Sequence[Any]], Shares]]] = {
    NumericStatistics: encode_numeric,
    CategoricalStatistics: encode_categories,
    CodesStatistics: encode_codes,
    ValuesStatistics: encode_values,
    BagStatistics: encode_bags,
    SequenceStatistics: encode_sequences,
    GridStatistics: encode_grids,
    GeneStatistics: encode_genes,
    ImageStatistics: encode_images,
}
"""For each kind the function that encodes all features of it, from a batch of n cases."""

MOST_CELLS = 20_000_000
"""Numbers of all inputs encoded at a time: wide features make short batches, not large memory."""


@np.errstate(over="ignore", invalid="ignore")  # a number past float32 is infinite; scoring sets its row aside
def encode(batch: pa.RecordBatch, statistics: Statistics) -> Arrays:
    """The network's inputs for a batch of n cases, (n, width) each, by name; what is in them, ENCODERS say.

    The features' shares of one input stand beside one another, in the order of the statistics.
    """
    shares: dict[str, list[npt.NDArray[Any]]] = defaultdict(list)
    for features in filter(None, statistics.kinds()):
        for name, share in ENCODERS[type(features[0])](batch, features):
            shares[name].append(share)
    return {name: _beside(shares[name]) for name in statistics.widths()}


def _beside(shares: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return shares[0] if len(shares) == 1 else np.concatenate(shares, axis=1)


def encode_batches(
    batches: Iterator[pa.RecordBatch], statistics: Statistics, keys: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Batches of cases to batches of tensors: the `keys` as they are, where there are any also the share of each case
    that is missing, then one column for each input."""
    for batch in short_batches(batches, statistics):
        arrays = {name: as_column(array) for name, array in encode(batch, statistics).items()}
        columns = {key: batch.column(key) for key in keys}
        if keys:
            columns[MISSING_SHARE] = number_array(missing_share(batch, statistics.columns()))
        yield pa.RecordBatch.from_pydict(columns | arrays)


def short_batches(batches: Iterable[pa.RecordBatch], statistics: Statistics) -> Iterator[pa.RecordBatch]:
    """The batches cut so that the inputs of each have at most MOST_CELLS numbers."""
    rows = max(1, MOST_CELLS // max(1, sum(statistics.widths().values())))
    for whole in batches:
        for at in range(0, max(1, whole.num_rows), rows):
            yield whole.slice(at, rows)


def as_column(array: npt.NDArray[Any]) -> pa.Array:
    """A two-dimensional array as a column over the same memory: of lists, or, of pixels, binary.

    Spark has no unsigned bytes, and Parquet keeps a length for a binary value where it keeps levels for each number
    of a list.
    """
    return byte_array(array) if array.dtype == np.uint8 else as_list(array)


def as_list(array: npt.NDArray[np.generic]) -> pa.ListArray:
    """A two-dimensional array as a column of lists over the same memory."""
    rows, width = array.shape
    offsets = (
        np.arange(0, (rows + 1) * width, width, dtype=np.int32)[: rows + 1] if width else np.zeros(rows + 1, np.int32)
    )
    numbers = pa.array(array.reshape(-1))
    kind = pa.list_(pa.field("element", numbers.type, nullable=False))
    return pa.ListArray.from_arrays(pa.array(offsets), numbers, type=kind)
