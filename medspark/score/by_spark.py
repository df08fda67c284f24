"""Score a Spark frame of cases or of tensors, through Spark's own reader."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import Accumulator, SparkFiles, TaskContext

from medspark.schemas import LOGIT, PROBABILITY, REASON, RISK_BAND, quoted
from medspark.score.worker.engine import loads
from medspark.score.worker.pieces import Piece, Sink, write_piece
from medspark.score.worker.predict import KEYS, Served, answer_batches, columns_read, predict_batches, statistics_of
from medspark.score.worker.row_groups import batch_rows
from medspark.spark.session import batches_of

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


def score_to_pieces(cases: DataFrame, served: Served, sink: Sink) -> list[Piece]:
    """Score each case, or row of tensors, and let the workers write their answers: one piece for each Spark task.

    A task that is tried again writes the same file again.

    Args:
        cases, served: as `predict_cases` has them.
        sink: where every worker can write.
    """
    shared = cases.sparkSession.sparkContext.broadcast((served, sink))
    job = uuid.uuid4().hex[:16]

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        served, sink = shared.value
        task = TaskContext.get()
        assert task is not None, "in a Spark task"
        name = f"part-{job}-{task.partitionId():05}.parquet"
        piece = write_piece(name, answer_batches(batches, located(served)), sink)
        if piece is not None:
            yield pa.RecordBatch.from_pydict({"piece": [json.dumps(piece)]})

    scored = cases.select(*map(quoted, [*KEYS, *columns_read(served)])).mapInArrow(score, "piece string")
    with batches_of(cases.sparkSession, batch_rows(statistics_of(served)) if served.reads == "tensors" else None):
        found = scored.collect()
    return [Piece(*json.loads(row["piece"])) for row in found]
