"""Tables of a store: a version shows only when whole, and the one before stays for its readers."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.spark.failures import SPARK_ERRORS
from medspark.store import tables
from medspark.store.files import exists
from medspark.store.tables import (
    append_version,
    begin,
    current_version,
    finished_rows,
    publish,
    read_table,
    table_path,
    take_version,
    withdraw,
    write_version,
)


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


@pytest.mark.parametrize("other_disk", [False, True])
def test_files_that_are_there_become_a_version_that_outlives_them(
    spark: SparkSession, context: SparkContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_disk: bool
) -> None:
    store, made = str(tmp_path / "store"), tmp_path / "made"
    made.mkdir()
    for name, age in (("a.parquet", 40), ("b.parquet", 41)):
        pq.write_table(pa.table({"age": pa.array([age], pa.int32())}), made / name)
    if other_disk:
        monkeypatch.setattr(tables.os, "link", _refuse)
    begin(context, store, ["cases"], "v1")
    take_version(context, sorted(made.iterdir()), store, "cases", "v1")
    publish(context, store, ["cases"], "v1")
    shutil.rmtree(made)
    found = read_table(spark, store, "cases").orderBy("age")
    assert_df_equality(found, spark.createDataFrame([(40,), (41,)], "age int"))


def _refuse(*_: object) -> None:
    raise OSError(18, "another disk")


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
    (tmp_path / "CURRENT.new").write_text('{"cases": {"current": "v2", "versions": []}}')
    assert current_version(context, store, "cases") == "v1"
    write(spark, store, "v3", 42)
    publish(context, store, ["cases"], "v3")
    assert current_version(context, store, "cases") == "v3"


def test_what_the_store_did_not_make_is_left_alone_and_named(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    store = str(tmp_path)
    (tmp_path / "cases" / "by-hand").mkdir(parents=True)
    (tmp_path / "cases" / "by-hand" / "part-0.parquet").write_bytes(b"a colleague's")
    (tmp_path / "cases" / "notes.txt").write_text("keep")
    for version in ("v1", "v2", "v3"):
        write(spark, store, version, 40)
        assert publish(context, store, ["cases"], version) == {"cases": ["by-hand", "notes.txt"]}
    assert sorted(os.listdir(tmp_path / "cases")) == ["CURRENT", "by-hand", "notes.txt", "v2", "v3"]
    assert (tmp_path / "cases" / "by-hand" / "part-0.parquet").read_bytes() == b"a colleague's"


@pytest.mark.parametrize("name", ["../../other", "..", ".", "", "/etc", "v1/../../other", "v1\n"])
@pytest.mark.parametrize("known", ["version", "current", "table"])
def test_names_in_current_are_folders_of_the_store_and_no_paths(
    context: SparkContext, tmp_path: Path, name: str, known: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("kept")
    version = {"version": name if known == "version" else "v1", "made_by": "", "published": True}
    table = {"current": name if known == "current" else "v1", "versions": [version]}
    (tmp_path / "store" / "cases").mkdir(parents=True)
    (tmp_path / "store" / "CURRENT").write_text(json.dumps({name if known == "table" else "cases": table}))
    for act in (
        lambda: publish(context, f"{tmp_path}/store", ["cases"], "v2"),
        lambda: withdraw(context, f"{tmp_path}/store", ["cases"], name),
        lambda: current_version(context, f"{tmp_path}/store", "cases"),
    ):
        with pytest.raises(InputError, match="expected the versions of the store's tables"):
            act()
    assert (tmp_path / "other" / "precious").read_text() == "kept"


def test_a_tables_own_current_names_no_path(context: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "CURRENT").write_text("../../other")
    with pytest.raises(InputError, match="expected the name of a version"):
        current_version(context, str(tmp_path), "cases")


def test_two_makers_in_one_store_keep_their_newest_two_versions_each(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    store = str(tmp_path)
    for maker, version in (("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2"), ("b", "b3"), ("b", "b4"), ("a", "a3")):
        write(spark, store, version, 40)
        publish(context, store, ["cases"], version, maker)
    assert sorted(os.listdir(tmp_path / "cases")) == ["CURRENT", "a2", "a3", "b3", "b4"]
    assert current_version(context, store, "cases") == "a3"


def test_what_a_run_that_died_had_begun_goes_with_its_makers_next_version(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    store = str(tmp_path)
    for maker in ("a", "b"):
        begin(context, store, ["cases"], f"half-{maker}", maker)
        write(spark, store, f"half-{maker}", 40)
    write(spark, store, "a1", 41)
    assert publish(context, store, ["cases"], "a1", "a") == {}
    assert sorted(os.listdir(tmp_path / "cases")) == ["CURRENT", "a1", "half-b"]


def test_tables_that_belong_together_move_by_one_file(
    spark: SparkSession, context: SparkContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path)
    publish(context, store, ["scores", "rejected"], "v1")
    write_text = tables.write_text
    monkeypatch.setattr(tables, "write_text", lambda *_: (_ for _ in ()).throw(OSError("stopped here")))
    with pytest.raises(OSError, match="stopped here"):  # after the one move, before the tables' own files
        publish(context, store, ["scores", "rejected"], "v2")
    assert [current_version(context, store, name) for name in ("scores", "rejected")] == ["v2", "v2"]
    monkeypatch.setattr(tables, "write_text", write_text)
    publish(context, store, ["scores", "rejected"], "v2")
    assert {(tmp_path / name / "CURRENT").read_text() for name in ("scores", "rejected")} == {"v2"}


def test_a_store_of_an_earlier_version_is_read_by_its_tables_own_files(
    spark: SparkSession, context: SparkContext, tmp_path: Path
) -> None:
    write(spark, str(tmp_path), "v1", 40)
    (tmp_path / "cases" / "CURRENT").write_text("v1\n")
    assert table_path(context, str(tmp_path), "cases") == f"{tmp_path}/cases/v1"


def test_a_damaged_ledger_is_an_error_and_never_an_empty_one(context: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("{")
    with pytest.raises(InputError, match="expected the versions of the store's tables"):
        publish(context, str(tmp_path), ["cases"], "v1")


def test_rows_that_a_stopped_run_left_are_taken_as_they_were_written_or_made_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = spark.createDataFrame([(case, case / 7) for case in range(50)], "case_id long, probability double")
    written = Path(append_version(rows.coalesce(1), str(tmp_path), "scores", "v1"))
    finished = finished_rows(spark, str(tmp_path), "scores", "v1", "case_id")
    assert finished is not None
    assert finished.count() == 50
    with monkeypatch.context() as patch:
        patch.setattr(tables, "read_parquet", lambda *_: spark.range(1).select(F.raise_error(F.lit("lost"))))
        with pytest.raises(SPARK_ERRORS):
            finished_rows(spark, str(tmp_path), "scores", "v1", "case_id")
    assert written.exists(), "what fails for another reason says nothing of the files"
    (piece,) = written.glob("part-*")
    column = pq.read_metadata(piece).row_group(0).column(1)
    content = bytearray(piece.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 3] ^= 4  # of a probability; the keys are whole
    piece.write_bytes(content)
    (written / f".{piece.name}.crc").unlink()
    assert finished_rows(spark, str(tmp_path), "scores", "v1", "case_id") is None
    assert not written.exists()


@pytest.mark.parametrize("name", ["x[1]", "x{1}", "x?", "x*"])
def test_a_stores_path_is_no_pattern(spark: SparkSession, context: SparkContext, tmp_path: Path, name: str) -> None:
    neighbour, store = f"{tmp_path}/x1", f"{tmp_path}/{name}"
    write(spark, neighbour, "v0", 99)
    publish(context, neighbour, ["cases"], "v0")
    for version, age in (("v1", 41), ("v2", 42), ("v3", 43)):
        write(spark, store, version, age)
        publish(context, store, ["cases"], version)
        assert [row["age"] for row in read_table(spark, store, "cases").collect()] == [age]
    assert sorted(os.listdir(f"{store}/cases")) == ["CURRENT", "v2", "v3"]
    assert sorted(os.listdir(f"{neighbour}/cases")) == ["CURRENT", "v0"]
    finished = finished_rows(spark, store, "cases", "v3", "age")
    assert finished is not None
    assert [row["age"] for row in finished.collect()] == [43]
