"""Cases to the best of some settings: `medspark tune` as a whole, and its folds' like."""

from types import SimpleNamespace

import pytest
from support.roads import new_run, stays, write
from support.tasks import stays_at

from medspark.bundles.bundle import METRICS, REPORT, load_bundle
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.tune import TUNING, tune_stage

pytestmark = pytest.mark.slow

FOUND = {"folds": 3, "repeats": 1, "metrics": {"auroc": {"mean": 0.7, "sd": 0.1}}, "tried": 9, "chosen": []}
"""In the place of a cross-validation, which `tests/train/test_folds.py` runs."""
SPACE = {"network.dropout": [0.0, 0.3], "network.embedding": {"low": 2, "high": 9}}


@pytest.fixture(scope="module")
def tuned(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    changes = {
        "network": {"members": 3},
        "training": {"epochs": 2},
        "tuning": {"trials": 3, "members": 1, "space": SPACE},
        "split": {"train": 0.7, "valid": 0.1, "test": 0.2, "folds": 3},
    }
    task = stays_at(write(folder / "stays.csv", stays(1500)), **changes)
    run = new_run(spark, folder / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    run.cross_validated = []

    def told(cases, task, folder, tell, checkpoints, journals):
        run.cross_validated.append(SimpleNamespace(task=task, journals=journals))
        return FOUND

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medspark.stages.tune.cross_validate", told)
        return run, frozen, tune_stage(run, frozen, with_folds=True)


def test_the_bundle_is_of_the_best_settings_with_the_tasks_members_and_says_what_was_tried(tuned):
    _, task, path = tuned
    bundle = load_bundle(path)
    found = bundle.read_json(METRICS)["tuning"]
    assert found["trials"] == {"complete": 3, "pruned": 0, "fail": 0}
    best = min(found["tried"], key=lambda row: row["value"])
    assert found["settings"] == best["settings"]
    network = bundle.task.network
    assert (network.dropout, network.embedding) == (
        best["settings"]["network.dropout"],
        best["settings"]["network.embedding"],
    )
    assert network.members == task.network.members == 3
    assert bundle.task.tuning == task.tuning


def test_the_report_says_how_many_choices_were_made(tuned):
    page = (tuned[2] / REPORT).read_text()
    assert "3 settings were tried: 3 to the end, 0 given up early, 0 failed" in page
    assert "Settings that were tried" in page
    assert "none was searched for" not in page


def test_the_same_command_again_tries_nothing_twice(tuned, spark):
    run, task, path = tuned
    journals = sorted((path.parent.parent / TUNING).glob("*.log"))
    before = [journal.read_bytes() for journal in journals]
    again = new_run(spark, path.parent.parent)
    other = tune_stage(again, task)
    assert all(one.read_bytes()[: len(old)] == old for one, old in zip(journals, before, strict=True))
    assert again.receipt.counts["tune"] == run.receipt.counts["tune"]
    assert load_bundle(other).task == load_bundle(path).task
    assert not (path.parent.parent / ".scratch").exists()


def test_the_search_is_cross_validated_as_the_task_has_it_and_not_as_the_search_made_it(tuned):
    run, task, path = tuned
    (asked,) = run.cross_validated
    assert asked.task == task
    assert asked.journals == path.parents[1] / TUNING
    assert load_bundle(path).read_json(METRICS)["cross_validation"] == FOUND
    assert "after a search without it, of 9 settings in all" in (path / REPORT).read_text()
    assert not (path.parents[1] / "checkpoints").exists()
