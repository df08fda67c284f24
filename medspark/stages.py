"""The stages, one function each: read, compose, write, count.

Every table of a stage is written whole, its counts are checked, and only then is it published. Beside each table
lies what the next stage must know: the counts, and a digest of the rules that made it, so that records cleaned by
one task file are never taken for those of another.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from medspark.bundle import CALIBRATION, KERAS, LITERT, STATISTICS, Bundle
from medspark.cases.cases import EXCLUDED, build_cases, count_attrition, count_cases, mark_excluded
from medspark.clean.clean import Counts, clean
from medspark.clean.lookups import freeze_lookups
from medspark.columns import (
    ATTRITION,
    BUNDLE_ID,
    CASE_ID,
    CASES,
    DIGEST,
    FILE,
    LINE,
    QUARANTINE,
    RAW,
    REASON,
    RECORDS,
    REJECTED,
    REJECTED_COLUMNS,
    RULE,
    RUN_ID,
    SCORE_COLUMNS,
    SCORED_AT,
    SCORES,
    SOURCE_FILE,
    SOURCE_LINE,
    SUBJECT_ID,
    quoted,
)
from medspark.console import spark_progress
from medspark.errors import AccountingError, InputError, TaskError
from medspark.evaluate.calibration import Calibration
from medspark.receipt import Receipt, now
from medspark.score.predict import Served, predict_cases
from medspark.tables import (
    current_version,
    delete,
    exists,
    publish,
    read_table,
    read_text,
    table_path,
    write_text,
    write_version,
)
from medspark.task import Task

FACTS = "_facts.json"
CLEAN_SECTIONS = ("source", "columns", "derived", "lookups", "checks")
CASE_SECTIONS = ("exclude", "outcome", "features", "split", "report")


@dataclass
class Run:
    """One command at work: its session, where it writes, what it tells the person, and its receipt."""

    spark: SparkSession
    store: str
    console: Console
    """What is said of the run; silent when a scheduler asked for JSON."""
    receipt: Receipt
    terminal: Console
    """Where progress is drawn."""

    @property
    def version(self) -> str:
        return self.receipt.run_id

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def progress(self, title: str) -> AbstractContextManager[None]:
        return spark_progress(self.terminal, self.spark, title)


def save_receipt(run: Run) -> None:
    """Write `runs/RUN_ID.json` in the store."""
    write_text(run.spark, f"{run.store}/runs/{run.receipt.run_id}.json", run.receipt.to_json())


def clean_stage(run: Run, task: Task, repairs_path: str | None = None) -> Task:
    """Source to `records` and `quarantine`; returns the task with its look-ups frozen.

    Raises:
        InputError: see `medspark.clean.clean.clean`.
    """
    spark = run.spark
    with run.receipt.timed("clean"), run.progress("clean"):
        task = with_lookups(run, task)
        repairs = read_repairs(spark, repairs_path) if repairs_path is not None else None
        cleaned = clean(spark, task, repairs=repairs)
        written = write_version(cleaned.records, run.store, RECORDS, run.version)
        aside = write_version(cleaned.quarantine, run.store, QUARANTINE, run.version)
        cleaned.release()
        _require_rows(spark, written, cleaned.counts.records)
        _require_rows(spark, aside, sum(cleaned.counts.quarantined.values()) + cleaned.counts.duplicates)
        facts = {"rules": rules_digest(task, CLEAN_SECTIONS), "fingerprint": cleaned.fingerprint}
        _write_facts(spark, written, {**facts, "counts": cleaned.counts._asdict()})
        publish(spark, run.store, (RECORDS, QUARANTINE), run.version)
    run.receipt.inputs["source"] = {
        "path": task.source.path,
        "files": len(cleaned.files),
        "fingerprint": cleaned.fingerprint,
    }
    run.receipt.counts["clean"] = cleaned.counts._asdict()
    run.receipt.outputs |= {RECORDS: written, QUARANTINE: aside}
    _tell_clean(run, cleaned.counts)
    return task


def with_lookups(run: Run, task: Task) -> Task:
    """The task with its look-up tables read, from wherever Spark can read them.

    Raises:
        InputError: with every look-up that cannot be read, by name.
    """
    return freeze_lookups(task, partial(read_text, run.spark))


def read_repairs(spark: SparkSession, path: str) -> DataFrame:
    """Repaired rows of the quarantine, as Parquet or as one JSON object a line.

    Raises:
        InputError: the columns that find a row, or its new text, are absent.
    """
    wanted = {FILE: "string", LINE: "bigint", DIGEST: "bigint", RAW: "string"}
    if not exists(spark, path):
        raise InputError(f"{path}: expected repaired rows here, received nothing")
    if path.endswith((".json", ".ndjson", ".jsonl")):
        frame = spark.read.json(path, schema=", ".join(f"{k} {v}" for k, v in wanted.items()), mode="FAILFAST")
    else:
        frame = spark.read.parquet(path)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise InputError(f"{path}: expected the quarantine's columns, received none of {', '.join(absent)}")
    rows = frame.select(*wanted)
    if rows.where(F.col(FILE).isNull() | F.col(DIGEST).isNull() | F.col(RAW).isNull()).limit(1).count():
        raise InputError(f"{path}: expected {FILE}, {DIGEST} and {RAW} in every repaired row, received nulls")
    return rows


def features_stage(run: Run, task: Task) -> None:
    """`records` to `cases` and `attrition`."""
    spark = run.spark
    with run.receipt.timed("features"), run.progress("features"):
        path = table_path(spark, run.store, RECORDS)
        facts = read_facts(spark, path)
        _require_rules(facts, "rules", rules_digest(task, CLEAN_SECTIONS), "clean")
        marked = mark_excluded(read_table(spark, run.store, RECORDS), task)
        attrition = [row._asdict() for row in count_attrition(marked, task)]
        written = write_version(build_cases(marked, task), run.store, CASES, run.version)
        flow = spark.createDataFrame(
            [tuple(row.values()) for row in attrition],
            "criterion string, because string, removed bigint, remaining bigint",
        )
        flow_path = write_version(flow.coalesce(1), run.store, ATTRITION, run.version)
        splits = count_cases(spark.read.parquet(written))
        eligible = attrition[-1]["remaining"]
        if sum(split["cases"] for split in splits.values()) != eligible:
            raise AccountingError(f"{eligible} records are eligible, but {splits} became cases")
        _write_facts(
            spark,
            written,
            {
                **facts,
                "case_rules": rules_digest(task, CASE_SECTIONS),
                "attrition": attrition,
                "splits": splits,
            },
        )
        publish(spark, run.store, (CASES, ATTRITION), run.version)
    run.receipt.counts["features"] = {"attrition": attrition, "splits": splits}
    run.receipt.outputs |= {CASES: written, ATTRITION: flow_path}
    for row in attrition[1:]:
        run.say(f"  excluded    {row['removed']:>12,}  {row['criterion']}")
    run.say(f"  cases       {eligible:>12,}")


def require_cases(run: Run, task: Task) -> dict[str, Any]:
    """The facts of the current cases.

    Raises:
        InputError: there are none, or another task file made them.
    """
    facts = read_facts(run.spark, table_path(run.spark, run.store, CASES))
    _require_rules(facts, "rules", rules_digest(task, CLEAN_SECTIONS), "clean")
    _require_rules(facts, "case_rules", rules_digest(task, CASE_SECTIONS), "features")
    return facts


def score_stage(run: Run, bundle: Bundle, source: str, as_of: str | None = None, engine: str = "auto") -> str:
    """A source and a bundle to `scores` and `rejected`: one score for each eligible case, or a reason.

    The rules and features are the bundle's. Rows read = scores + rejected, or nothing is published. A run's id is
    made of what decides its result, so that the same run again finds its scores there and changes nothing.

    Args:
        run: its store is where the scores go.
        bundle: verified.
        source: the path that takes the place of the task's.
        as_of: a timestamp; cases whose prediction time is later are rejected.
        engine: litert, tensorflow, or auto: litert where the bundle has it.

    Returns:
        The scoring run's id, which is also the version of the two tables.

    Raises:
        InputError: the source breaks its contract.
        AccountingError: rows do not add up.
    """
    spark = run.spark
    task = bundle.task.model_copy(update={"source": bundle.task.source.model_copy(update={"path": source})})
    if as_of is not None and task.source.time is None:
        raise TaskError("--as-of", ["the task's source has no `time`, so there is nothing to compare it with"])
    served = serve(bundle, engine)
    with run.receipt.timed("clean"), run.progress("clean"):
        cleaned = clean(spark, task, scoring=True)
    run_id = score_id(bundle.bundle_id, cleaned.fingerprint, as_of)
    run.receipt.bundle_id = bundle.bundle_id
    run.receipt.inputs["source"] = {"path": source, "files": len(cleaned.files), "fingerprint": cleaned.fingerprint}
    run.receipt.counts["score"] = cleaned.counts._asdict()
    if current_version(spark, run.store, SCORES) == run_id:
        cleaned.release()
        run.say(f"These rows were scored by this bundle before; nothing changed: {run.store}/{SCORES}/{run_id}")
        run.receipt.outputs[SCORES] = table_path(spark, run.store, SCORES)
        return run_id
    with run.receipt.timed("score"), run.progress("score"):
        marked = reject_later(mark_excluded(cleaned.records, task), task, as_of)
        stamps = {RUN_ID: run_id, BUNDLE_ID: bundle.bundle_id}
        scores = predict_cases(build_cases(marked, task), served).withColumns(
            {name: F.lit(value) for name, value in stamps.items()} | {SCORED_AT: F.lit(now()).cast("timestamp")}
        )
        written = write_version(scores.select(*SCORE_COLUMNS), run.store, SCORES, run_id)
        rejected = _rejected(marked, cleaned.quarantine, task, run_id)
        aside = write_version(rejected, run.store, REJECTED, run_id)
        cleaned.release()
        found = spark.read.parquet(written).groupBy("risk_band").count().collect()
        bands = {row["risk_band"]: row["count"] for row in found}
        reasons = {row[REASON]: row["count"] for row in spark.read.parquet(aside).groupBy(REASON).count().collect()}
        if sum(bands.values()) + sum(reasons.values()) != cleaned.counts.rows_in:
            delete(spark, written)
            raise AccountingError(
                f"{cleaned.counts.rows_in} rows came in, but {sum(bands.values())} were scored and "
                f"{sum(reasons.values())} rejected. Nothing was published."
            )
        publish(spark, run.store, (REJECTED, SCORES), run_id)
    run.receipt.counts["score"] |= {"scored": sum(bands.values()), "bands": bands, "rejected": reasons}
    run.receipt.outputs |= {SCORES: written, REJECTED: aside}
    _tell_scores(run, bands, reasons, served.kind)
    return run_id


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


def reject_later(marked: DataFrame, task: Task, as_of: str | None) -> DataFrame:
    """Exclude the cases whose prediction time is later than the as-of time, or unknown when one is asked for."""
    if as_of is None or task.source.time is None:
        return marked
    time = F.col(quoted(task.source.time)).cast("timestamp")
    late = F.when(time.isNull(), "no prediction time").when(
        time > F.lit(as_of).cast("timestamp"), "after the as-of time"
    )
    return marked.withColumn(EXCLUDED, F.coalesce(EXCLUDED, late))


def _rejected(marked: DataFrame, quarantine: DataFrame, task: Task, run_id: str) -> DataFrame:
    """Every row without a score: excluded cases by key, quarantined rows by place; no more of the patient."""
    source = task.source
    excluded = marked.where(F.col(EXCLUDED).isNotNull()).select(
        F.lit(run_id).alias(RUN_ID),
        F.col(quoted(source.case)).alias(CASE_ID),
        F.col(quoted(source.subject)).alias(SUBJECT_ID),
        F.col(SOURCE_FILE).alias(FILE),
        F.col(SOURCE_LINE).alias(LINE),
        F.concat(F.lit("excluded: "), EXCLUDED).alias(REASON),
    )
    types = dict(excluded.dtypes)
    unread = quarantine.select(
        F.lit(run_id).alias(RUN_ID),
        F.lit(None).cast(types[CASE_ID]).alias(CASE_ID),
        F.lit(None).cast(types[SUBJECT_ID]).alias(SUBJECT_ID),
        FILE,
        LINE,
        F.concat(F.lit("quarantined: "), RULE).alias(REASON),
    )
    return excluded.unionByName(unread).select(*REJECTED_COLUMNS)


# ---------------------------------------------------------------- facts beside tables


def rules_digest(task: Task, sections: Iterable[str]) -> str:
    """A digest of some sections of a task; where the source lies is no rule."""
    data = task.model_dump(mode="json", include=set(sections))
    data.get("source", {}).pop("path", None)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def read_facts(spark: SparkSession, path: str) -> dict[str, Any]:
    facts = json.loads(read_text(spark, f"{path}/{FACTS}"))
    assert isinstance(facts, dict)
    return facts


def _write_facts(spark: SparkSession, path: str, facts: dict[str, Any]) -> None:
    write_text(spark, f"{path}/{FACTS}", json.dumps(facts, indent=1))


def _require_rules(facts: dict[str, Any], key: str, expected: str, stage: str) -> None:
    if facts.get(key) != expected:
        raise InputError(
            f"the store's tables were made by other rules than this task file's. Run `medspark {stage}` again first."
        )


def _require_rows(spark: SparkSession, path: str, expected: int) -> None:
    found = spark.read.parquet(path).count()
    if found != expected:
        raise AccountingError(f"{path}: {expected} rows were to be written, {found} are there")


# ---------------------------------------------------------------- telling


def _tell_clean(run: Run, counts: Counts) -> None:
    run.say(f"  rows in     {counts.rows_in:>12,}")
    for rule, rows in counts.quarantined.items():
        run.say(f"  set aside   {rows:>12,}  {rule}")
    if counts.duplicates:
        run.say(f"  duplicates  {counts.duplicates:>12,}")
    if counts.repaired:
        run.say(f"  repaired    {counts.repaired:>12,}")
    run.say(f"  records     {counts.records:>12,}")
    for rule, rows in counts.set_missing.items():
        run.say(f"    emptied   {rows:>12,}  {rule}")


def _tell_scores(run: Run, bands: dict[str, int], reasons: dict[str, int], engine: str) -> None:
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
