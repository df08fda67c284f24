"""Scores of cases, or tensors, that Spark reads and Spark writes."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark import Accumulator, AccumulatorParam
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from medspark.monitor.worker.observe import take
from medspark.runs.receipt import now
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
    RUN_ID,
    SCORE_COLUMNS,
    SCORED_AT,
    SCORES,
    ddl,
    quoted,
    with_keys,
)
from medspark.score.publish import Scoring, Written
from medspark.score.ship import located
from medspark.score.worker.engine import loads
from medspark.score.worker.predict import (
    KEYS,
    NO_BAND,
    Served,
    answer_types,
    columns_read,
    more_types,
    predict_batches,
)
from medspark.spark.arrow import map_batches
from medspark.store.tables import append_version, finished_rows, read_parquet, write_version

UNSCORED = "unscored"
_SQL = {pa.float64(): "double", pa.string(): "string", pa.bool_(): "boolean", pa.timestamp("us", tz="UTC"): "timestamp"}


class _Texts(AccumulatorParam[list[str]]):
    """Texts of all tasks, behind one another."""

    def zero(self, value: list[str]) -> list[str]:
        return []

    def addInPlace(self, value1: list[str], value2: list[str]) -> list[str]:  # noqa: N802 (Spark's name)
        return value1 + value2


def predict_cases(
    cases: DataFrame,
    served: Served,
    loaded: Accumulator[int] | None = None,
    watched: Accumulator[list[str]] | None = None,
) -> DataFrame:
    """The keys of each case, or row of tensors, with its logit, probability and risk band, or a reason for none.

    Args:
        cases: with the columns that `columns_read` names.
        served: its network is a path that every executor has, or the name of one of the session's files.
        loaded: counts the networks that workers load.
        watched: gets what each task counted of its cases.
    """
    types = dict(cases.dtypes)
    answers = {name: _SQL[kind] for name, kind in answer_types(served).items()}
    schema = ddl({**{key: types[key] for key in KEYS}, **answers})
    shared = cases.sparkSession.sparkContext.broadcast(served)

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        before, served = loads(), located(shared.value)
        take(served.watch)  # what another task of this process left when it broke off
        yield from predict_batches(batches, served)
        if loaded is not None:
            loaded.add(loads() - before)
        counted = take(served.watch)
        if watched is not None and counted is not None:
            watched.add([counted])

    return map_batches(cases.select(*map(quoted, [*KEYS, *columns_read(served)])), predict, schema)


def write_by_spark(scoring: Scoring, cases: DataFrame, rejected: DataFrame | None) -> Written:
    """Write what is scored, and what is not with the rest's reasons, into the versions of a scoring run.

    Args:
        scoring: where to.
        cases: the eligible ones, or tensors; those that a stopped run scored are not scored again.
        rejected: everything else that came in, as REJECTED_COLUMNS; None where there is nothing else.
    """
    store, version = scoring.run.store, scoring.version
    spark = scoring.run.spark
    finished = finished_rows(spark, store, SCORES, version, CASE_ID)
    before = finished.count() if finished is not None else 0
    if finished is not None:
        cases = cases.join(finished, CASE_ID, "left_anti")
    loaded, seen = spark.sparkContext.accumulator(0), Observation()
    counted: Accumulator[list[str]] = spark.sparkContext.accumulator([], _Texts())
    predicted = predict_cases(cases, scoring.served, loaded, counted)
    watched = predicted.observe(seen, F.count_if(F.col(REASON).isNotNull()).alias(UNSCORED))
    stamps = {
        RUN_ID: F.lit(version),
        BUNDLE_ID: F.lit(scoring.bundle.bundle_id),
        SCORED_AT: F.lit(now()).cast("timestamp"),
    }
    scores = watched.where(F.col(REASON).isNull()).withColumns(stamps)
    scores = scores.select(*SCORE_COLUMNS, *map(quoted, more_types(scoring.served)))
    written = append_version(scores, store, SCORES, version)
    tallies = tuple(counted.value)  # here: what follows may predict some of them once more
    if rejected is None:
        rejected = spark.createDataFrame([], ddl(with_keys(REJECTED_TYPES, dict(cases.dtypes))))
    if seen.get.get(UNSCORED):  # rare: they are found a second time rather than all kept
        unscored = predicted.where(F.col(REASON).isNotNull())
        places = {RUN_ID: F.lit(version), FILE: F.lit(None).cast("string"), LINE: F.lit(None).cast("bigint")}
        rejected = rejected.unionByName(unscored.withColumns(places).select(*REJECTED_COLUMNS))
    reasons = count_by(spark, write_version(rejected, store, REJECTED, version), REASON)
    bands = {band or NO_BAND: rows for band, rows in count_by(spark, written, RISK_BAND).items()}
    return Written(bands, reasons, before, loaded.value, tallies)


def count_by(spark: SparkSession, path: str, column: str) -> dict[str, int]:
    """The rows of a written table by a column's values."""
    return {row[column]: row["count"] for row in read_parquet(spark, path).groupBy(column).count().collect()}
