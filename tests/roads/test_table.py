"""The whole road on made-up stays, and what must hold between its ends."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial

import pyarrow.parquet as pq
import pytest
from support.events import asthma_task
from support.roads import HEADER, new_run, score, walk
from support.tasks import STAYS, stays_at, stays_task

from medspark.bundles.bundle import load_bundle
from medspark.clean.lookups import freeze_lookups
from medspark.errors import BundleError, GateError, InputError, TaskError
from medspark.runs.run import save_receipt
from medspark.stages.clean import clean_stage
from medspark.stages.eligible import eligible, exclude_later
from medspark.stages.features import features_stage
from medspark.stages.train import train_stage
from medspark.store.files import read_text
from medspark.store.tables import read_table
from medspark.task.population import to_micros


def trained_probabilities(road):
    (table,) = (road["folder"] / "store" / "predictions").glob("*-*/part-0.parquet")
    rows = pq.ParquetFile(table).read(columns=["case_id", "probability"]).to_pylist()
    return {row["case_id"]: row["probability"] for row in rows}


def largest_difference(found, expected):
    return max(abs(found[case] - expected[case]) for case in found)


def test_scores_from_the_bundle_alone_are_the_training_runs_predictions(spark, road):
    found, _ = score(spark, road, "same")
    expected = trained_probabilities(road)
    assert found.keys() == expected.keys()
    assert largest_difference(found, expected) < 1e-6


def test_the_network_learned_the_signal(road):
    metrics = load_bundle(road["bundle"]).read_json("metrics.json")
    assert metrics["test"]["metrics"]["auroc"]["value"] > 0.75


def test_order_partitions_and_batch_size_change_no_score(spark, road):
    found, _ = score(spark, road, "plain")
    before = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "7")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "8192")
    try:
        shuffled, _ = score(spark, road, "shuffled", road["lines"][::-1])
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", before)
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert found == shuffled


def test_a_batch_with_another_mean_moves_no_score(spark, road):
    found, _ = score(spark, road, "all")
    old = [line for line in road["lines"] if line.split(",")[2] > "80"]
    some, _ = score(spark, road, "old", old)
    assert 0 < len(some) < len(found)
    assert some == {case: found[case] for case in some}


def test_one_row_alone_gets_the_score_it_gets_among_others(spark, road):
    found, _ = score(spark, road, "among")
    alone, _ = score(spark, road, "alone", road["lines"][:1])
    assert alone == {0: found[0]}


def test_every_row_is_scored_or_rejected_with_a_reason_and_no_more_of_the_patient(spark, road):
    _, run = score(spark, road, "counted")
    counts = run.receipt.counts["score"]
    assert counts["rows_in"] == 1501
    assert counts["scored"] + sum(counts["rejected"].values()) == 1501
    assert counts["rejected"]["quarantined: age: range"] == 1
    assert counts["rejected"]["excluded: died"] > 0
    rejected = read_table(spark, run.store, "rejected")
    assert rejected.columns == ["run_id", "case_id", "subject_id", "file", "line", "reason"]
    unread = rejected.where("case_id is null").collect()
    assert [(row["line"], row["reason"]) for row in unread] == [(1502, "quarantined: age: range")]


def test_scoring_needs_no_label(spark, road):
    found, _ = score(spark, road, "labelled")
    header = HEADER.removesuffix(",back")
    unlabelled, _ = score(spark, road, "unlabelled", [line.rsplit(",", 1)[0] for line in road["lines"]], header)
    assert unlabelled == found


def test_scoring_the_same_again_changes_nothing(spark, road):
    _, first = score(spark, road, "again")
    before = sorted(path.name for path in (road["folder"] / "again").rglob("*"))
    _, second = score(spark, road, "again")
    assert sorted(path.name for path in (road["folder"] / "again").rglob("*")) == before
    assert first.receipt.outputs["scores"] == second.receipt.outputs["scores"]


def test_tensorflow_and_litert_agree(spark, road):
    litert, _ = score(spark, road, "litert", road["lines"][:50], engine="litert")
    keras, _ = score(spark, road, "tensorflow", road["lines"][:50], engine="tensorflow")
    assert largest_difference(litert, keras) < 1e-6


def test_unseen_levels_codes_and_missing_values_are_scored(spark, road):
    lines = ["1,new,,,Z99,,false,", "2,new,55,F,,,,"]
    found, _ = score(spark, road, "unseen", lines)
    assert found.keys() == {1, 2}
    assert all(0 < probability < 1 for probability in found.values())


def test_an_as_of_time_without_a_time_column_is_refused(spark, road):
    with pytest.raises(TaskError, match="no `time`"):
        score(spark, road, "as-of", as_of="2026-11-23T06:00")


@pytest.mark.parametrize("word", ["today", "now", "10:30", "yesterday", "2026-11", "23.11.2026", ""])
def test_an_as_of_time_that_only_the_clock_gives_a_meaning_is_refused_before_anything_is_read(spark, tmp_path, word):
    seen = {"type": "timestamp", "format": "yyyy-MM-dd HH:mm"}
    of_table = stays_task(source={**STAYS["source"], "time": "seen"}, columns={**STAYS["columns"], "seen": seen})
    for task in (of_table, asthma_task()):
        with pytest.raises(TaskError, match="expected a time such as 2026-11-27T06:00"):
            eligible(new_run(spark, tmp_path), task, str(tmp_path / "nothing"), word)


def test_cases_after_the_as_of_time_or_without_a_time_are_rejected(spark):
    task = stays_task(
        source={**STAYS["source"], "time": "seen"},
        columns={**STAYS["columns"], "seen": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm"}},
    )
    rows = spark.sql(
        "select * from values (1, timestamp'2026-11-23 06:00:00', null), (2, timestamp'2026-11-23 06:00:01', null), "
        "(3, null, null), (4, null, 'died') as t(stay, seen, _excluded)"
    )
    found = exclude_later(rows, task, to_micros("2026-11-23T06:00")).orderBy("stay").collect()
    assert [row["_excluded"] for row in found] == [None, "after the as-of time", "no prediction time", "died"]


def test_an_empty_source_gives_no_score_and_no_failure(spark, road):
    found, run = score(spark, road, "empty", [])
    assert found == {}
    assert run.receipt.counts["score"]["rows_in"] == 0


def test_from_raw_to_score_no_table_is_written_between(spark, road):
    _, run = score(spark, road, "at-once")
    assert sorted(os.listdir(run.store)) == ["CURRENT", "monitoring", "rejected", "scores"]
    assert run.receipt.counts["score"]["writer"] == {"kind": "workers", "because": "they reach it"}


def test_scores_have_their_bands_by_threshold(spark, road):
    _, run = score(spark, road, "bands")
    for row in read_table(spark, run.store, "scores").collect():
        expected = "high" if row["probability"] >= 0.6 else "raised" if row["probability"] >= 0.3 else "low"
        assert row["risk_band"] == expected


def test_a_worker_that_litert_serves_imports_no_tensorflow(road):
    script = """
