"""Cases to the best of some settings: `medspark tune` as a whole, and its folds' like."""

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
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
        "split": {"train": 0.7, "valid": 0.1, "test": 0.2, "folds": 3},
    }
    task = stays_at(write(folder / "stays.csv", stays(1500)), **changes)
    run = new_run(spark, folder / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
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


def test_each_fold_is_measured_after_a_search_that_never_saw_it(tuned):
    path = tuned[2]
    metrics = load_bundle(path).read_json(METRICS)
    found, tried = metrics["cross_validation"], metrics["tuning"]["tried"]
    assert (found["folds"], found["tried"], len(found["chosen"])) == (3, 9, 3)
    searches = [
        [trial.values[0] for trial in optuna.load_study(study_name=None, storage=opened).trials]
        for opened in (JournalStorage(JournalFileBackend(str(one))) for one in (path.parents[1] / TUNING).glob("*.log"))
    ]
    assert len(searches) == 4  # that of the bundle, and one a fold
    assert len({value for search in searches for value in search}) == 12  # of other patients each
    assert {row["value"] for row in tried} in [set(search) for search in searches]
    assert "9 settings in all" in (path / REPORT).read_text()
