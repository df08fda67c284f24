"""Tables of a store: a version shows only when whole, and the one before stays for its readers."""

import os
from pathlib import Path

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.tables import (
    current_version,
    delete,
    exists,
    list_files,
    list_paths,
    publish,
    read_table,
    read_text,
    table_path,
    write_text,
    write_version,
)


def write(spark: SparkSession, store: str, version: str, *ages: int) -> None:
    write_version(spark.createDataFrame([(age,) for age in ages], "age int").coalesce(1), store, "cases", version)


def test_a_version_shows_only_once_it_is_published(spark: SparkSession, tmp_path: Path) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    assert current_version(spark, store, "cases") is None
    with pytest.raises(InputError, match="has no table 'cases' yet"):
        read_table(spark, store, "cases")
    publish(spark, store, ["cases"], "v1")
    write(spark, store, "v2", 41)
    assert_df_equality(read_table(spark, store, "cases"), spark.createDataFrame([(40,)], "age int"))
    publish(spark, store, ["cases"], "v2")
    assert_df_equality(read_table(spark, store, "cases"), spark.createDataFrame([(41,)], "age int"))


def test_the_version_before_stays_for_its_readers_and_the_one_before_that_goes(
    spark: SparkSession, tmp_path: Path
) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    publish(spark, store, ["cases"], "v1")
    reader = read_table(spark, store, "cases")
    write(spark, store, "v2", 41)
    publish(spark, store, ["cases"], "v2")
    assert [row["age"] for row in reader.collect()] == [40]
    write(spark, store, "v3", 42)
    publish(spark, store, ["cases"], "v3")
    assert not exists(spark, f"{store}/cases/v1")
    assert sorted(os.listdir(tmp_path / "cases")) == ["CURRENT", "v2", "v3"]


def test_publishing_a_version_again_keeps_the_one_before_it_too(spark: SparkSession, tmp_path: Path) -> None:
    store = str(tmp_path)
    for version in ("v1", "v2", "v2"):
        write(spark, store, version, 40)
        publish(spark, store, ["cases"], version)
    assert table_path(spark, store, "cases") == f"{store}/cases/v2"
    assert [row["age"] for row in read_table(spark, store, "cases").collect()] == [40]


def test_a_write_that_fails_leaves_what_is_published_alone(spark: SparkSession, tmp_path: Path) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    publish(spark, store, ["cases"], "v1")
    broken = spark.range(10).select(F.raise_error(F.lit("planted")).cast("int").alias("age"))
    with pytest.raises(Exception, match="planted"):
        write_version(broken, store, "cases", "v2")
    assert current_version(spark, store, "cases") == "v1"
    assert [row["age"] for row in read_table(spark, store, "cases").collect()] == [40]


def test_a_publish_that_stops_before_the_rename_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    store = str(tmp_path)
    write(spark, store, "v1", 40)
    publish(spark, store, ["cases"], "v1")
    (tmp_path / "cases" / "CURRENT.new").write_text("v2")
    assert current_version(spark, store, "cases") == "v1"
    write(spark, store, "v3", 42)
    publish(spark, store, ["cases"], "v3")
    assert current_version(spark, store, "cases") == "v3"


def test_a_small_file_is_replaced_in_one_step_and_keeps_its_letters(spark: SparkSession, tmp_path: Path) -> None:
    path = f"{tmp_path}/a/b.json"
    for text in ("first", "zweite Fassung: ä\n€", ""):
        write_text(spark, path, text)
        assert read_text(spark, path) == text
    assert [name for name in os.listdir(tmp_path / "a") if not name.endswith(".crc")] == ["b.json"]


def test_files_are_listed_at_a_file_below_a_folder_and_by_a_pattern(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("2024/a.csv", "2024/_b.csv", "2025/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(list_files(spark, str(tmp_path)).values()) == ["2024/_b.csv", "2024/a.csv", "2025/c.csv"]
    assert list_files(spark, f"{tmp_path}/2024/a.csv") == {f"file:{tmp_path}/2024/a.csv": "a.csv"}
    assert list(list_files(spark, f"{tmp_path}/20*").values()) == ["_b.csv", "a.csv", "c.csv"]
    assert list_files(spark, f"{tmp_path}/nothing*") == list_files(spark, f"{tmp_path}/nothing") == {}
    assert list_paths(spark, str(tmp_path)) == [f"file:{tmp_path}/2024", f"file:{tmp_path}/2025"]
    delete(spark, f"{tmp_path}/2024")
    assert not exists(spark, f"{tmp_path}/2024/a.csv")
