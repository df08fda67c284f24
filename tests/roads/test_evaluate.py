"""`medspark evaluate`: a bundle measured on data that it was not made from, by the page that training makes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score
from support.places import ROOT
from support.roads import HEADER, new_run, receipt_in, score, stays, write
from support.tasks import STAYS, stays_at, stays_task, task_file

from medspark.bundles.bundle import load_bundle
from medspark.errors import InputError, TaskError
from medspark.stages.evaluate import evaluate_stage

pytestmark = pytest.mark.slow

ELSEWHERE = [*stays(900, seed=5), "9001,p9001,240,F,I10,I10,false,true", "9002,p9002,50,F,I10,I10,false,"]
"""Of another hospital: one row breaks a rule, and of one case the outcome is not known."""


def outcomes(lines):
    rows = [line.split(",") for line in lines]
    return {int(row[0]): row[-1] == "true" for row in rows if row[-1] and row[-2] == "false" and row[2] != "240"}


def evaluated(spark, road, name, lines=ELSEWHERE, header=HEADER, **options):
    source = write(road["folder"] / f"{name}.csv", lines, header)
    run = new_run(spark, road["folder"] / name)
    folder = evaluate_stage(run, load_bundle(road["bundle"]), str(source), **options)
    return Path(folder), run


def test_the_figures_are_scikit_learns_of_the_scores_that_the_bundle_gives(spark, road):
    folder, run = evaluated(spark, road, "elsewhere")
    metrics = json.loads((folder / "metrics.json").read_text())
    known = outcomes(ELSEWHERE)
    scores, _ = score(spark, road, "elsewhere-scores", ELSEWHERE)
    label, risk = [known[case] for case in known], [scores[case] for case in known]
    test = metrics["test"]
    assert test["cases"] == len(known)
    assert test["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(label, risk), abs=1e-9)
    assert test["metrics"]["brier"]["value"] == pytest.approx(brier_score_loss(label, risk), abs=1e-9)
    assert run.receipt.counts["evaluate"]["evaluated"] == len(known)
    assert run.receipt.counts["evaluate"]["unknown"] == 1
    assert run.receipt.counts["evaluate"]["quarantined"] == {"age: range": 1}
    assert [row["level"] for row in metrics["subgroups"]] == ["F", "M", "missing"]
    assert run.receipt.bundle_id == road["bundle"].name


def test_the_page_and_the_card_say_that_it_is_an_evaluation_of_which_bundle(spark, road):
    folder, _ = evaluated(spark, road, "page")
    assert {path.name for path in folder.iterdir()} >= {"metrics.json", "report.html", "card.json", "card.xml"}
    page = (folder / "report.html").read_text()
    assert f"Evaluation on other data of the bundle {road['bundle'].name}" in page
    assert "on page.csv" in page
    assert "The bundle’s own test split" in page
    card = json.loads((folder / "card.json").read_text())
    assert (card["kind"], card["bundle"]) == ("evaluation", road["bundle"].name)
    assert [row["criterion"] for row in card["flow"]["attrition"]] == ["all records", "died"]


def test_on_the_very_data_of_training_the_page_says_that_the_figures_flatter(spark, road):
    run = new_run(spark, road["folder"] / "again-evaluated")
    folder = Path(evaluate_stage(run, load_bundle(road["bundle"])))
    assert "These are the very data that the model was made from" in (folder / "report.html").read_text()


def test_a_source_without_outcomes_is_refused(spark, road):
    unknown = [line.rsplit(",", 1)[0] + "," for line in ELSEWHERE]
    with pytest.raises(
        InputError, match=r"expected a source with known outcomes, received none among \d+ cases: 'back'"
    ):
        evaluated(spark, road, "unlabelled-evaluated", unknown)
    cut = [line.rsplit(",", 1)[0] for line in ELSEWHERE]
    with pytest.raises(InputError, match="back"):
        evaluated(spark, road, "no-column", cut, HEADER.removesuffix(",back"))
    assert not (road["folder"] / "no-column" / "evaluations").exists()


def test_another_task_says_how_another_hospital_writes_its_table(spark, road):
    renamed = HEADER.replace("back", "returned")
    columns = {("returned" if name == "back" else name): kind for name, kind in STAYS["columns"].items()}
    task = stays_task(
        columns=columns,
        outcome={"name": "returned", "when": "returned"},
        report={"subgroups": ["sex"], "bootstrap": 5},
        risk_bands={"other": 0.9},
    )
    folder, _ = evaluated(spark, road, "other-hospital", header=renamed, task=task)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["cases"] == len(outcomes(ELSEWHERE))
    assert [row["band"] for row in metrics["test"]["thresholds"]] == ["low", "raised", "high"]  # the bundle's
    assert metrics["intervals"]["resamples"] == 5


def test_a_task_of_other_features_or_targets_is_refused(spark, road):
    run = new_run(spark, road["folder"] / "refused")
    bundle = load_bundle(road["bundle"])
    fewer = stays_at(road["source"], features={"categorical": [{"column": "sex", "at_least": 1}]})
    with pytest.raises(TaskError, match="features: expected those of the bundle's task"):
        evaluate_stage(run, bundle, None, fewer)
    classes = stays_at(road["source"], outcome={"name": "o", "classes": {"a": "back", "b": "not back"}})
    with pytest.raises(TaskError, match="outcome: expected the bundle's targets, binary of outcome; received classes"):
        evaluate_stage(run, bundle, None, classes)
    with pytest.raises(TaskError, match=r"no features\.history"):
        evaluate_stage(run, bundle, None, history="elsewhere")


def test_evaluating_with_litert_imports_no_tensorflow_and_no_training(road, tmp_path):
    source = write(tmp_path / "stays.csv", ELSEWHERE)
    script = """
