"""Scoring, whatever the source: predict, write, count and publish."""

import atexit
import hashlib
import shutil
import tempfile
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from medspark.bundles.bundle import CALIBRATION, KERAS, LITERT, STATISTICS, Bundle
from medspark.cases.eligible import Eligible
from medspark.errors import AccountingError, TaskError
from medspark.runs.receipt import now
from medspark.runs.run import Run
from medspark.schemas import (
    BUNDLE_ID,
    CASE_ID,
    FILE,
    LINE,
    REASON,
    REJECTED,
    REJECTED_COLUMNS,
    REJECTED_TYPES,
    RISK_BAND,
    RULE,
    RUN_ID,
    SCORE_COLUMNS,
    SCORED_AT,
    SCORES,
    SUBJECT_ID,
    ddl,
    with_keys,
)
from medspark.score.by_spark import predict_cases
from medspark.score.choose import Asked, choose, counts_of, frame_to_pieces, is_local, sink_of
from medspark.score.worker.calibration import Calibration
from medspark.score.worker.predict import Served
from medspark.store.files import delete, full_path, make_folder
from medspark.store.tables import append_version, current_version, finished_rows, publish, table_path, write_version

UNSCORED = "unscored"


def rejected_rows(found: Eligible, run_id: str) -> DataFrame:
    """Every row without a case: excluded ones by key, quarantined ones by place; no more of the patient."""
    types = dict(found.excluded.dtypes)
    excluded = found.excluded.withColumn(REASON, F.concat(F.lit("excluded: "), REASON))
    unread = found.quarantine.select(
        F.lit(None).cast(types[CASE_ID]).alias(CASE_ID),
        F.lit(None).cast(types[SUBJECT_ID]).alias(SUBJECT_ID),
        FILE,
        LINE,
        F.concat(F.lit("quarantined: "), RULE).alias(REASON),
    )
    return excluded.unionByName(unread).withColumn(RUN_ID, F.lit(run_id)).select(*REJECTED_COLUMNS)


def score_id(bundle_id: str, fingerprint: str, as_of: str | None) -> str:
    """The id of a scoring run, from all that decides its scores."""
    return hashlib.sha256(f"{bundle_id} {fingerprint} {as_of}".encode()).hexdigest()[:16]


def serve(bundle: Bundle, engine: str) -> Served:
    """What scoring workers need of a bundle, with the engine asked for.

    Raises:
        TaskError: the bundle has no network for that engine.
    """
    has_litert = (bundle.path / LITERT).exists()
    if engine == "litert" and not has_litert:
        raise TaskError("--engine", [f"this bundle has no {LITERT}: LiteRT cannot serve its network. Use tensorflow."])
    use_litert = engine == "litert" or (engine == "auto" and has_litert)
    name = LITERT if use_litert else KERAS
    return Served(
        kind="litert" if use_litert else "tensorflow",
        network=str((bundle.path / name).resolve()),
        digest=bundle.manifest["files"][name],
        statistics=(bundle.path / STATISTICS).read_text(encoding="utf-8"),
        calibration=Calibration.from_dict(bundle.read_json(CALIBRATION)),
        bands=bundle.task.risk_bands,
    )


