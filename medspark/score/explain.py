"""Explanations of a run's scores, made by Spark's workers once the scores are written, and published with them."""

import json
import math
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.encode.worker.arrow import written_out
from medspark.errors import AccountingError, MedsparkError
from medspark.schemas import (
    ADDS_UP,
    EXPLANATION_TYPES,
    EXPLANATIONS,
    PROBABILITY,
    RANK,
    SCORES,
    ddl,
    quoted,
    with_keys,
)
from medspark.score.by_workers import keep_pieces
from medspark.score.publish import Scoring
from medspark.score.ship import located
from medspark.score.worker.explanations.explain import Explaining, explain_batches
from medspark.score.worker.explanations.pieces import (
    ExplainedPiece,
    ExplainSink,
    explanation_rows,
    finished_explanations,
    write_explanations,
    write_no_explanations,
)
from medspark.score.worker.predict import KEYS, Served, columns_read, statistics_of
from medspark.score.worker.row_groups import Unit, batch_rows, batches_of_unit, schema_of
from medspark.spark.arrow import map_batches
from medspark.spark.session import batches_of
from medspark.store.files import full_path
from medspark.store.tables import read_parquet, write_version


def explain_frame(scoring: Scoring, cases: DataFrame, by_workers: bool) -> dict[str, Any]:
    """Explain cases, or tensors, that Spark reads, whose scores are written and not yet published.

    Args:
        scoring: the run.
        cases: all that were scored.
        by_workers: whether each task writes its explanations itself, or Spark does.

    Returns:
        What the receipt says of them.
    """
    scoring, expected = _with_least(scoring)
    if by_workers:
        sink = _sink_of(scoring)
        keep_pieces(scoring.run.context, sink.folder, set())
        pieces = _explain_to_pieces(cases, scoring, sink)
        if not pieces:
            write_no_explanations(cases.select(*KEYS).limit(0).toArrow().schema, sink)
        keep_pieces(scoring.run.context, sink.folder, {piece.name for piece in pieces})
        return _told(scoring, sum(piece.cases for piece in pieces), sum(piece.unsound for piece in pieces), expected)
    return _by_spark(scoring, cases, expected)


def explain_units(scoring: Scoring, units: list[Unit], file: str) -> dict[str, Any]:
    """Explain row groups of tensors that workers read; what a stopped run explained is not explained again.

    Args:
        scoring: the run, whose scores are written.
        units: all that were scored.
        file: one of the tensors', for the types of the keys.
    """
    scoring, expected = _with_least(scoring)
    sink, context = _sink_of(scoring), scoring.run.context
    shared = context.broadcast((scoring.served, scoring.explains[1], sink))

    def explain(unit: Unit) -> tuple[ExplainedPiece | None, MedsparkError | None]:
        served, asked, sink = shared.value
        try:
            return explain_unit(unit, located(served), located(asked), sink), None
        except MedsparkError as error:  # told as it is, rather than tried again and wrapped in Spark's words
            return None, error

    found = context.parallelize(units, len(units)).map(explain).collect() if units else []
    for _, error in found:
        if error is not None:
            raise error
    pieces = [piece for piece, _ in found if piece is not None]
    if not pieces:
        write_no_explanations(schema_of(file), sink)
    keep_pieces(context, sink.folder, {piece.name for piece in pieces})
    return _told(scoring, sum(piece.cases for piece in pieces), sum(piece.unsound for piece in pieces), expected)


def explain_unit(unit: Unit, served: Served, asked: Explaining, sink: ExplainSink) -> ExplainedPiece | None:
    """Read, explain and write one unit, or find that it is done; None where none of its rows is asked for."""
    done = finished_explanations(sink, unit.piece)
    if done is not None:
        return done
    return write_explanations(unit.piece, explain_batches(batches_of_unit(unit, served), served, asked), sink)


