"""Cases to the best of some settings: `medspark tune` as a whole, and its folds' like."""

import pytest
from support.roads import new_run, stays, write
from support.tasks import stays_at

from medspark.bundles.bundle import METRICS, REPORT, load_bundle
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.tune import TUNING, tune_stage

pytestmark = pytest.mark.slow

SPACE = {"network.dropout": [0.0, 0.3], "network.embedding": {"low": 2, "high": 9}}


@pytest.fixture(scope="module")
def tuned(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    changes = {
        "network": {"members": 3},
        "training": {"epochs": 2},
        "tuning": {"trials": 3, "members": 1, "space": SPACE},
    }
    task = stays_at(write(folder / "stays.csv", stays(1500)), **changes)
    run = new_run(spark, folder / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    return run, frozen, tune_stage(run, frozen)


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
    (journal,) = (path.parent.parent / TUNING).glob("*.log")
    before = journal.read_bytes()
    again = new_run(spark, path.parent.parent)
    other = tune_stage(again, task)
    assert journal.read_bytes()[: len(before)] == before
    assert again.receipt.counts["tune"] == run.receipt.counts["tune"]
    assert load_bundle(other).task == load_bundle(path).task
    assert not (path.parent.parent / ".scratch").exists()
