"""Cases to tensors, one Arrow batch at a time: the same function in training and in every scoring worker.

Each row is encoded by itself, so neither the batch it falls into nor its neighbours change its tensor. No Spark here.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.encode.statistics import (
    CATEGORIES,
    CODES_PREFIX,
    FIRST_ID,
    KNOTS,
    MISSING_ID,
    NUMERIC,
    UNKNOWN_ID,
    CodesStatistics,
    NumericStatistics,
    Statistics,
)

Arrays = dict[str, npt.NDArray[np.generic]]


def encode(batch: pa.RecordBatch, statistics: Statistics) -> Arrays:
    """The network's inputs for a batch of n cases.

    Returns:
        By input name: `numeric` (n, features + indicators) float32, `categories` (n, features) int32 with ids that
        are offset so that one table serves all features, `codes_NAME` (n, columns) int32, 0 where a row has fewer.
    """
    arrays: Arrays = {}
    if statistics.numeric:
        arrays[NUMERIC] = _numeric(batch, statistics)
    if statistics.categorical:
        arrays[CATEGORIES] = _categories(batch, statistics)
    for bag in statistics.codes:
        arrays[CODES_PREFIX + bag.name] = _bag(batch, bag)
    return arrays


def _numeric(batch: pa.RecordBatch, statistics: Statistics) -> npt.NDArray[np.float32]:
    width = statistics.widths()[NUMERIC]
    out = np.empty((batch.num_rows, width), dtype=np.float32)
    indicator = len(statistics.numeric)
    for at, feature in enumerate(statistics.numeric):
        value = _as_float(batch.column(feature.column))
        missing = ~np.isfinite(value)
        out[:, at] = _scaled(np.where(missing, feature.impute, value), feature)
        if feature.missing_indicator:
            out[:, indicator] = missing
            indicator += 1
    return out


def _as_float(column: pa.Array) -> npt.NDArray[np.float64]:
    """Values as doubles, NaN where null; whole numbers past 2^53 round, as every network's inputs do."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _scaled(value: npt.NDArray[np.float64], feature: NumericStatistics) -> npt.NDArray[np.float64]:
    if feature.scaling == "quantile":
        return quantile_place(value, feature.knots)
    return (value - feature.center) / feature.scale


def quantile_place(value: npt.NDArray[np.float64], knots: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Where values lie among the quantiles at KNOTS, in [0, 1]: linear between two, the middle of those that tie."""
    distinct, first = np.unique(knots, return_index=True)
    last = len(knots) - 1 - np.unique(knots[::-1], return_index=True)[1]
    share = np.asarray(KNOTS)
    place: npt.NDArray[np.float64] = np.interp(value, distinct, (share[first] + share[last]) / 2)
    return place


def _categories(batch: pa.RecordBatch, statistics: Statistics) -> npt.NDArray[np.int32]:
    out = np.empty((batch.num_rows, len(statistics.categorical)), dtype=np.int32)
    offset = 0
    for at, feature in enumerate(statistics.categorical):
        out[:, at] = _ids(batch.column(feature.column), feature.levels) + offset
        offset += feature.size
    return out


def _bag(batch: pa.RecordBatch, bag: CodesStatistics) -> npt.NDArray[np.int32]:
    """Each row's codes once each, the highest id first, padded with 0: the order of the columns means nothing."""
    ids = np.stack([_ids(batch.column(column), bag.codes) for column in bag.columns], axis=1)
    ids = -np.sort(-ids, axis=1)
    ids[:, 1:][ids[:, 1:] == ids[:, :-1]] = MISSING_ID
    return -np.sort(-ids, axis=1)


def _ids(column: pa.Array, vocabulary: tuple[str, ...]) -> npt.NDArray[np.int32]:
    text = column.cast(pa.string())
    found = pc.index_in(text, value_set=pa.array(vocabulary, pa.string()))
    ids = pc.add(found, pa.scalar(FIRST_ID, pa.int32()))
    known = pc.fill_null(ids, pa.scalar(UNKNOWN_ID, pa.int32()))
    filled: npt.NDArray[np.int32] = pc.if_else(pc.is_valid(text), known, pa.scalar(MISSING_ID, pa.int32())).to_numpy(
        zero_copy_only=False
    )
    return filled


def encode_batches(
    batches: Iterator[pa.RecordBatch], statistics: Statistics, keys: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Batches of cases to batches of tensors: the `keys` as they are, then one list column for each input."""
    for batch in batches:
        arrays = {name: as_list(array) for name, array in encode(batch, statistics).items()}
        columns = [batch.column(key) for key in keys]
        yield pa.RecordBatch.from_arrays([*columns, *arrays.values()], names=[*keys, *arrays])


def as_list(array: npt.NDArray[np.generic]) -> pa.ListArray:
    """A two-dimensional array as a column of lists over the same memory."""
    rows, width = array.shape
    offsets = (
        np.arange(0, (rows + 1) * width, width, dtype=np.int32)[: rows + 1] if width else np.zeros(rows + 1, np.int32)
    )
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(array.reshape(-1)))
