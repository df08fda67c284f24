"""Which settings are tried, and which may not be."""

import copy

import pytest
from support.tasks import STAYS, stays_at

from medspark.task.load import check_task
from medspark.task.notes import notes
from medspark.task.tuning import SPACE, in_yaml, space_of, with_settings


def problems(**changes):
    return check_task(copy.deepcopy(STAYS) | changes)[1]


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (
            {"network.droput": {"low": 0, "high": 0.5}},
            "tuning.space.network.droput: no setting that can be tried. Expected one of network.kind, network.size",
        ),
        ({"network.members": {"low": 1, "high": 8}}, "tuning.space.network.members: no setting that can be tried"),
        (
            {"network.dropout": {"low": 0, "high": 1.5}},
            "tuning.space.network.dropout: expected less than 1, received 1.5",
        ),
        (
            {"network.size": ["small", "huge"]},
            "tuning.space.network.size: expected 'small', 'medium' or 'large', received 'huge'",
        ),
        (
            {"training.optimizer": ["adamw", "sgd"]},
            None,  # sgd reads no weight decay, and the task does not say one
        ),
        (
            {"network.sequence": ["attention", "gru"]},
            "tuning.space.network.sequence: of 'gru', network.sequence: gru reads features.sequences, and the task has",
        ),
        ({"network.dropout": {"low": 0.5, "high": 0.1}}, "expected low below high, received 0.5 and 0.1"),
        ({"training.l2": {"low": 0, "high": 0.1, "log": True}}, "expected low above 0 where log is asked for"),
        ({"training.class_weight": ["none", "balanced"]}, "expected training.stop_on: auroc or auprc"),
        ({"network.size": ["small"]}, "expected at least 2, received ['small']"),
    ],
)
def test_a_space_is_of_settings_that_a_task_may_say(space, told):
    found = problems(tuning={"space": space})
    assert (found == []) if told is None else any(told in one for one in found), found


def test_a_misspelt_setting_is_known_by_its_likeness():
    (found,) = problems(tuning={"space": {"network.droput": ["a", "b"]}})
    assert found.endswith("Did you mean 'network.dropout'?")


def test_without_a_space_the_usual_settings_are_tried_that_count(tmp_path):
    assert space_of(stays_at(tmp_path / "stays.csv")) == SPACE
    changed = {"training": {"optimizer": "adam"}, "network": {"hidden": [8]}, "tuning": {"trials": 4}}
    tried = space_of(stays_at(tmp_path / "stays.csv", **changed))
    assert set(SPACE) - set(tried) == {"training.weight_decay", "network.size", "network.dropout"}


@pytest.mark.parametrize(
    ("changes", "tried"),
    [
        ({"network": {"members": 3}}, False),
        ({"network": {"members": 3}, "training": {"taught_by": "none"}}, True),
        ({"network": {"members": 3}, "training": {"loss": "focal"}}, True),
        ({"network": {"members": 3, "dropout": 0.2}}, True),
    ],
)
def test_dropout_is_tried_where_boosting_does_not_teach_or_the_task_says_one(changes, tried, tmp_path):
    assert ("network.dropout" in space_of(stays_at(tmp_path / "stays.csv", **changes))) is tried


def test_settings_are_put_in_the_place_of_the_tasks_and_can_be_written_into_its_file(tmp_path):
    task = stays_at(tmp_path / "stays.csv", network={"dropout": 0.1, "embedding": 4})
    settings = {"network.dropout": 0.3, "training.ema": 0.99, "network.hidden": (64, 32)}
    other = with_settings(task, settings)
    assert (other.network.dropout, other.network.embedding, other.network.hidden) == (0.3, 4, (64, 32))
    assert other.training == task.training.model_copy(update={"ema": 0.99})
    assert in_yaml(settings) == ["network: {dropout: 0.3, hidden: [64, 32]}", "training: {ema: 0.99}"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network": {"members": 3}, "training": {"taught_by": "boosting", "loss": "focal"}}, True),
        ({"network": {"members": 2}, "training": {"taught_by": "boosting"}}, True),
        ({"network": {"members": 3}, "training": {"taught_by": "boosting"}}, False),
        ({"network": {"members": 2}}, False),
    ],
)
def test_a_task_is_told_where_boosting_that_it_asks_for_teaches_nobody(changes, told, tmp_path):
    found = notes(stays_at(tmp_path / "stays.csv", **changes))
    assert any(note.startswith("training.taught_by: boosting teaches") for note in found) is told
