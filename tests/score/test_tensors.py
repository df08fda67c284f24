"""Tensors between two commands: encoded once, scored by workers that read them alone or by Spark, refused."""

import hashlib

import pytest
from support.roads import new_run, score
from support.tensors import WAYS, score_tensors

from medspark.bundles.bundle import load_bundle
from medspark.cli.serve import is_left_to_workers
from medspark.errors import InputError, TaskError
from medspark.runs.run import save_receipt
from medspark.score.choose_way import choose
from medspark.score.worker.files import out_of_reach
from medspark.stages.score import score_tensors_stage
from medspark.store.tables import read_table
from medspark.store.worker.places import open_place


def test_each_way_gives_the_scores_that_the_raw_source_gets(spark, road, encoded):
    raw, raw_run = score(spark, road, "raw-beside-tensors")
    for way, options in WAYS.items():
        found, run = score_tensors(spark, road, encoded[0], f"by-{way}", **options)
        assert found == raw  # bit for bit
        assert run.receipt.counts["score"]["bands"] == raw_run.receipt.counts["score"]["bands"]
        who = {name: run.receipt.counts["score"][name]["kind"] for name in ("reader", "writer")}
        assert who == {"reader": "spark", "writer": options.get("reader", "spark")} | options


def test_each_way_writes_the_same_columns_with_the_same_types(spark, road, encoded):
    score(spark, road, "raw-types")
    tables = {"raw": "raw-types"}
    for way, options in WAYS.items():
        score_tensors(spark, road, encoded[0], f"types-{way}", **options)
        tables[way] = f"types-{way}"
    for table in ("scores", "rejected"):
        types = [read_table(spark, str(road["folder"] / name), table).dtypes for name in tables.values()]
        assert types[0] == types[1] == types[2]


def test_encoding_counts_every_row_and_gives_the_reason_of_each_that_is_not_encoded(spark, encoded):
    store, run = encoded
    counts = run.receipt.counts["score"]
    assert counts["rows_in"] == 1501 == counts["encoded"] + sum(counts["rejected"].values())
    assert counts["rejected"]["quarantined: age: range"] == 1
    assert read_table(spark, str(store), "tensors").count() == counts["encoded"]
    assert read_table(spark, str(store), "rejected").count() == sum(counts["rejected"].values())


def test_a_local_session_lets_workers_read_and_says_why(spark, road, encoded):
    _, run = score_tensors(spark, road, encoded[0], "automatic")
    assert run.receipt.counts["score"]["reader"] == {
        "kind": "workers",
        "because": "they reach it",
    }


def test_workers_who_read_and_write_need_no_session_of_spark(spark, road, encoded, monkeypatch):
    monkeypatch.setattr("medspark.runs.run.the_session", lambda: pytest.fail("a session takes two seconds to make"))
    run = new_run(spark, road["folder"] / "no-session")
    score_tensors_stage(run, load_bundle(road["bundle"]), str(encoded[0]))
    save_receipt(run)
    assert run.receipt.counts["score"]["scored"] == encoded[1].receipt.counts["score"]["encoded"]


@pytest.mark.parametrize(
    ("tensors", "store", "reader", "writer", "left"),
    [
        ("/encoded", "/scores", "auto", "auto", True),
        ("file:/encoded", "file:/scores", "workers", "workers", True),
        (None, "/scores", "auto", "auto", False),
        ("/encoded", "/scores", "spark", "auto", False),
        ("/encoded", "/scores", "auto", "spark", False),
        ("hdfs://host/encoded", "/scores", "auto", "auto", False),
        ("/encoded", "s3a://bucket/scores", "auto", "auto", False),
    ],
)
def test_java_only_hands_out_work_where_workers_read_and_write_on_disks_of_this_machine(
    tensors, store, reader, writer, left
):
    assert is_left_to_workers(tensors, store, reader, writer) == left


def test_scoring_tensors_again_changes_nothing(spark, road, encoded):
    _, run = score_tensors(spark, road, encoded[0], "tensors-again")
    before = {path: path.stat().st_mtime_ns for path in (road["folder"] / "tensors-again").rglob("*.parquet")}
    _, again = score_tensors(spark, road, encoded[0], "tensors-again")
    assert {path: path.stat().st_mtime_ns for path in (road["folder"] / "tensors-again").rglob("*.parquet")} == before
    assert again.receipt.outputs["scores"] == run.receipt.outputs["scores"]


@pytest.mark.parametrize("way", WAYS)
def test_tensorflow_serves_tensors_too(spark, road, encoded, way):
    options = WAYS[way]
    litert, _ = score_tensors(spark, road, encoded[0], f"tensors-litert-{way}", **options, engine="litert")
    keras, run = score_tensors(spark, road, encoded[0], f"tensors-keras-{way}", **options, engine="tensorflow")
    assert max(abs(litert[case] - keras[case]) for case in litert) < 1e-6
    assert run.receipt.counts["score"]["engine"] == "tensorflow"


def test_tensors_of_another_bundle_are_refused(spark, road, encoded, tmp_path):
    bundle = load_bundle(road["bundle"])
    text = bundle.read_text("statistics.json") + " "
    (tmp_path / "statistics.json").write_text(text)
    files = {**bundle.manifest["files"], "statistics.json": hashlib.sha256(text.encode()).hexdigest()}
    other = bundle._replace(path=tmp_path, manifest={**bundle.manifest, "files": files})
    with pytest.raises(InputError, match="medspark encode"):
        score_tensors_stage(new_run(spark, tmp_path / "out"), other, str(encoded[0]))


def test_a_store_without_tensors_is_refused(spark, road, tmp_path):
    with pytest.raises(InputError, match="has no table 'tensors'"):
        score_tensors(spark, road, tmp_path, "absent")


def test_a_file_system_without_a_client_is_left_to_spark_with_a_reason(spark):
    assert out_of_reach(["nowhere://host/table"], []).startswith("there is no client for nowhere")


def test_workers_that_are_asked_for_where_they_cannot_read_are_refused(spark):
    assert choose(spark.sparkContext, "--reader", "auto", ["nowhere://host/table"], []).kind == "spark"
    with pytest.raises(TaskError, match="--reader"):
        choose(spark.sparkContext, "--reader", "workers", [], ["nowhere://host/table"])


def test_workers_who_read_cannot_leave_the_writing_to_spark(spark, road, encoded):
    with pytest.raises(TaskError, match="--writer"):
        score_tensors(spark, road, encoded[0], "contrary", reader="workers", writer="spark")


@pytest.mark.parametrize(
    ("address", "path"), [("/a/b", "/a/b"), ("file:/a/b", "/a/b"), ("file:///a/b", "/a/b"), ("file:/a b", "/a b")]
)
def test_local_addresses_are_paths_however_hadoop_writes_them(address, path):
    assert open_place(address)[1] == path
