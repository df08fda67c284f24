"""Score cases in Spark: the bundle's files are broadcast once; each Arrow batch is encoded and predicted in place."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from medspark.columns import CASE_ID, LOGIT, PREDICTION_TIME, PROBABILITY, RISK_BAND, SUBJECT_ID, quoted
from medspark.encode.encoder import encode
from medspark.encode.statistics import from_json
from medspark.evaluate.calibration import Calibration, apply_calibration
from medspark.score.engine import EngineKind, engine_for

KEYS = (CASE_ID, SUBJECT_ID, PREDICTION_TIME)
LOWEST_BAND = "low"


class Served(NamedTuple):
    """What a scoring worker needs of a bundle."""

    kind: EngineKind
    network: bytes
    digest: str
    statistics: str
    """JSON of the fitted statistics."""
    calibration: Calibration
    bands: dict[str, float]


def predict_cases(cases: DataFrame, served: Served) -> DataFrame:
    """The keys of each case with its logit, probability and risk band: one row out for each row in."""
    types = dict(cases.dtypes)
    features = [name for name in from_json(served.statistics).columns() if name not in KEYS]
    schema = ", ".join(
        [*(f"{key} {types[key]}" for key in KEYS), f"{LOGIT} double", f"{PROBABILITY} double", f"{RISK_BAND} string"]
    )
    shared = cases.sparkSession.sparkContext.broadcast(served)

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return predict_batches(batches, shared.value)

    return cases.select(*map(quoted, [*KEYS, *features])).mapInArrow(predict, schema)


def predict_batches(batches: Iterator[pa.RecordBatch], served: Served) -> Iterator[pa.RecordBatch]:
    """Score Arrow batches of cases; no Spark needed."""
    statistics = from_json(served.statistics)
    engine = engine_for(served.kind, served.network, served.digest)
    for batch in batches:
        logit = engine(encode(batch, statistics)) if batch.num_rows else np.empty(0)
        probability = apply_calibration(served.calibration, logit)
        columns = [batch.column(key) for key in KEYS]
        columns += [pa.array(logit), pa.array(probability), pa.array(band_of(probability, served.bands), pa.string())]
        yield pa.RecordBatch.from_arrays(columns, names=[*KEYS, LOGIT, PROBABILITY, RISK_BAND])


def band_of(probability: npt.NDArray[np.float64], bands: dict[str, float]) -> npt.NDArray[np.object_]:
    """The highest band whose threshold each probability reaches; `low` below all of them."""
    ordered = sorted(bands.items(), key=lambda item: item[1])
    names = np.array([LOWEST_BAND, *(name for name, _ in ordered)], dtype=object)
    return names[np.searchsorted([threshold for _, threshold in ordered], probability, side="right")]
