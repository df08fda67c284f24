"""The last part of scoring, whatever the source: predict, write, count and publish."""

import hashlib

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundle import CALIBRATION, KERAS, LITERT, STATISTICS, Bundle
from medspark.columns import (
    REASON,
    REJECTED,
    REJECTED_COLUMNS,
    RISK_BAND,
    RUN_ID,
    SCORE_COLUMNS,
    SCORED_AT,
    SCORES,
)
from medspark.errors import AccountingError, TaskError
from medspark.evaluate.calibration import Calibration
from medspark.receipt import now
from medspark.score.predict import Served, predict_cases
from medspark.stages.run import Run
from medspark.tables import (
    current_version,
    delete,
    publish,
    table_path,
    write_version,
)


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
        network=(bundle.path / name).read_bytes(),
        digest=bundle.manifest["files"][name],
        statistics=(bundle.path / STATISTICS).read_text(encoding="utf-8"),
        calibration=Calibration.from_dict(bundle.read_json(CALIBRATION)),
        bands=bundle.task.risk_bands,
    )


def write_scores(
    run: Run, cases: DataFrame, rejected: DataFrame, served: Served, stamps: dict[str, str], expected: int
) -> None:
    """Predict the cases and publish `scores` and `rejected` together.

    Args:
        run: its store is where the scores go.
        cases: the eligible ones, with their features.
        rejected: everything else that came in, as REJECTED_COLUMNS.
        served: the bundle's network.
        stamps: the run's id and the bundle's.
        expected: scores and rejected rows there must be in all.

    Raises:
        AccountingError: there are more or fewer; then nothing is published.
    """
    spark, run_id = run.spark, stamps[RUN_ID]
    scores = predict_cases(cases, served).withColumns(
        {name: F.lit(value) for name, value in stamps.items()} | {SCORED_AT: F.lit(now()).cast("timestamp")}
    )
    written = write_version(scores.select(*SCORE_COLUMNS), run.store, SCORES, run_id)
    aside = write_version(rejected.select(*REJECTED_COLUMNS), run.store, REJECTED, run_id)
    found = spark.read.parquet(written).groupBy(RISK_BAND).count().collect()
    bands = {row[RISK_BAND]: row["count"] for row in found}
    reasons = {row[REASON]: row["count"] for row in spark.read.parquet(aside).groupBy(REASON).count().collect()}
    if sum(bands.values()) + sum(reasons.values()) != expected:
        delete(spark, written)
        raise AccountingError(
            f"{expected} came in, but {sum(bands.values())} were scored and {sum(reasons.values())} rejected. "
            "Nothing was published."
        )
    publish(spark, run.store, (REJECTED, SCORES), run_id)
    run.receipt.counts["score"] |= {"scored": sum(bands.values()), "bands": bands, "rejected": reasons}
    run.receipt.outputs |= {SCORES: written, REJECTED: aside}
    _tell_scores(run, bands, reasons, served.kind)


def is_scored(run: Run, run_id: str) -> bool:
    """Whether the same rows were scored by the same bundle before; then the store has the result already."""
    if current_version(run.spark, run.store, SCORES) != run_id:
        return False
    run.say(f"These rows were scored by this bundle before; nothing changed: {run.store}/{SCORES}/{run_id}")
    run.receipt.outputs[SCORES] = table_path(run.spark, run.store, SCORES)
    return True


def _tell_scores(run: Run, bands: dict[str, int], reasons: dict[str, int], engine: str) -> None:
    if "rows_in" in run.receipt.counts["score"]:
        run.say(f"  rows in     {run.receipt.counts['score']['rows_in']:>12,}")
    run.say(f"  scored      {sum(bands.values()):>12,}  by {engine}")
    for band, rows in sorted(bands.items(), key=lambda item: item[1]):
        run.say(f"    {band:<10}{rows:>12,}")
    for reason, rows in sorted(reasons.items()):
        if reason.startswith("excluded"):
            run.say(f"  rejected    {rows:>12,}  {reason}")
    quarantined = sum(rows for reason, rows in reasons.items() if reason.startswith("quarantined"))
    if quarantined:
        run.say(f"  rejected    {quarantined:>12,}  quarantined, by rule in the receipt")