import sys
import pyarrow.dataset as ds
from medspark.bundles.bundle import load_bundle
from medspark.score.worker.predict import predict_batches
from medspark.stages.score import serve

served = serve(load_bundle(sys.argv[1]), "litert")
scored = sum(batch.num_rows for batch in predict_batches(ds.dataset(sys.argv[2]).to_batches(), served))
heavy = [name for name in ("tensorflow", "keras", "sklearn", "matplotlib") if name in sys.modules]
print(scored > 1000, heavy)
"""
    (cases,) = (road["folder"] / "store" / "cases").glob("*-*")
    found = subprocess.run([sys.executable, "-c", script, road["bundle"], cases], capture_output=True, text=True)
    assert found.stdout == "True []\n", found.stderr


def test_two_runs_with_one_seed_give_the_same_split_statistics_and_metrics(spark, road, tmp_path):
    again, _ = walk(spark, tmp_path / "store", stays_at(road["source"]))
    one, two = load_bundle(road["bundle"]), load_bundle(again)
    for name in ("statistics.json", "metrics.json", "calibration.json"):
        assert one.read_json(name) == two.read_json(name), name
    assert one.manifest["splits"] == two.manifest["splits"]


def test_a_rejected_gate_keeps_no_bundle(spark, road, tmp_path):
    task = stays_at(road["source"], gates={"auroc_at_least": 0.9999})
    with pytest.raises(GateError, match=r"AUROC .* expected at least 0.9999"):
        walk(spark, tmp_path / "store", task)
    assert not (tmp_path / "store" / "bundles").exists()


@pytest.mark.slow
def test_cross_validation_holds_each_patient_out_once(spark, road, tmp_path):
    task = stays_at(
        road["source"],
        split={"train": 0.7, "valid": 0.1, "test": 0.2, "folds": 3},
        training={**STAYS["training"], "epochs": 1},
    )
    run = new_run(spark, tmp_path / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    bundle = load_bundle(train_stage(run, frozen, with_folds=True))
    found = bundle.read_json("metrics.json")["cross_validation"]
    assert found["folds"] == 3
    assert 0.5 < found["metrics"]["auroc"]["mean"] < 1


def test_cases_of_other_rules_are_refused(spark, road):
    run = new_run(spark, road["folder"] / "store")
    other = stays_at(road["source"], exclude=[])
    with pytest.raises(InputError, match="medspark features"):
        train_stage(run, freeze_lookups(other, partial(read_text, spark.sparkContext)))


def test_the_receipt_says_what_the_run_did(spark, road):
    save_receipt(road["run"])
    (path,) = (road["folder"] / "store" / "runs").glob("*.json")
    receipt = json.loads(path.read_text())
    assert receipt["counts"]["clean"]["rows_in"] == 1501
    assert receipt["counts"]["clean"]["quarantined"] == {"age: range": 1}
    assert receipt["bundle_id"] == road["bundle"].name
    assert receipt["seconds"].keys() >= {"clean", "features", "train", "bundle"}
    assert receipt["versions"].keys() >= {"medspark", "pyspark", "tensorflow"}


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: (folder / "statistics.json").write_text("{}"), "statistics.json was altered"),
        (lambda folder: (folder / "model.keras").unlink(), "model.keras is missing"),
        (lambda folder: (folder / "notes.txt").write_text("x"), "notes.txt was added"),
        (lambda folder: (folder / "manifest.json").unlink(), "it has no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
    ],
)
def test_a_bundle_that_is_not_what_was_written_is_refused(road, tmp_path, harm, says):
    copy = tmp_path / road["bundle"].name
    shutil.copytree(road["bundle"], copy)
    harm(copy)
    with pytest.raises(BundleError, match=says):
        load_bundle(copy)


def test_the_bundle_has_every_part_and_no_pickle(road):
    names = {path.name for path in road["bundle"].iterdir()}
    assert names == {
        "task.yaml",
        "schema.json",
        "statistics.json",
        "model.keras",
        "model.tflite",
        "calibration.json",
        "uncertainty.json",
        "explain.tflite",
        "explain.json",
        "monitor.json",
        "metrics.json",
        "report.html",
        "card.json",
        "card.xml",
        "manifest.json",
    }
