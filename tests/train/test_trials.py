"""Settings tried, given up, failed and gone on with."""

import pytest
from optuna.trial import TrialState
from train.test_distil import STATISTICS, task_with, written

from medspark.encode.statistics import to_json
from medspark.errors import InputError
from medspark.train import trials as module
from medspark.train.batches import split_files
from medspark.train.trials import Search, chosen, open_study, prepare, summary, try_one

SPACE = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "network.hidden": [[8], [4, 4]]}
TASK = {"network": {"hidden": [8]}, "training": {"epochs": 2, "batch_size": 128, "learning_rate": 0.002}}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return written(tmp_path_factory.mktemp("trials") / "tensors", cases=400)


def search_of(table, folder, **changes):
    task = task_with(**TASK | {"tuning": {"trials": 3, "members": 1, "space": SPACE} | changes})
    train, valid = (tuple(map(str, split_files(table, split))) for split in ("train", "valid"))
    return Search(str(folder / "journal.log"), "a study", task, to_json(STATISTICS), train, valid)


def with_training(search, **changes):
    training = search.task.training.model_copy(update=changes)
    return search._replace(task=search.task.model_copy(update={"training": training}))


def test_the_tasks_own_settings_are_tried_first_and_each_trial_is_kept_with_its_outcome(table, tmp_path):
    search = search_of(table, tmp_path)
    assert prepare(open_study(search), search.task) == 3
    for place in range(3):
        try_one(search, place)
    found = summary(open_study(search), search.task)
    assert found["tried"][0]["settings"] == {"training.learning_rate": 0.002, "network.hidden": (8,)}
    assert found["trials"] == {"complete": 3, "pruned": 0, "fail": 0}
    assert found["judged_by"] == "valid_loss"
    best = min(found["tried"], key=lambda row: row["value"])
    assert (found["chosen"], found["settings"]) == (best["trial"], best["settings"])
    assert [row["epochs"] for row in found["tried"]] == [2, 2, 2]
    assert len({row["value"] for row in found["tried"]}) == 3


def test_a_search_goes_on_with_the_trials_of_before_and_names_one_that_broke_off_as_failed(table, tmp_path):
    search = search_of(table, tmp_path)
    prepare(open_study(search), search.task)
    try_one(search, 0)
    open_study(search).ask()  # its process dies
    again = open_study(search)
    assert prepare(again, search.task) == 2  # what broke off has no outcome, and another is tried
    assert [trial.state for trial in again.trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert prepare(again, search_of(table, tmp_path, trials=5).task) == 4


def test_where_all_broke_off_the_tasks_own_settings_are_asked_for_again(table, tmp_path):
    search = search_of(table, tmp_path)
    prepare(open_study(search), search.task)
    assert open_study(search).ask().params == {}  # the task's own, and its process dies
    again = open_study(search)
    assert prepare(again, search.task) == 3
    (waiting,) = again.get_trials(states=(TrialState.WAITING,))
    assert waiting.system_attrs["fixed_params"]["training.learning_rate"] == 0.002


def test_settings_that_cannot_be_trained_are_a_failed_trial_with_its_reason(table, tmp_path):
    search = search_of(table, tmp_path, space={"training.warmup": {"low": 1000, "high": 2000}})
    prepare(open_study(search), search.task)
    try_one(search, 0)
    study = open_study(search)
    with pytest.raises(InputError, match=r"none of 1 trials.*InputError: training.warmup: expected fewer"):
        chosen(study, search.task)
    (row,) = module.rows_of(module.ended(study), search.task)
    assert (row["outcome"], row["value"]) == ("fail", None)


def test_a_trial_that_is_worse_than_half_of_those_before_it_is_given_up(table, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STARTUP", 1)
    monkeypatch.setattr(module, "LEAST_EPOCHS", 1)
    rates = {"training.learning_rate": {"low": 1e-9, "high": 0.01}}
    search = search_of(table, tmp_path, space=rates)
    search = search._replace(
        task=search.task.model_copy(update={"training": search.task.training.model_copy(update={"epochs": 6})})
    )
    study = open_study(search)
    for rate in (0.01, 1e-9):
        study.enqueue_trial({"training.learning_rate": rate})
        try_one(search, 0)
    first, second = summary(open_study(search), search.task)["tried"]
    assert (first["outcome"], first["epochs"]) == ("complete", 6)
    assert second["outcome"] == "pruned"
    assert second["epochs"] < 6
    assert second["value"] > first["value"]


def test_those_that_draw_at_the_same_time_draw_different_settings(table, tmp_path):
    search = search_of(table, tmp_path)
    drawn = [open_study(search, place).ask().suggest_float("x", 0, 1) for place in (0, 1)]
    assert drawn[0] != drawn[1]


def test_what_is_to_be_large_is_told_as_it_is(table, tmp_path):
    search = search_of(table, tmp_path)
    search = with_training(search, stop_on="auroc")
    try_one(search, 0)
    found = summary(open_study(search), search.task)
    assert found["judged_by"] == "auroc"
    assert 0 < found["tried"][0]["value"] <= 1
    assert open_study(search).best_value == -found["tried"][0]["value"]