def ship(context: SparkContext, served: Served) -> Served:
    """Give each executor the network's file, once; workers map it, so those of one machine share its pages."""
    if is_local(context):
        return served
    folder = Path(tempfile.mkdtemp(prefix="medspark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = Path(served.network)
    # Named by content: the files of a session share one folder
    named = shutil.copy(source, folder / f"{served.digest}{source.suffix}")
    context.addFile(str(named))
    return served._replace(network=Path(named).name)


def score_cases(run: Run, bundle: Bundle, found: Eligible, run_id: str, engine: str, writer: Asked) -> None:
    """Score the eligible cases through Spark and publish them with the rest's reasons."""
    served = ship(run.context, serve(bundle, engine))
    run.receipt.counts["score"]["reader"] = {"kind": "spark", "because": "the source is raw: Spark cleans it"}
    write_scores(run, bundle, found.cases, rejected_rows(found, run_id), served, run_id, found.expected(), writer)


def write_scores(
    run: Run,
    bundle: Bundle,
    cases: DataFrame,
    rejected: DataFrame | None,
    served: Served,
    run_id: str,
    expected: int,
    writer: Asked,
) -> None:
    """Score cases that Spark reads and publish `scores` and `rejected` together.

    Each Spark task's scores stay once it is done. Where a run that was stopped left some, only the others are scored.

    Args:
        run: its store is where the scores go.
        bundle: the network's.
        cases: the eligible ones with their features, or tensors.
        rejected: everything else that came in, as REJECTED_COLUMNS; None where there is nothing else.
        served: the bundle's network, shipped.
        run_id: from `score_id`.
        expected: scores and rejected rows there must be in all.
        writer: workers: each task writes its scores itself; spark: Spark does; auto: workers where they can.

    Raises:
        TaskError: workers are to write where they cannot.
        AccountingError: there are more or fewer; then nothing is published.
    """
    make_folder(run.context, run.store)  # a machine that does not see it then writes to a disk of its own
    chosen = choose(run.context, "--writer", writer, [], [full_path(run.context, run.store)])
    run.receipt.counts["score"]["writer"] = chosen._asdict()
    write = _write_by_workers if chosen.kind == "workers" else _write_by_spark
    bands, reasons = write(run, bundle, cases, rejected, served, run_id)
    publish_scores(run, served, run_id, bands, reasons, expected)


Counted = tuple[dict[str, int], dict[str, int]]
"""Scores by risk band, and rejected rows by reason."""


def _write_by_workers(
    run: Run, bundle: Bundle, cases: DataFrame, rejected: DataFrame | None, served: Served, run_id: str
) -> Counted:
    pieces, before = frame_to_pieces(run.spark, cases, served, sink_of(run, bundle, run_id))
    run.receipt.counts["score"] |= {"scored_before": before, "loads": sum(piece.loads for piece in pieces)}
    bands, reasons = counts_of(pieces)
    if rejected is None:
        return bands, reasons
    return bands, _reasons(run.spark, append_version(rejected, run.store, REJECTED, run_id))


def _write_by_spark(
    run: Run, bundle: Bundle, cases: DataFrame, rejected: DataFrame | None, served: Served, run_id: str
) -> Counted:
    spark = run.spark
    finished = finished_rows(spark, run.store, SCORES, run_id, CASE_ID)
    before = finished.count() if finished is not None else 0
    if finished is not None:
        cases = cases.join(finished, CASE_ID, "left_anti")
    loaded, seen = spark.sparkContext.accumulator(0), Observation()
    predicted = predict_cases(cases, served, loaded)
    watched = predicted.observe(seen, F.count_if(F.col(REASON).isNotNull()).alias(UNSCORED))
    stamps = {RUN_ID: F.lit(run_id), BUNDLE_ID: F.lit(bundle.bundle_id), SCORED_AT: F.lit(now()).cast("timestamp")}
    scores = watched.where(F.col(REASON).isNull()).withColumns(stamps).select(*SCORE_COLUMNS)
    written = append_version(scores, run.store, SCORES, run_id)
    if rejected is None:
        rejected = spark.createDataFrame([], ddl(with_keys(REJECTED_TYPES, dict(cases.dtypes))))
    if seen.get.get(UNSCORED):  # rare: they are found a second time rather than all kept
        unscored = predicted.where(F.col(REASON).isNotNull())
        places = {RUN_ID: F.lit(run_id), FILE: F.lit(None).cast("string"), LINE: F.lit(None).cast("bigint")}
        rejected = rejected.unionByName(unscored.withColumns(places).select(*REJECTED_COLUMNS))
    reasons = _reasons(spark, write_version(rejected, run.store, REJECTED, run_id))
    found = spark.read.parquet(written).groupBy(RISK_BAND).count().collect()
    run.receipt.counts["score"] |= {"scored_before": before, "loads": loaded.value}
    return {row[RISK_BAND]: row["count"] for row in found}, reasons


def _reasons(spark: SparkSession, rejected: str) -> dict[str, int]:
    return {row[REASON]: row["count"] for row in spark.read.parquet(rejected).groupBy(REASON).count().collect()}


def publish_scores(
    run: Run, served: Served, run_id: str, bands: dict[str, int], reasons: dict[str, int], expected: int
) -> None:
    """Publish `scores` and `rejected`, both written, where they add up.

    Args:
        run: its store has the two tables.
        served: the network that scored.
        run_id: their version.
        bands: scores by risk band.
        reasons: rejected rows by reason.
        expected: how many there must be in all.

    Raises:
        AccountingError: there are more or fewer; then nothing is published.
    """
    scored, rejected = sum(bands.values()), sum(reasons.values())
    if scored + rejected != expected:
        delete(run.context, f"{run.store}/{SCORES}/{run_id}")
        raise AccountingError(
            f"{expected} came in, but {scored} were scored and {rejected} rejected. Nothing was published."
        )
    publish(run.context, run.store, (REJECTED, SCORES), run_id)
    bands = dict(sorted(bands.items()))
    run.receipt.counts["score"] |= {"engine": served.kind, "scored": scored, "bands": bands, "rejected": reasons}
    run.receipt.outputs |= {name: f"{run.store}/{name}/{run_id}" for name in (SCORES, REJECTED)}
    _tell_scores(run, bands, reasons, served.kind)


def is_scored(run: Run, run_id: str) -> bool:
    """Whether the same rows were scored by the same bundle before; then the store has the result already."""
    if current_version(run.context, run.store, SCORES) != run_id:
        return False
    run.say(f"These rows were scored by this bundle before; nothing changed: {run.store}/{SCORES}/{run_id}")
    run.receipt.outputs[SCORES] = table_path(run.context, run.store, SCORES)
    return True


def _tell_scores(run: Run, bands: dict[str, int], reasons: dict[str, int], engine: str) -> None:
    counts = run.receipt.counts["score"]
    run.say(f"  rows in     {counts['rows_in']:>12,}")
    run.say(f"  scored      {sum(bands.values()):>12,}  by {engine}")
    if counts["scored_before"]:
        run.say(f"    of them   {counts['scored_before']:>12,}  by a run that was stopped")
    for band, rows in sorted(bands.items(), key=lambda item: item[1]):
        run.say(f"    {band:<10}{rows:>12,}")
    for reason, rows in sorted(reasons.items()):
        if not reason.startswith("quarantined"):
            run.say(f"  rejected    {rows:>12,}  {reason}")
    quarantined = sum(rows for reason, rows in reasons.items() if reason.startswith("quarantined"))
    if quarantined:
        run.say(f"  rejected    {quarantined:>12,}  quarantined, by rule in the receipt")
