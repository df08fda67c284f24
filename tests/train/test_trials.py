"""Settings tried, given up, failed and gone on with."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from train.test_distil import STATISTICS, task_with, written

from medspark.encode.statistics import to_json
from medspark.errors import InputError
from medspark.train import boosted, trees
from medspark.train import trials as module
from medspark.train.batches import batches, split_files
from medspark.train.fit import fit_network, watched_row
from medspark.train.trials import Search, chosen, open_study, prepare, summary, teach, try_one

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
    assert prepare(again, search.task) == 2  # what broke off has no outcome, and is tried again
    complete, waiting = TrialState.COMPLETE, TrialState.WAITING
    assert [trial.state for trial in again.trials] == [complete, TrialState.FAIL, waiting, waiting]
    assert [trial.user_attrs["draw"] for trial in again.trials] == [0, 1, 2, 1]
    assert prepare(again, search_of(table, tmp_path, trials=5).task) == 4


def test_what_is_tried_is_the_same_however_often_the_search_dies(table, tmp_path):
    whole, died = (search_of(table, tmp_path / name) for name in ("whole", "died"))
    for search in (whole, died):
        Path(search.journal).parent.mkdir()
        prepare(open_study(search), search.task)
    for _ in range(2):
        open_study(died).ask()  # each time two at once, and their process dies
        open_study(died).ask()
        prepare(open_study(died), died.task)
    found = [module.try_all(search)["tried"] for search in (whole, died)]
    assert [len(rows) for rows in found] == [3, 3]
    for one, other in zip(*found, strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_a_trial_that_broke_off_is_tried_again_with_what_it_drew_whatever_was_tried_meanwhile(
    table, tmp_path, monkeypatch
):
    search = search_of(table, tmp_path, trials=8)
    dies_at = [3]

    def fit(train, valid, statistics, task, told, heard):
        if len(module.ended(open_study(search))) == dies_at[0]:
            dies_at.clear(), dies_at.append(-1)
            raise SystemExit  # its process dies
        return SimpleNamespace(lines=0, history=[{"valid_loss": task.training.learning_rate}])

    monkeypatch.setattr(module, "fit_network", fit)
    prepare(open_study(search), search.task)
    for place in range(8):
        with suppress(SystemExit):
            try_one(search, place)
    drawn = open_study(search).trials[3].params
    assert len(drawn) == 2
    assert prepare(open_study(search), search.task) == 1
    try_one(search, 0)
    again = open_study(search).trials[-1]
    assert (again.user_attrs["draw"], again.params) == (3, drawn)
    assert summary(open_study(search), search.task)["trials"] == {"complete": 8, "pruned": 0, "fail": 0}


def test_a_trial_is_judged_by_members_as_they_are_kept_drawn_towards_regressions(tmp_path, monkeypatch):
    table = written(tmp_path / "tensors", cases=400)
    search = search_of(table, tmp_path, members=3, trials=2)
    kept = []
    monkeypatch.setattr(module, "fit_network", lambda *a, **named: kept.append(fit_network(*a, **named)) or kept[-1])
    prepare(open_study(search), search.task)
    try_one(search, 0)
    (fitted,) = kept
    assert fitted.lines > 0
    loss = open_study(search).trials[0].value
    files = [path for split in ("train", "valid") for path in split_files(table, split)]
    found = partial(batches, files, STATISTICS.inputs(), fitted.reading, 512, None)
    row = watched_row(fitted.members, found, search.task.outcome.targets, fitted.folds, None)
    assert loss == pytest.approx(row["valid_loss"])
    assert loss != pytest.approx(min(one["valid_loss"] for one in fitted.history))


def test_trees_say_once_what_all_trials_hear(tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "LEAST_CASES", 100)
    search = search_of(written(tmp_path / "tensors", cases=400), tmp_path, members=3, trials=2)
    prepare(open_study(search), search.task)
    teach(search)
    monkeypatch.setattr(boosted, "fit_teachers", None)
    try_one(search, 0)
    assert [trial.state for trial in open_study(search).trials] == [TrialState.COMPLETE, TrialState.WAITING]


def test_where_all_broke_off_the_tasks_own_settings_are_asked_for_again(table, tmp_path):
    search = search_of(table, tmp_path)
    prepare(open_study(search), search.task)
    assert open_study(search).ask().params == {}  # the task's own, and its process dies
    again = open_study(search)
    assert prepare(again, search.task) == 3
    (waiting,) = (one for one in again.get_trials(states=(TrialState.WAITING,)) if one.user_attrs["draw"] == 0)
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


def test_what_is_to_be_large_is_told_as_it_is(table, tmp_path):
    search = search_of(table, tmp_path)
    search = with_training(search, stop_on="auroc")
    try_one(search, 0)
    found = summary(open_study(search), search.task)
    assert found["judged_by"] == "auroc"
    assert 0 < found["tried"][0]["value"] <= 1
    assert open_study(search).best_value == -found["tried"][0]["value"]
