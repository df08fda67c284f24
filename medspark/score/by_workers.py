"""Scores that workers write, each task its piece; tensors and raw tables that they reach they read too."""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple, TypeVar

import pyarrow as pa
from pyspark import SparkContext, TaskContext
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from medspark.clean.by_workers import RowsToScore
from medspark.clean.worker.settle import Judgement, settled_rows
from medspark.errors import AccountingError, MedsparkError
from medspark.schemas import CASE_ID, REASON, REJECTED, SCORES, quoted
from medspark.score.by_spark import count_by
from medspark.score.eligible import CasesToScore
from medspark.score.publish import Scoring, Written
from medspark.score.ship import located
from medspark.score.worker.files import names_in
from medspark.score.worker.pieces import NO_ROWS, Piece, Sink, finished_piece, sums_name, write_empty, write_piece
from medspark.score.worker.predict import KEYS, Served, answer_batches, answer_types, columns_read, statistics_of
from medspark.score.worker.records import score_rows
from medspark.score.worker.row_groups import Unit, batch_rows, schema_of, score_unit
from medspark.spark.arrow import map_batches
from medspark.spark.session import batches_of
from medspark.store.files import delete, full_path
from medspark.store.tables import append_version, read_parquet

UNITS_OF_A_TASK = 8
"""At most: Spark takes some 10 ms to hand a Python worker its next task, and a unit takes 50 to 100 ms."""
ROUNDS = 2
"""Tasks for each core, where there are units enough: the slower one of two cores then gets fewer."""
WITH_OTHERS: Final = "part-raw-"
"""Begins the name of a piece that has beside it every row of its part that is rejected."""
Item = TypeVar("Item")


# ---------------------------------------------------------------- rows that Spark reads


def write_by_workers(scoring: Scoring, cases: DataFrame, rejected: DataFrame | None) -> Written:
    """Score cases, or tensors, that Spark reads; those in pieces that a stopped run left are not scored again.

    Args:
        scoring: where to; every worker can write there.
        cases: the eligible ones, or tensors.
        rejected: everything else that came in, as REJECTED_COLUMNS; None where there is nothing else.
    """
    spark, sink = scoring.run.spark, _sink_of(scoring)
    there = (name for name in names_in(sink.scores) if name.startswith("part-") and not name.startswith(WITH_OTHERS))
    finished = [piece for name in there if (piece := finished_piece(sink, name)) is not None]
    _keep_only(scoring.run.context, sink, finished)
    for folder, names in {
        sink.scores: [piece.name for piece in finished],
        sink.rejected: [piece.name for piece in finished if piece.reasons],
    }.items():
        if names:
            done = read_parquet(spark, *(f"{folder}/{name}" for name in names)).select(CASE_ID)
            cases = cases.join(done, CASE_ID, "left_anti")
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
    return _written(scoring, units, schema_of(file), score_unit)


def _written(
    scoring: Scoring, items: list[Item], keys: pa.Schema, work: Callable[[Item, Served, Sink], Piece | None]
) -> Written:
    context, sink = scoring.run.context, _sink_of(scoring)
    before = set(names_in(sink.scores))
    pieces = _handed_out(context, items, scoring.served, sink, work)
    write_empty(keys, sink, not pieces, answer_types(scoring.served))
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


# ---------------------------------------------------------------- rows that workers cleaned


class _Part(NamedTuple):
    """A part of some rows, and the name of its piece."""

    rows: Judgement | str
    piece: str


def score_and_write_by_workers(scoring: Scoring, cases: CasesToScore) -> Written:
    """Each part of a table's rows is scored and written by a worker, with what is rejected of it; one that a stopped
    run finished is not scored again."""
    rows, keys, job = cases.rows, cases.keys, uuid.uuid4().hex[:16]
    plan, folder, types = rows.plan, rows.folder, rows.types
    ddl = ", ".join(f"{key} {types[name] if name is not None else 'timestamp'}" for key, name in keys.items())
    types_of_keys = StructType.fromDDL(ddl)
    assert isinstance(types_of_keys, StructType), "as DDL of columns always is"
    schema = to_arrow_schema(types_of_keys, timezone="UTC")

    def work(part: _Part, served: Served, sink: Sink) -> Piece | None:
        return score_rows(part.piece, partial(settled_rows, part.rows, plan, folder), keys, schema, served, sink)

    named = [_Part(part, f"{WITH_OTHERS}{_name(part, at, rows, job)}.parquet") for at, part in enumerate(rows.parts)]
    return _written(scoring, named, schema, work)


def _name(part: Judgement | str, at: int, rows: RowsToScore, job: str) -> str:
    """That of a span follows from all lines in their order, whichever run comes to it: a run that was stopped may have
    read the same ones in another order, as of an export that was made again."""
    if isinstance(part, str):
        return f"{job}-{at:05}"
    return hashlib.sha256(f"{rows.content} {part.number}".encode()).hexdigest()[:16]


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