import sys
import medspark
from medspark.stages.evaluate import evaluate_stage

run = medspark.open_run(sys.argv[2], quiet=True)
evaluate_stage(run, medspark.load_bundle(sys.argv[1]), sys.argv[3])
heavy = ("tensorflow", "keras", "sklearn", "medspark.train")
print([name for name in sys.modules if name.startswith(heavy)])
"""
    arguments = [sys.executable, "-c", script, road["bundle"], tmp_path / "store", source]
    found = subprocess.run([*map(str, arguments)], capture_output=True, text=True, cwd=ROOT)
    assert found.stdout.endswith("[]\n"), found.stderr


def test_a_warehouse_of_events_is_evaluated_with_its_attrition(spark, relapse_road):
    run = new_run(spark, relapse_road["folder"] / "evaluated")
    bundle = load_bundle(relapse_road["bundle"])
    folder = Path(evaluate_stage(run, bundle, str(relapse_road["source"])))
    test = json.loads((folder / "metrics.json").read_text())["test"]
    splits = bundle.manifest["splits"].values()
    assert test["cases"] == sum(split["cases"] - split["unknown"] for split in splits)
    assert test["positives"] == sum(split["positives"] for split in splits)
    card = json.loads((folder / "card.json").read_text())
    trained = json.loads((relapse_road["bundle"] / "card.json").read_text())
    assert card["flow"]["attrition"] == trained["flow"]["attrition"]


@pytest.mark.integration
def test_the_command_evaluates_and_its_receipt_says_so(road, tmp_path):
    source = write(tmp_path / "stays.csv", ELSEWHERE)
    task = task_file(tmp_path, source)
    command = [sys.executable, "-m", "medspark.cli", "evaluate", road["bundle"]]
    store = ["--to", tmp_path / "store", "--json"]
    found = subprocess.run([*map(str, [*command, task, *store])], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    receipt = receipt_in(found.stdout)
    assert (receipt["command"], receipt["exit_code"]) == ("evaluate", 0)
    assert Path(receipt["outputs"]["report"]).exists()
    nothing = subprocess.run(
        [*map(str, [*command, "--source", tmp_path / "none.csv", *store])],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert nothing.returncode == 3
