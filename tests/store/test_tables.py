"""Tables of a store: a version shows only when whole, and the one before stays for its readers."""

import os
from pathlib import Path

import pytest
from chispa import assert_df_equality
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.store.files import exists
from medspark.store.tables import current_version, publish, read_table, table_path, write_version


def write(spark: SparkSession, store: str, version: str, *ages: int) -> None:
    write_version(spark.createDataFrame([(age,) for age in ages], "age int").coalesce(1), store, "cases", version)


def test_a_version_shows_only_once_it_is_published(spark: SparkSession, context: SparkContext, tmp_path: Path) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    assert current_version(context, store, "cases") is None
    with pytest.raises(InputError, match="has no table 'cases' yet"):
        read_table(spark, store, "cases")
    publish(context, store, ["cases"], "v1")
    write(spark, store, "v2", 41)
    assert_df_equality(read_table(spark, store, "cases"), spark.createDataFrame([(40,)], "age int"))
    publish(context, store, ["cases"], "v2")
    assert_df_equality(read_table(spark, store, "cases"), spark.createDataFrame([(41,)], "age int"))


def test_the_version_before_stays_for_its_readers_and_the_one_before_that_goes(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    publish(context, store, ["cases"], "v1")
    reader = read_table(spark, store, "cases")
    write(spark, store, "v2", 41)
    publish(context, store, ["cases"], "v2")
    assert [row["age"] for row in reader.collect()] == [40]
    write(spark, store, "v3", 42)
    publish(context, store, ["cases"], "v3")
    assert not exists(context, f"{store}/cases/v1")
    assert sorted(os.listdir(tmp_path / "cases")) == ["CURRENT", "v2", "v3"]


def test_publishing_a_version_again_keeps_the_one_before_it_too(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    store = str(tmp_path)
    for version in ("v1", "v2", "v2"):
        write(spark, store, version, 40)
        publish(context, store, ["cases"], version)
    assert table_path(context, store, "cases") == f"{store}/cases/v2"
    assert [row["age"] for row in read_table(spark, store, "cases").collect()] == [40]


def test_a_write_that_fails_leaves_what_is_published_alone(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    publish(context, store, ["cases"], "v1")
    broken = spark.range(10).select(F.raise_error(F.lit("planted")).cast("int").alias("age"))
    with pytest.raises(Exception, match="planted"):
        write_version(broken, store, "cases", "v2")
    assert current_version(context, store, "cases") == "v1"
    assert [row["age"] for row in read_table(spark, store, "cases").collect()] == [40]


def test_a_publish_that_stops_before_the_rename_changes_nothing(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    publish(context, store, ["cases"], "v1")
    (tmp_path / "cases" / "CURRENT.new").write_text("v2")
    assert current_version(context, store, "cases") == "v1"
    write(spark, store, "v3", 42)
    publish(context, store, ["cases"], "v3")
    assert current_version(context, store, "cases") == "v3"
