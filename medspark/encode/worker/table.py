"""The features of a table to tensors: numbers, categories, bags of codes."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.encode.statistics import CodesStatistics, NumericStatistics, Statistics
from medspark.encode.worker.flat import as_float, distinct_ids, ids_of, quantile_place


def encode_numeric(batch: pa.RecordBatch, statistics: Statistics) -> npt.NDArray[np.float32]:
    indicators = sum(feature.missing_indicator for feature in statistics.numeric)
    out = np.empty((batch.num_rows, len(statistics.numeric) + indicators), dtype=np.float32)
    indicator = len(statistics.numeric)
    for at, feature in enumerate(statistics.numeric):
        value = as_float(batch.column(feature.column))
        missing = ~np.isfinite(value)
        out[:, at] = _scaled(np.where(missing, feature.impute, value), feature)
        if feature.missing_indicator:
            out[:, indicator] = missing
            indicator += 1
    return out


def _scaled(value: npt.NDArray[np.float64], feature: NumericStatistics) -> npt.NDArray[np.float64]:
    if feature.scaling == "quantile":
        return quantile_place(value, feature.knots)
    return (value - feature.center) / feature.scale


def encode_categories(batch: pa.RecordBatch, statistics: Statistics) -> npt.NDArray[np.int32]:
    out = np.empty((batch.num_rows, len(statistics.categorical)), dtype=np.int32)
    offset = 0
    for at, feature in enumerate(statistics.categorical):
        out[:, at] = ids_of(batch.column(feature.column), feature.levels) + offset
        offset += feature.size
    return out


def encode_codes(batch: pa.RecordBatch, bag: CodesStatistics) -> npt.NDArray[np.int32]:
    """Each row's codes once each, the highest id first, padded with 0: the order of the columns means nothing."""
    ids = np.stack([ids_of(batch.column(column), bag.codes) for column in bag.columns], axis=1)
    row = np.repeat(np.arange(batch.num_rows), len(bag.columns))
    return distinct_ids(row, ids.reshape(-1), batch.num_rows, len(bag.columns))
