"""The features of a table to tensors: numbers, categories, bags of codes. No Spark here."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.encode.inputs import CATEGORIES, NUMERIC
from medspark.encode.kinds.base import MISSING_ID
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.worker.flat import Floats, Shares, as_float, drawn_in, ids_of, quantile_place


def encode_numeric(batch: pa.RecordBatch, features: Sequence[NumericStatistics]) -> Shares:
    """`numeric`: the features' numbers, then the indicators of those that have one, (n, features + indicators)."""
    number, indicator = 0, sum(feature.varies for feature in features)
    out = np.empty((batch.num_rows, indicator + sum(feature.missing_indicator for feature in features)), np.float32)
    for feature in features:
        if not (feature.varies or feature.missing_indicator):
            continue
        value = as_float(batch.column(feature.column))
        missing = ~np.isfinite(value)
        if feature.varies:
            out[:, number] = _scaled(np.where(missing, feature.impute, value), feature)
            number += 1
        if feature.missing_indicator:
            out[:, indicator] = missing
            indicator += 1
    yield NUMERIC, out


def _scaled(value: Floats, feature: NumericStatistics) -> Floats:
    if feature.scaling == "quantile":
        return quantile_place(value, feature.knots)
    deviation = (value - feature.center) / feature.scale
    return drawn_in(deviation) if feature.scaling == "smooth" else deviation


def encode_categories(batch: pa.RecordBatch, features: Sequence[CategoricalStatistics]) -> Shares:
    """`categories`: an id for each feature, offset so that one table serves all, (n, features)."""
    varying = [feature for feature in features if feature.varies]
    out = np.empty((batch.num_rows, len(varying)), dtype=np.int32)
    offset = 0
    for at, feature in enumerate(varying):
        out[:, at] = ids_of(batch.column(feature.column), feature.levels) + offset
        offset += feature.size
    yield CATEGORIES, out


def encode_codes(batch: pa.RecordBatch, bags: Sequence[CodesStatistics]) -> Shares:
    """`codes_NAME` of each bag, (n, columns)."""
    for bag in bags:
        for codes in bag.inputs():
            yield codes.name, _bag(batch, bag)


def _bag(batch: pa.RecordBatch, bag: CodesStatistics) -> npt.NDArray[np.int32]:
    """Each row's codes once each, the highest id first, padded with 0: the order of the columns means nothing."""
    ids = np.stack([ids_of(batch.column(column), bag.codes) for column in bag.columns], axis=1)
    return _distinct(ids)


def _distinct(ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """
    >>> _distinct(np.array([[2, 5, 2, 0], [0, 3, 3, 3]], np.int32)).tolist()
    [[5, 2, 0, 0], [3, 0, 0, 0]]
    """
    falling = -np.sort(-ids, axis=1)
    falling[:, 1:][falling[:, 1:] == falling[:, :-1]] = MISSING_ID
    return np.asarray(-np.sort(-falling, axis=1))
