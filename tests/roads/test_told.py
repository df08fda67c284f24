"""What stages say on the console, and what of it is in receipt and report."""

import pyarrow as pa
import pytest
from support.roads import HEADER, score, stays, telling_run, write
from support.tasks import STAYS, stays_at

from medspark.bundles.bundle import load_bundle
from medspark.cases.worker.split import sides
from medspark.errors import GateError, InputError
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.train import train_stage

SAME = "left out, the same in all training cases"


def outcome_kept_out_of(side, task, count=600):
    """Stays of which nobody in one split comes back, each with the same ward."""
    lines = stays(count)
    found, _ = sides(pa.array([f"p{stay // 2}" for stay in range(count)]), task.split)
    split = found.to_pylist()
    return [
        ",".join([*line.split(",")[:-1], "false" if split[at] == side else line.split(",")[-1], "3"])
        for at, line in enumerate(lines)
    ]


def walked_without(spark, folder, side, **changes):
    """A run that has made cases of stays of which nobody in `side` came back, what it said, and the frozen task."""
    source = folder / "stays.csv"
    columns = {**STAYS["columns"], "ward": {"type": "double"}}
    features = {**STAYS["features"], "numeric": [*STAYS["features"]["numeric"], "ward"]}
    task = stays_at(source, columns=columns, features=features, **changes)
    write(source, outcome_kept_out_of(side, task), f"{HEADER},ward")
    run, said = telling_run(spark, folder / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    return run, said, frozen


@pytest.fixture(scope="module")
def without_test_outcome(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one-sided")
    run, said, task = walked_without(spark, folder, "test")
    return {"run": run, "bundle": train_stage(run, task), "said": said(), "folder": folder, "task": task}


def test_what_is_strange_about_features_is_on_the_console_in_the_receipt_and_in_the_report(without_test_outcome):
    assert f"  look at     ward: {SAME}\n" in without_test_outcome["said"]
    counts = without_test_outcome["run"].receipt.counts["train"]
    assert counts["features_to_look_at"] == {"ward": SAME}
    assert SAME in load_bundle(without_test_outcome["bundle"]).read_text("report.html")


def test_a_test_split_without_the_outcome_is_said_at_features_and_leads_to_a_bundle_that_does_not_know(
    spark, without_test_outcome
):
    (gap,) = without_test_outcome["run"].receipt.counts["features"]["splits_to_look_at"]
    assert "of test 0 have the outcome; expected both: how well the network ranks and is calibrated will not be" in gap
    assert f"  look at     {gap}\n" in without_test_outcome["said"]
    bundle = load_bundle(without_test_outcome["bundle"])
    found = bundle.read_json("metrics.json")["test"]["metrics"]
    for name in ("auroc", "auprc", "calibration_slope", "calibration_intercept"):
        unknown = {"value": None, "low": None, "high": None, "reason": "no case has the outcome"}
        assert found[name] == unknown, name
    assert found["brier"]["value"] > 0
    assert "The test cases have one outcome only" in bundle.read_text("report.html")
    shown = next(line for line in without_test_outcome["said"].splitlines() if line.startswith("  network "))
    assert shown.split()[1:] == ["–", "(–)", "–", shown.split()[4], "–", "–"], "only the Brier score is known"
    road = {"folder": without_test_outcome["folder"], "source": without_test_outcome["folder"] / "stays.csv"}
    scores, _ = score(spark, {**road, "bundle": without_test_outcome["bundle"]}, "tonight")
    assert len(scores) > 500


def test_a_gate_that_cannot_be_known_refuses_the_network(spark, tmp_path):
    run, _, task = walked_without(spark, tmp_path, "test", gates={"auroc_at_least": 0.6})
    with pytest.raises(GateError, match=r"AUROC None, expected at least 0\.6"):
        train_stage(run, task)
    assert not (tmp_path / "store" / "bundles").exists()


def test_a_validation_split_without_the_outcome_is_said_at_features_and_refused_before_training(spark, tmp_path):
    run, said, task = walked_without(spark, tmp_path, "valid")
    (fault,) = run.receipt.counts["features"]["splits_to_look_at"]
    assert "of valid 0 have the outcome; expected both, so nothing can be calibrated on it" in fault
    assert f"  look at     {fault}\n" in said()
    with pytest.raises(InputError, match="so nothing can be calibrated on it"):
        train_stage(run, task)


@pytest.mark.slow
def test_where_the_network_loses_the_console_and_the_report_name_the_better_model(spark, tmp_path):
    """A network that learns next to nothing, in one epoch of the smallest steps."""
    source = write(tmp_path / "stays.csv", stays(1500))
    training = {"epochs": 1, "batch_size": 1024, "learning_rate": 1e-7}
    run, said = telling_run(spark, tmp_path / "store")
    frozen = clean_stage(run, stays_at(source, training=training))
    features_stage(run, frozen)
    bundle = load_bundle(train_stage(run, frozen))
    metrics = bundle.read_json("metrics.json")
    named = "logistic regression ranks these patients better than the network (AUROC 0."
    assert f"  {named}" in said()
    assert "A simpler model, logistic regression, reached an AUROC of" in bundle.read_text("report.html")
    assert named in bundle.read_text("report.html")
    head, *rows = said()[said().index("  test patients") :].splitlines()
    assert head.split()[-2:] == ["slope", "level"]
    level = metrics["test"]["metrics"]["calibration_intercept"]["value"]
    assert rows[0].split()[0] == "network"
    assert float(rows[0].split()[-1]) == pytest.approx(level, abs=0.0006)
