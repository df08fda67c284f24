"""Tensors between two commands: `encode` writes them for a bundle, `score --tensors` scores them.

Where nothing stands in the way, scoring workers read the tensors' row groups themselves and write the scores
themselves; Spark only says who does what. Otherwise Spark reads and writes. The scores are the same.
"""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from pyspark.sql import SparkSession

from medspark.bundle import STATISTICS, Bundle
from medspark.columns import FILE, LINE, REASON, REJECTED, REJECTED_COLUMNS, RUN_ID, SCORES, TENSORS
from medspark.encode.apply import encode_cases, tensors_options
from medspark.encode.statistics import from_json
from medspark.errors import AccountingError, InputError, TaskError
from medspark.score.frames import located
from medspark.score.predict import Served
from medspark.score.row_groups import (
    NO_ROWS,
    Piece,
    Sink,
    Unit,
    out_of_reach,
    plan_units,
    score_unit,
    write_empty,
)
from medspark.stages.run import Run, read_facts, write_facts
from medspark.stages.score import (
    Eligible,
    is_local,
    is_scored,
    publish_scores,
    rejected_rows,
    score_id,
    serve,
    ship,
    write_scores,
)
from medspark.tables import (
    current_version,
    delete,
    full_path,
    list_paths,
    make_folder,
    parquet_files,
    publish,
    table_path,
    write_version,
)

Asked = Literal["auto", "workers", "spark"]
UNITS_OF_A_TASK = 8
"""At most: Spark takes some 30 ms to hand a Python worker its next task, and a unit takes 100 ms."""
ROUNDS = 2
"""Tasks for each core, where there are units enough: the slower one of two cores then gets fewer."""


class Reader(NamedTuple):
    """Who reads the tensors and writes the scores, and why."""

    kind: Literal["workers", "spark"]
    because: str


def statistics_digest(bundle: Bundle) -> str:
    """The digest of the statistics that encode for a bundle: tensors made by others are not for it."""
    return hashlib.sha256((bundle.path / STATISTICS).read_bytes()).hexdigest()[:16]


# ---------------------------------------------------------------- encode


def is_encoded(run: Run, version: str) -> bool:
    """Whether the same rows were encoded for the same bundle before."""
    if current_version(run.spark, run.store, TENSORS) != version:
        return False
    run.say(f"These rows were encoded for this bundle before; nothing changed: {run.store}/{TENSORS}/{version}")
    run.receipt.outputs[TENSORS] = table_path(run.spark, run.store, TENSORS)
    return True


def write_tensors(run: Run, bundle: Bundle, found: Eligible, version: str) -> None:
    """Encode the eligible cases by the bundle's statistics and publish them, with the rest's reasons.

    Raises:
        AccountingError: tensors and rejected rows are not what came in; then nothing is published.
    """
    spark = run.spark
    statistics = from_json((bundle.path / STATISTICS).read_text(encoding="utf-8"))
    encoded = encode_cases(found.cases, statistics)
    written = write_version(encoded, run.store, TENSORS, version, **tensors_options(statistics))
    aside = write_version(rejected_rows(found, version), run.store, REJECTED, version)
    rows = spark.read.parquet(written).count()
    reasons = {row[REASON]: row["count"] for row in spark.read.parquet(aside).groupBy(REASON).count().collect()}
    expected = found.expected()
    if rows + sum(reasons.values()) != expected:
        delete(spark, written)
        raise AccountingError(
            f"{expected} came in, but {rows} were encoded and {sum(reasons.values())} rejected. Nothing was published."
        )
    facts = {"statistics": statistics_digest(bundle), "rows": rows, "inputs": run.receipt.inputs["source"]}
    write_facts(spark, written, {**facts, "fingerprint": version})
    publish(spark, run.store, (REJECTED, TENSORS), version)
    run.receipt.counts["score"] |= {"encoded": rows, "rejected": reasons}
    run.receipt.outputs |= {TENSORS: written, REJECTED: aside}
    run.say(f"  encoded     {rows:>12,}")
    for reason, count in sorted(reasons.items()):
        run.say(f"  rejected    {count:>12,}  {reason}")


# ---------------------------------------------------------------- score


def score_tensors_stage(run: Run, bundle: Bundle, source: str, engine: str = "auto", reader: Asked = "auto") -> str:
    """The current tensors of a store, which `encode_stage` wrote, to `scores` and `rejected`.

    Args:
        run: its store is where the scores go.
        bundle: verified.
        source: the store that has the tensors.
        engine: litert, tensorflow, or auto: litert where the bundle has it.
        reader: workers: each task reads and writes Parquet itself; spark: Spark does; auto: workers where they can.

    Returns:
        The scoring run's id, which is also the version of the two tables.

    Raises:
        InputError: there are no tensors, or they were encoded by other statistics than the bundle's.
        TaskError: workers are asked for where they cannot.
        AccountingError: rows do not add up.
    """
    spark = run.spark
    with run.receipt.timed("score"), run.progress("score"):
        path = full_path(spark, table_path(spark, source, TENSORS))
        facts = _require_encoded_for(spark, path, bundle)
        run_id = score_id(bundle.bundle_id, facts["fingerprint"], None)
        run.receipt.bundle_id = bundle.bundle_id
        run.receipt.inputs["tensors"] = {"path": path, "fingerprint": facts["fingerprint"]}
        run.receipt.counts["score"] = {"rows_in": facts["rows"]}
        if is_scored(run, run_id):
            return run_id
        served = ship(spark, serve(bundle, engine))._replace(reads="tensors")
        files = parquet_files(spark, path)
        make_folder(spark, run.store)  # a machine that does not see it then writes to a disk of its own
        chosen = choose_reader(spark, reader, [next(iter(files)), full_path(spark, run.store)])
        run.receipt.counts["score"]["reader"] = chosen._asdict()
        if chosen.kind == "workers":
            _score_by_workers(run, bundle, files, served, run_id, facts["rows"])
        else:
            tensors = spark.read.parquet(path)
            none = spark.createDataFrame([], _rejected_type(tensors.dtypes))
            write_scores(run, bundle, tensors, none, served, run_id, facts["rows"])
    run.say(f"  read by     {chosen.kind}: {chosen.because}")
    return run_id


