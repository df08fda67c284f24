"""The whole road with images: from files by path to scores."""

import json
import subprocess
import sys

import pytest
from support.pictures import PICTURES, pictured, pictures_task
from support.roads import new_run, scores_of, walk, write

from medspark.bundles.bundle import load_bundle
from medspark.stages.encode import encode_stage
from medspark.stages.score import score_stage, score_tensors_stage
from medspark.store.tables import read_table

pytestmark = pytest.mark.slow

HEADER = ",".join(PICTURES["columns"])


@pytest.fixture(scope="module")
def pictures(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    lines = pictured(folder / "files", 600)
    lines += ["9001,p9001,50,../secret.png,false", "9002,p9002,50,nowhere.png,true"]
    source = write(folder / "stays.csv", lines, HEADER)
    bundle, run = walk(spark, folder / "store", pictures_task(source, folder / "files"))
    return {"folder": folder, "lines": lines, "source": source, "bundle": bundle, "run": run}


def score(spark, pictures, name, lines=None, **options):
    store = pictures["folder"] / name
    source = pictures["source"] if lines is None else write(pictures["folder"] / f"{name}.csv", lines, HEADER)
    run = new_run(spark, store)
    score_stage(run, load_bundle(pictures["bundle"]), str(source), **options)
    return scores_of(spark, store), run


def test_every_image_that_is_none_is_counted_with_its_reason(pictures):
    counts = pictures["run"].receipt.counts["clean"]
    cut = sum(1 for line in pictures["lines"] if int(line.split(",")[0]) % 30 == 29 and ".png" in line)
    assert counts["set_missing"] == {"xray: absent": 1, "xray: damaged": cut, "xray: outside": 1}
    assert counts["records"] == 602


def test_the_network_learned_what_the_image_tells(pictures):
    metrics = load_bundle(pictures["bundle"]).read_json("metrics.json")
    assert metrics["test"]["metrics"]["auroc"]["value"] > 0.9
    assert metrics["engine"]["litert_max_difference"] < 1e-5


def test_scores_from_files_are_the_training_runs_predictions_and_the_same_alone_and_by_tensors(spark, pictures):
    found, _ = score(spark, pictures, "all")
    predictions = read_table(spark, str(pictures["folder"] / "store"), "predictions").collect()
    expected = {row["case_id"]: row["probability"] for row in predictions if row["split"] == "test"}
    assert max(abs(found[case] - expected[case]) for case in expected) < 1e-6
    alone, _ = score(spark, pictures, "alone", pictures["lines"][:1])
    assert alone == {0: found[0]}
    encode_stage(new_run(spark, pictures["folder"] / "encoded"), load_bundle(pictures["bundle"]), None)
    run = new_run(spark, pictures["folder"] / "by-tensors")
    score_tensors_stage(run, load_bundle(pictures["bundle"]), str(pictures["folder"] / "encoded"))
    assert scores_of(spark, run.store) == found


def test_another_image_under_the_same_path_is_scored_anew(spark, pictures):
    place = pictures["folder"] / "files" / "0.png"
    before, _ = score(spark, pictures, "again", pictures["lines"][:2])
    kept = place.read_bytes()
    try:
        place.write_bytes((pictures["folder"] / "files" / "1.png").read_bytes())
        after, _ = score(spark, pictures, "again", pictures["lines"][:2])
    finally:
        place.write_bytes(kept)
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_an_image_that_cannot_be_read_is_rejected_where_the_column_sets_its_row_aside(spark, tmp_path):
    lines = pictured(tmp_path / "files", 200, seed=1)
    source = write(tmp_path / "stays.csv", lines, HEADER)
    columns = {"xray": {**PICTURES["columns"]["xray"], "folder": str(tmp_path / "files"), "otherwise": "set_aside"}}
    quick = {"training": {"epochs": 1, "batch_size": 32}, "network": {"members": 1, "images": {"filters": [8]}}}
    task = pictures_task(source, tmp_path / "files", columns=columns, **quick)
    bundle, _ = walk(spark, tmp_path / "store", task)
    run = new_run(spark, tmp_path / "scores")
    score_stage(run, load_bundle(bundle), str(source))
    cut = sum(1 for line in lines if int(line.split(",")[0]) % 30 == 29 and ".png" in line)
    assert run.receipt.counts["score"]["rejected"] == {"quarantined: xray: damaged": cut}


def test_a_worker_that_scores_images_imports_no_tensorflow(pictures):
    script = """
import json, sys
import pyarrow.dataset as ds
from medspark.bundles.bundle import load_bundle
from medspark.score.worker.predict import predict_batches
from medspark.stages.score import serve

served = serve(load_bundle(sys.argv[1]), "litert")
scored = sum(batch.num_rows for batch in predict_batches(ds.dataset(sys.argv[2]).to_batches(), served))
heavy = [name for name in ("tensorflow", "keras", "sklearn", "matplotlib", "pydicom", "PIL") if name in sys.modules]
print(json.dumps([scored, heavy]))
"""
    (cases,) = (pictures["folder"] / "store" / "cases").glob("*-*")
    found = subprocess.run([sys.executable, "-c", script, pictures["bundle"], cases], capture_output=True, text=True)
    assert json.loads(found.stdout) == [602, []], found.stderr
