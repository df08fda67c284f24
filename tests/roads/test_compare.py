"""Bundles of several sizes side by side, on the same test patients."""

import json

import pytest
from support.roads import new_run, stays, write
from support.tasks import stays_at

from medspark.bundles.bundle import METRICS, load_bundle
from medspark.errors import InputError, TaskError
from medspark.stages.clean import clean_stage
from medspark.stages.compare import BESIDE, compare_stage
from medspark.stages.features import features_stage
from medspark.stages.train import train_stage
from medspark.task.tuning import with_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    changes = {"network": {"members": 1}, "training": {"epochs": 2}}
    task = stays_at(write(folder / "stays.csv", stays(1500)), **changes)
    run = new_run(spark, folder / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    found = []
    for size in ("small", "medium"):
        of_size = with_settings(frozen, {"network.size": size, "network.hidden": None})
        found.append(train_stage(new_run(spark, folder / "store"), of_size))
    return folder / "store", found


@pytest.fixture(scope="module")
def compared(two, spark):
    run = new_run(spark, two[0])
    folder = compare_stage(run, [load_bundle(place) for place in two[1]])
    return run, json.loads((two[0] / "comparisons" / run.version / METRICS).read_text()), folder


def test_each_is_measured_as_its_own_report_measured_it(two, compared):
    _, found, _ = compared
    first, second = (load_bundle(place) for place in two[1])
    assert found["first"] == f"small {first.bundle_id[:8]}"
    for bundle, metrics in ((first, found["test"]), (second, found["baselines"][f"medium {second.bundle_id[:8]}"])):
        own = bundle.read_json(METRICS)["test"]["metrics"]
        for name in ("auroc", "auprc", "brier", "calibration_slope"):
            assert metrics["metrics"][name]["value"] == pytest.approx(own[name]["value"], abs=1e-6), name


def test_differences_are_of_the_same_patients_and_costs_of_each(two, compared):
    _, found, _ = compared
    (other,) = found["baselines"].values()
    difference = other["difference"]["auroc"]
    values = found["test"]["metrics"]["auroc"]["value"], other["metrics"]["auroc"]["value"]
    assert difference["value"] == pytest.approx(values[0] - values[1])
    assert difference["low"] <= difference["value"] <= difference["high"]
    small, medium = found["costs"]
    assert small["weights"] < medium["weights"]
    assert small["file_mb"] < medium["file_mb"]
    for one in (small, medium):
        assert one["rows_per_second"] > 0
        assert one["train_seconds"] > 0
        assert one["train_peak_mb"] > 100


def test_the_page_shows_both_and_names_no_patient(two, compared):
    run, found, folder = compared
    page = (two[0] / "comparisons" / run.version / BESIDE).read_text()
    for name in (found["first"], *found["baselines"]):
        assert page.count(f">{name}<") >= 3
    assert "Rows a second" in page
    assert run.receipt.outputs[BESIDE] == f"{folder}/{BESIDE}"


def test_bundles_of_other_outcomes_or_divisions_and_the_same_twice_are_refused(two, spark):
    first, second = (load_bundle(place) for place in two[1])
    split = second.task.split.model_copy(update={"seed": 7})
    other = second._replace(task=second.task.model_copy(update={"split": split}))
    for bundles, told in (
        ([first], "expected two bundles or more, received 1"),
        ([first, first], "expected another bundle than the first"),
        ([first, other], "divided otherwise"),
    ):
        with pytest.raises(TaskError, match=told):
            compare_stage(new_run(spark, two[0]), bundles)


def test_a_store_without_their_cases_is_refused(two, spark, tmp_path):
    with pytest.raises(InputError):
        compare_stage(new_run(spark, tmp_path / "empty"), [load_bundle(place) for place in two[1]])
