"""Scores that workers write, each task its piece; of tensors and records that they reach, they read the files too."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import TypeVar

import pyarrow as pa
from pyspark import SparkContext, TaskContext
from pyspark.sql import DataFrame

from medspark.cases.eligible import RecordFiles
from medspark.errors import AccountingError, MedsparkError
from medspark.schemas import CASE_ID, REASON, REJECTED, SCORES, quoted
from medspark.score.by_spark import count_by
from medspark.score.publish import Scoring, Written
from medspark.score.ship import located
from medspark.score.worker.files import names_in
from medspark.score.worker.pieces import NO_ROWS, Piece, Sink, finished_piece, sums_name, write_empty, write_piece
from medspark.score.worker.predict import KEYS, Served, answer_batches, answer_types, columns_read, statistics_of
from medspark.score.worker.records import FILE_NAME, ROW, RecordsFile, score_records
from medspark.score.worker.row_groups import Unit, batch_rows, schema_of, score_unit
from medspark.spark.arrow import map_batches
from medspark.spark.session import batches_of
from medspark.spark.spill import spill_folders
from medspark.store.files import delete, full_path
from medspark.store.tables import append_version, read_parquet

UNITS_OF_A_TASK = 8
"""At most: Spark takes some 10 ms to hand a Python worker its next task, and a unit takes 50 to 100 ms."""
ROUNDS = 2
"""Tasks for each core, where there are units enough: the slower one of two cores then gets fewer."""
Item = TypeVar("Item")


# ---------------------------------------------------------------- rows that Spark reads


def write_by_workers(
    scoring: Scoring, cases: DataFrame, rejected: DataFrame | None, files: RecordFiles | None = None
) -> Written:
    """Score cases, or tensors, that Spark reads; those in pieces that a stopped run left are not scored again.

    Where the cases are records in files that workers can read, and no run left any, Spark reads none of them.

    Args:
        scoring: where to; every worker can write there.
        cases: the eligible ones, or tensors.
        rejected: everything else that came in, as REJECTED_COLUMNS; None where there is nothing else.
        files: of the same cases.
    """
    spark, sink = scoring.run.spark, _sink_of(scoring)
    there = (finished_piece(sink, name) for name in names_in(sink.scores) if name.startswith("part-"))
    finished = [piece for piece in there if piece is not None]
    _keep_only(scoring.run.context, sink, finished)
    for folder, names in {
        sink.scores: [piece.name for piece in finished],
        sink.rejected: [piece.name for piece in finished if piece.reasons],
    }.items():
        if names:
            done = read_parquet(spark, *(f"{folder}/{name}" for name in names)).select(CASE_ID)
            cases = cases.join(done, CASE_ID, "left_anti")
    if files is not None and not finished:
        pieces = _score_files(spark.sparkContext, files, scoring.served, sink)
    else:
        pieces = [*finished, *_score_to_pieces(cases, scoring.served, sink)]
    schema = cases.select(*KEYS).limit(0).toArrow().schema
    write_empty(schema, sink, not pieces, answer_types(scoring.served))
    _keep_only(scoring.run.context, sink, pieces)
    before = {piece.name for piece in finished}
    if rejected is None:
        return _sum(pieces, before)
    path = append_version(rejected, scoring.run.store, REJECTED, scoring.version)
    return _sum(pieces, before, count_by(spark, path, REASON))


def _score_to_pieces(cases: DataFrame, served: Served, sink: Sink) -> list[Piece]:
    """One piece for each Spark task; one that is tried again writes the same file again."""
    shared = cases.sparkSession.sparkContext.broadcast((served, sink))
    job = uuid.uuid4().hex[:16]

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        served, sink = shared.value
        task = TaskContext.get()
        assert task is not None, "in a Spark task"
        name = f"part-{job}-{task.partitionId():05}.parquet"
        piece = write_piece(name, answer_batches(batches, located(served)), sink, watch=served.watch)
        if piece is not None:
            yield pa.RecordBatch.from_pydict({"piece": [json.dumps(piece)]})

    scored = map_batches(cases.select(*map(quoted, [*KEYS, *columns_read(served)])), score, "piece string")
    with batches_of(cases.sparkSession, batch_rows(statistics_of(served)) if served.reads == "tensors" else None):
        found = scored.collect()
    return [Piece(*json.loads(row["piece"])) for row in found]


# ---------------------------------------------------------------- row groups that workers read


def read_and_write_by_workers(scoring: Scoring, units: list[Unit], file: str) -> Written:
    """Each unit of some row groups is read, scored and written by a worker, which tells only what it counted.

    Args:
        scoring: where to.
        units: of the tensors.
        file: one of theirs, for the types of the keys.
    """
    context, sink = scoring.run.context, _sink_of(scoring)
    before = set(names_in(sink.scores))
    pieces = _handed_out(context, units, scoring.served, sink, score_unit)
    write_empty(schema_of(file), sink, not units, answer_types(scoring.served))
    _keep_only(context, sink, pieces)
    return _sum(pieces, before)


def _handed_out(
    context: SparkContext,
    items: list[Item],
    served: Served,
    sink: Sink,
    work: Callable[[Item, Served, Sink], Piece | None],
) -> list[Piece]:
    """The pieces that workers write of some items."""
    if not items:
        return []
    shared = context.broadcast((served, sink))

    def score(item: Item) -> Piece | MedsparkError | None:
        served, sink = shared.value
        try:
            return work(item, located(served), sink)
        except MedsparkError as error:  # told as it is, rather than tried again and wrapped in Spark's words
            return error

    tasks = max(-(-len(items) // UNITS_OF_A_TASK), min(len(items), ROUNDS * context.defaultParallelism))
    found = context.parallelize(items, tasks).map(score).collect()
    for piece in found:
        if isinstance(piece, MedsparkError):
            raise piece
    return [piece for piece in found if isinstance(piece, Piece)]


# ---------------------------------------------------------------- records that workers wrote


def _score_files(context: SparkContext, records: RecordFiles, served: Served, sink: Sink) -> list[Piece]:
    """One piece for each file that has cases; a task that is tried again writes the same file again."""
    job, keys = uuid.uuid4().hex[:16], records.keys
    files = [RecordsFile(str(path), f"part-{job}-{at:05}.parquet") for at, path in enumerate(records.files)]
    with TemporaryDirectory(prefix="excluded-", dir=spill_folders().split(",")[0]) as folder:
        excluded = f"{folder}/rows" if records.excluded is not None else None
        if records.excluded is not None:
            places = records.excluded.toDF(FILE_NAME, ROW)
            places.write.partitionBy(FILE_NAME).parquet(f"file:{excluded}")

        def work(file: RecordsFile, served: Served, sink: Sink) -> Piece | None:
            return score_records(file, keys, excluded, served, sink)

        return _handed_out(context, files, served, sink, work)


# ---------------------------------------------------------------- pieces


def _sink_of(scoring: Scoring) -> Sink:
    """Where the pieces of a scoring run go."""
    run, version = scoring.run, scoring.version
    scores, rejected = (full_path(run.context, f"{run.store}/{table}/{version}") for table in (SCORES, REJECTED))
    scored_at = int(datetime.now(UTC).timestamp()) * 1_000_000
    return Sink(scores, rejected, version, scoring.bundle.bundle_id, scored_at)


def keep_pieces(context: SparkContext, folder: str, names: set[str], there: set[str] | None = None) -> None:
    """Remove what lies in a folder but the pieces of these names with their sums, and the file without rows.

    Args:
        context: of Spark.
        folder: where the pieces are.
        names: of those that are kept.
        there: all names in the folder, where they are known.
    """
    kept = names | {sums_name(name) for name in names} | {NO_ROWS}
    for name in (set(names_in(folder)) if there is None else there) - kept:
        delete(context, f"{folder}/{name}")


def _keep_only(context: SparkContext, sink: Sink, pieces: Iterable[Piece]) -> None:
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
        keep_pieces(context, folder, names, found)


def _sum(pieces: Iterable[Piece], before: set[str], other_reasons: dict[str, int] | None = None) -> Written:
    """What the pieces count together.

    Args:
        pieces: all that lie there now.
        before: names of those that a stopped run left.
        other_reasons: of the rows in `rejected`, where they are not the pieces' alone.
    """
    bands: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    scored_before = loads = 0
    watched = []
    for piece in pieces:
        bands.update(piece.bands)
        reasons.update(piece.reasons)
        scored_before += sum(piece.bands.values()) if piece.name in before else 0
        loads += piece.loads
        watched += [piece.watched] if piece.watched is not None else []
    found = dict(reasons) if other_reasons is None else other_reasons
    return Written(dict(bands), found, scored_before, loads, tuple(watched))
