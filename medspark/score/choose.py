"""Scores that workers write, each task its piece: who does it, what a run that was stopped left, and the sums."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from medspark.bundles.bundle import Bundle
from medspark.errors import AccountingError, TaskError
from medspark.runs.run import Run
from medspark.schemas import CASE_ID, REJECTED, SCORES
from medspark.score.by_spark import score_to_pieces
from medspark.score.worker.files import names_in, out_of_reach
from medspark.score.worker.pieces import NO_ROWS, Piece, Sink, finished_piece, write_empty
from medspark.score.worker.predict import KEYS, Served
from medspark.store.files import delete, full_path

Asked = Literal["auto", "workers", "spark"]


class Chosen(NamedTuple):
    """Who reads, or who writes, and why."""

    kind: Literal["workers", "spark"]
    because: str


def is_local(context: SparkContext) -> bool:
    """Whether the tasks run on the driver's machine, in its own process."""
    master = str(context.master)
    return master == "local" or master.startswith("local[")


def choose(context: SparkContext, option: str, asked: Asked, reads: list[str], writes: list[str]) -> Chosen:
    """Whether workers do it themselves or Spark does.

    Args:
        context: its executors' machines are asked, where they are not the driver's.
        option: the command's, for messages.
        asked: what the user wants.
        reads: addresses of what workers must be able to read.
        writes: and of the folders where they must be able to write.

    Raises:
        TaskError: workers are asked for, and cannot reach them.
    """
    if asked == "spark":
        return Chosen("spark", "it was asked for")
    problem = out_of_reach(reads, writes)
    if problem is None and not is_local(context):
        tasks = context.defaultParallelism
        answers = context.parallelize(range(tasks), tasks).map(lambda _: out_of_reach(reads, writes)).collect()
        problem = next((answer for answer in answers if answer is not None), None)
    if problem is None:
        return Chosen("workers", "it was asked for" if asked == "workers" else "they reach it")
    if asked == "workers":
        raise TaskError(option, [f"workers cannot do it here: {problem}. Use spark."])
    return Chosen("spark", f"workers cannot: {problem}")


def sink_of(run: Run, bundle: Bundle, run_id: str) -> Sink:
    """Where the pieces of a scoring run go."""
    scores, rejected = (full_path(run.context, f"{run.store}/{table}/{run_id}") for table in (SCORES, REJECTED))
    return Sink(scores, rejected, run_id, bundle.bundle_id, int(datetime.now(UTC).timestamp()) * 1_000_000)


def frame_to_pieces(spark: SparkSession, cases: DataFrame, served: Served, sink: Sink) -> tuple[list[Piece], int]:
    """Score cases, or tensors, that Spark reads; those in pieces that a stopped run left are not scored again.

    Returns:
        All pieces that there are now, and how many scores were there before.
    """
    there = (finished_piece(sink, name) for name in names_in(sink.scores) if name.startswith("part-"))
    finished = [piece for piece in there if piece is not None]
    keep_only(spark.sparkContext, sink, finished)
    for folder, names in {
        sink.scores: [piece.name for piece in finished],
        sink.rejected: [piece.name for piece in finished if piece.reasons],
    }.items():
        if names:
            done = spark.read.parquet(*(f"{folder}/{name}" for name in names)).select(CASE_ID)
            cases = cases.join(done, CASE_ID, "left_anti")
    pieces = [*finished, *score_to_pieces(cases, served, sink)]
    write_empty(cases.select(*KEYS).limit(0).toArrow().schema, sink, scores=not pieces)
    keep_only(spark.sparkContext, sink, pieces)
    return pieces, sum(sum(piece.bands.values()) for piece in finished)


def keep_only(context: SparkContext, sink: Sink, pieces: Iterable[Piece]) -> None:
    """Remove what else lies there: half-written pieces, those of a task that was tried again, another writer's.

    Raises:
        AccountingError: a piece is not there.
    """
    names = {piece.name for piece in pieces}
    there = {folder: set(names_in(folder)) for folder in (sink.scores, sink.rejected)}
    missing = names - there[sink.scores]
    if missing:
        raise AccountingError(f"{sink.scores}: {len(missing)} of {len(names)} files are not there")
    for folder, found in there.items():
        for name in found - names - {NO_ROWS}:
            delete(context, f"{folder}/{name}")


def counts_of(pieces: Iterable[Piece]) -> tuple[dict[str, int], dict[str, int]]:
    """Scores by risk band, and rows without a score by reason."""
    bands: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for piece in pieces:
        bands.update(piece.bands)
        reasons.update(piece.reasons)
    return dict(bands), dict(reasons)
