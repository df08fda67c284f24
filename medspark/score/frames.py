"""Score a Spark frame of cases or of tensors, through Spark's own reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import Accumulator, SparkFiles

from medspark.columns import LOGIT, PROBABILITY, REASON, RISK_BAND, quoted
from medspark.score.engine import loads
from medspark.score.predict import KEYS, Served, columns_read, predict_batches

if TYPE_CHECKING:  # a worker need not import all of Spark's SQL to find the network's file
    from pyspark.sql import DataFrame


def located(served: Served) -> Served:
    """The same with the path that the network's file has on this executor."""
    if Path(served.network).is_absolute():
        return served
    return served._replace(network=SparkFiles.get(served.network))


def predict_cases(cases: DataFrame, served: Served, loaded: Accumulator[int] | None = None) -> DataFrame:
    """The keys of each case, or row of tensors, with its logit, probability and risk band, or a reason for none.

    Args:
        cases: with the columns that `columns_read` names.
        served: its network is a path that every executor has, or the name of one of the session's files.
        loaded: counts the networks that workers load.
    """
    types = dict(cases.dtypes)
    answers = (f"{LOGIT} double", f"{PROBABILITY} double", f"{RISK_BAND} string", f"{REASON} string")
    schema = ", ".join([*(f"{key} {types[key]}" for key in KEYS), *answers])
    shared = cases.sparkSession.sparkContext.broadcast(served)

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        before = loads()
        yield from predict_batches(batches, located(shared.value))
        if loaded is not None:
            loaded.add(loads() - before)

    return cases.select(*map(quoted, [*KEYS, *columns_read(served)])).mapInArrow(predict, schema)
