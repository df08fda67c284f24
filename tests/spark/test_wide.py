"""A wide table with few rows is read in a way of its own, and comes to what any other way comes to."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from support.cleaning import Clean, write_parquet
from support.cleaning import clean_path as clean_path
from support.errors import SECRET

from medspark.errors import SparkError
from medspark.schemas import DIGEST, FILE, RAW, REASON, ROW_DIGEST, RULE
from medspark.spark import wide
from medspark.spark.failures import told_in_words

COLUMNS = {"id": "long", "age": {"type": "integer", "range": [0, 120]}, "seen": "timestamp", "note": "string"}
TYPED: dict[str, Any] = {"format": "parquet", "duplicates": {"same": ["id"], "keep": "latest", "by": "seen"}}
PARTS = "spark.sql.shuffle.partitions"
NOON, LATER = dt.datetime(2024, 5, 1, 12), dt.datetime(2024, 5, 1, 12, 30)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    times = pa.array([NOON, LATER, NOON, None], pa.timestamp("us"))
    write_parquet(tmp_path / "in" / "1.parquet", id=[1, 1, 2, 3], age=[40, 41, 130, 7], seen=times, note=["a"] * 4)
    times = pa.array([NOON, NOON], pa.timestamp("us"))
    write_parquet(tmp_path / "in" / "2.parquet", id=[None, 4], age=[5, None], seen=times, note=["\u00a0b", "\u00a0c"])
    return tmp_path / "in"


def test_typed_rows_are_judged_counted_and_compared_alike(
    clean_path: Clean, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = clean_path(files, COLUMNS, **TYPED)
    monkeypatch.setattr(wide, "MANY", 1)
    found = clean_path(files, COLUMNS, **TYPED)
    assert found.counts == plain.counts
    assert found.counts.quarantined == {"age: range": 1, "id: required": 1}
    assert (found.counts.records, found.counts.duplicates, found.fingerprint) == (3, 1, plain.fingerprint)
    assert_df_equality(found.records, plain.records, ignore_row_order=True)
    assert_df_equality(found.quarantine, plain.quarantine, ignore_row_order=True)
    assert sorted(found.records.select("id", "age", "note").collect()) == [(1, 41, "a"), (3, 7, "a"), (4, None, "c")]
    found.release()
    plain.release()


def test_a_repaired_row_takes_the_place_of_the_one_set_aside(
    clean_path: Clean, files: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "MANY", 1)
    before = clean_path(files, COLUMNS, **TYPED)
    aside = before.quarantine.where(f"{RULE} = 'age: range'").collect()[0]
    before.release()
    repaired = aside.asDict() | {RAW: aside[RAW].replace("130", "103")}
    repairs = spark.createDataFrame([repaired], f"{FILE} string, line bigint, {DIGEST} bigint, {RAW} string")
    found = clean_path(files, COLUMNS, repairs=repairs, **TYPED)
    assert found.counts.repaired == 1
    assert [row.age for row in found.records.where("id = 2").collect()] == [103]
    assert [row[REASON] for row in found.quarantine.where(f"{RULE} = 'id: required'").collect()] == [
        "id: expected a value"
    ]
    found.release()


def held(spark: SparkSession) -> int:
    """How many frames Spark keeps."""
    java: Any = spark.sparkContext._jsc
    return len(java.getPersistentRDDs())


def test_what_is_kept_is_freed(spark: SparkSession) -> None:
    before = held(spark)
    with wide.way_of(spark, wide.MANY, 1000) as way:
        assert way.keep(way.spread(spark.range(3))).count() == 3
        assert held(spark) > before
    assert held(spark) == before


def test_rows_that_an_executor_took_with_it_are_told_in_words(spark: SparkSession) -> None:
    with wide.way_of(spark, wide.MANY, 1000) as way:
        kept = way.keep(spark.range(3).withColumn("note", F.lit(SECRET)))
        assert kept.count() == 3
    with pytest.raises(SparkError, match="an executor was lost with rows that it alone kept") as error, told_in_words():
        kept.collect()
    assert SECRET not in str(error.value)


def test_what_is_kept_is_read_without_the_plan_that_led_to_it(spark: SparkSession) -> None:
    rows, parts = spark.range(3).selectExpr("id", f"id + 1 AS {ROW_DIGEST}"), spark.conf.get(PARTS)
    with wide.way_of(spark, wide.MANY, 1000) as way:
        assert spark.conf.get("spark.sql.constraintPropagation.enabled") == "false"
        plan = way.keep(way.spread(rows))._jdf.queryExecution().optimizedPlan().toString()
    assert "LogicalRDD" in plan
    assert "Range" not in plan
    assert spark.conf.get("spark.sql.constraintPropagation.enabled") == "true"
    assert spark.conf.get(PARTS) == parts
    with wide.way_of(spark, wide.MANY, wide.MANY * wide.BYTES_OF_A_COLUMN + 1) as way:
        kept = way.keep(way.spread(rows))
        assert kept.is_cached
    assert not kept.is_cached