def _require_encoded_for(spark: SparkSession, path: str, bundle: Bundle) -> dict[str, Any]:
    facts = read_facts(spark, path)
    expected = statistics_digest(bundle)
    if facts.get("statistics") != expected:
        raise InputError(
            f"expected tensors encoded by this bundle's statistics ({expected}), received others "
            f"({facts.get('statistics')}). Run `medspark encode` with this bundle first."
        )
    return facts


def choose_reader(spark: SparkSession, asked: Asked, addresses: list[str]) -> Reader:
    """Who reads tensors and writes scores.

    Args:
        spark: its executors' machines are asked, where they are not the driver's.
        asked: what the user wants.
        addresses: of what must be within reach.

    Raises:
        TaskError: workers are asked for, and cannot reach them.
    """
    if asked == "spark":
        return Reader("spark", "it was asked for")
    problem = out_of_reach(addresses)
    if problem is None and not is_local(spark):
        context = spark.sparkContext
        tasks = context.defaultParallelism
        answers = context.parallelize(range(tasks), tasks).map(lambda _: out_of_reach(addresses)).collect()
        problem = next((answer for answer in answers if answer is not None), None)
    if problem is None:
        return Reader("workers", "it was asked for" if asked == "workers" else "they reach the tensors and the store")
    if asked == "workers":
        raise TaskError("--reader", [f"workers cannot read and write here: {problem}. Use spark."])
    return Reader("spark", f"workers cannot read and write here: {problem}")


def _score_by_workers(
    run: Run, bundle: Bundle, files: dict[str, str], served: Served, run_id: str, expected: int
) -> None:
    """One Spark task for each unit: it reads, scores and writes, and tells only what it counted."""
    spark = run.spark
    folders = {table: full_path(spark, f"{run.store}/{table}/{run_id}") for table in (SCORES, REJECTED)}
    at = int(datetime.now(UTC).timestamp()) * 1_000_000
    sink = Sink(folders[SCORES], folders[REJECTED], run_id, bundle.bundle_id, at)
    units = plan_units(files, served)
    there = {path.rsplit("/", 1)[-1] for path in list_paths(spark, sink.scores)}
    pieces = _run_units(spark, units, served, sink)
    write_empty(next(iter(files)), sink, scores=not units)
    _keep_only(spark, sink, {unit.piece for unit in units} | {NO_ROWS})
    bands: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for piece in pieces:
        bands.update(piece.bands)
        reasons.update(piece.reasons)
    before = sum(sum(piece.bands.values()) for unit, piece in zip(units, pieces, strict=True) if unit.piece in there)
    run.receipt.counts["score"] |= {"scored_before": before, "loads": sum(piece.loads for piece in pieces)}
    publish_scores(run, served, run_id, dict(bands), dict(reasons), expected)


def _run_units(spark: SparkSession, units: list[Unit], served: Served, sink: Sink) -> list[Piece]:
    if not units:
        return []
    shared = spark.sparkContext.broadcast((served, sink))

    def score(unit: Unit) -> Piece:
        served, sink = shared.value
        return score_unit(unit, located(served), sink)

    context = spark.sparkContext
    tasks = max(-(-len(units) // UNITS_OF_A_TASK), min(len(units), ROUNDS * context.defaultParallelism))
    return context.parallelize(units, tasks).map(score).collect()


def _keep_only(spark: SparkSession, sink: Sink, pieces: set[str]) -> None:
    """Remove what a run that was stopped left beside finished pieces: half-written ones, or another reader's.

    Raises:
        AccountingError: a piece is not there.
    """
    found = {folder: list_paths(spark, folder) for folder in (sink.scores, sink.rejected)}
    for path in (path for paths in found.values() for path in paths if path.rsplit("/", 1)[-1] not in pieces):
        delete(spark, path)
    missing = pieces - {NO_ROWS} - {path.rsplit("/", 1)[-1] for path in found[sink.scores]}
    if missing:
        raise AccountingError(f"{sink.scores}: {len(missing)} of {len(pieces)} files are not there")


def _rejected_type(dtypes: list[tuple[str, str]]) -> str:
    """The columns of `rejected` as Spark's types, the keys typed as the tensors have them."""
    types = {RUN_ID: "string", FILE: "string", LINE: "bigint", REASON: "string", **dict(dtypes)}
    return ", ".join(f"{name} {types[name]}" for name in REJECTED_COLUMNS)