def _with_least(scoring: Scoring) -> tuple[Scoring, int]:
    """The run with the probability from which on a row is explained, and how many rows reach it."""
    (ask, asked), run = scoring.explains, scoring.run
    scores = read_parquet(run.spark, f"{run.store}/{SCORES}/{scoring.version}").select(PROBABILITY)
    if ask.share is not None:
        most = math.ceil(ask.share * scores.count())
        lowest = scores.orderBy(F.desc(PROBABILITY)).limit(most).agg(F.min(PROBABILITY)).first()
        assert lowest is not None, "an aggregate has a row"
        asked = asked._replace(least=lowest[0] if lowest[0] is not None else 0.0)
    return scoring.with_explaining(asked), scores.where(F.col(PROBABILITY) >= asked.least).count()


def _sink_of(scoring: Scoring) -> ExplainSink:
    run = scoring.run
    folder = full_path(run.context, f"{run.store}/{EXPLANATIONS}/{scoring.version}")
    return ExplainSink(folder, scoring.version, scoring.bundle.bundle_id)


def _explain_to_pieces(cases: DataFrame, scoring: Scoring, sink: ExplainSink) -> list[ExplainedPiece]:
    """One piece for each Spark task that has rows to explain; one that is tried again writes the same file again."""
    served = scoring.served
    shared = cases.sparkSession.sparkContext.broadcast((served, scoring.explains[1], sink))
    job = uuid.uuid4().hex[:16]

    def explain(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        served, asked, sink = shared.value
        task = TaskContext.get()
        assert task is not None, "in a Spark task"
        name = f"part-{job}-{task.partitionId():05}.parquet"
        piece = write_explanations(name, explain_batches(batches, located(served), located(asked)), sink)
        if piece is not None:
            yield pa.RecordBatch.from_pydict({"piece": [json.dumps(piece)]})

    made = map_batches(_read(cases, served), explain, "piece string")
    with batches_of(cases.sparkSession, batch_rows(statistics_of(served)) if served.reads == "tensors" else None):
        found = made.collect()
    return [ExplainedPiece(*json.loads(row["piece"])) for row in found]


def _by_spark(scoring: Scoring, cases: DataFrame, expected: int) -> dict[str, Any]:
    """Spark writes; a case is counted by its largest contribution, and one without any is not there."""
    served, run = scoring.served, scoring.run
    shared = cases.sparkSession.sparkContext.broadcast((served, scoring.explains[1]))
    sink = ExplainSink("", scoring.version, scoring.bundle.bundle_id)

    def explain(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        served, asked = shared.value
        for found in explain_batches(batches, located(served), located(asked)):
            yield from written_out(explanation_rows(found.table, sink)).combine_chunks().to_batches()

    types = with_keys(EXPLANATION_TYPES, dict(cases.dtypes))
    explained = map_batches(_read(cases, served), explain, ddl(types))
    path = write_version(explained, run.store, EXPLANATIONS, scoring.version)
    first = read_parquet(run.spark, path).where(F.col(RANK) == 1)
    return _told(scoring, first.count(), first.where(~F.col(ADDS_UP)).count(), expected, some_have_none=True)


def _read(cases: DataFrame, served: Served) -> DataFrame:
    return cases.select(*map(quoted, [*KEYS, *columns_read(served)]))


def _told(scoring: Scoring, cases: int, unsound: int, expected: int, some_have_none: bool = False) -> dict[str, Any]:
    """What the receipt says.

    Raises:
        AccountingError: more or fewer cases were explained than were asked for.
    """
    ask, asked = scoring.explains
    if cases > expected or (cases < expected and not some_have_none):
        raise AccountingError(f"{expected} scores were to be explained, but {cases} were. Nothing was published.")
    by = asked.kind if ask.method == "gradients" else ask.method
    least = {"least_probability": asked.least} if asked.least else {}
    return {"cases": cases, "do_not_add_up": unsound, "top": ask.top, "by": by, **least}
