"""Gradient boosting that teaches members: of which cases it learned, what it says, and where nothing is taught."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from train.test_distil import STATISTICS, learned_files, task_with, taught, written
from train.test_linear import cases

from medspark.encode.inputs import Input
from medspark.evaluate.truth import reading_of
from medspark.task.training import Network, Training
from medspark.train import boosted as module
from medspark.train import trees
from medspark.train.batches import Folds, fold_of, load_split
from medspark.train.boosted import can_be_taught, fit_teachers, said_by, taught_files
from medspark.train.export import keras_logits
from medspark.train.trees import Fit, fit_trees

pytestmark = pytest.mark.slow

MEMBERS = 3
INPUTS = [
    Input("numeric", 2, "float32", None, "numbers", "numbers"),
    Input("categories", 2, "int32", 8, "categories", "categories"),
    Input("codes_drugs", 3, "int32", 4, "codes", "codes"),
]


@pytest.fixture(autouse=True)
def of_few(monkeypatch):
    """Trees teach of as few cases as a test has."""
    monkeypatch.setattr(trees, "LEAST_CASES", 100)


def teachers(seen, kind="binary"):
    return fit_teachers(seen, np.arange(len(seen.fold)) % 10, INPUTS, kind, MEMBERS, 0)


def test_no_teacher_learns_from_the_fold_that_its_member_left_out():
    seen = cases(400, 1, 1)
    left_out = seen.fold[:, None] == 1
    turned = seen._replace(truth=seen.truth._replace(label=np.where(left_out, 1 - seen.truth.label, seen.truth.label)))
    one, other = (said_by(teachers(found), seen.tensors) for found in (seen, turned))
    assert np.array_equal(one[:, 1], other[:, 1])
    assert not np.allclose(one[:, 0], other[:, 0])


@pytest.mark.parametrize("classes", [2, 3])
def test_of_classes_each_member_is_taught_a_logit_of_each(classes):
    seen = cases(400, 1, classes)
    said = said_by(teachers(seen, "classes"), seen.tensors)
    assert said.shape == (400, MEMBERS, classes)
    assert (said.mean(axis=1).argmax(axis=1) == seen.truth.label.argmax(axis=1)).mean() > 0.7


def test_of_horizons_no_taught_logit_is_below_that_of_an_earlier_one():
    seen = cases(400, 1, 1)
    soon = seen.truth.label * (seen.tensors["numeric"][:, 1:] > 0)
    followed = seen.tensors["categories"][:, 0] > 2
    label = np.concatenate([soon, np.where(followed[:, None], soon, np.nan)], axis=1)  # alike: trees by chance differ
    seen = seen._replace(truth=seen.truth._replace(label=label, weight=np.isfinite(label).astype(float)))
    said = said_by(teachers(seen, "horizons"), seen.tensors)
    apart = said_by(teachers(seen, "several"), seen.tensors)
    assert (np.diff(said, axis=2) >= 0).all()
    assert (np.diff(apart, axis=2) < 0).any()


def test_where_without_a_fold_an_outcome_is_not_there_nobody_teaches():
    seen = cases(400, 1, 1)
    seen = seen._replace(truth=seen.truth._replace(label=(seen.fold == 2).astype(float)[:, None]))
    assert teachers(seen) is None


def test_as_many_processes_as_there_are_cores_say_the_same(monkeypatch):
    seen = cases(400, 1, 1)
    alone = said_by(teachers(seen), seen.tensors)
    monkeypatch.setattr(module, "IN_PROCESSES", 0)
    monkeypatch.setattr(module, "_cores", lambda: 2)
    assert np.array_equal(said_by(teachers(seen), seen.tensors), alone)


def test_of_the_patients_that_say_when_there_are_trees_enough_no_tree_learns():
    seen = cases(400, 1, 1)
    y, watched = seen.truth.label[:, 0].astype(int), np.arange(400) % 10 == 0
    said = {}
    for turned in ("none", "watched", "others"):
        found = np.where({"none": watched & ~watched, "watched": watched, "others": ~watched}[turned], 1 - y, y)
        fit = Fit(found, np.ones(400), np.ones(400, bool), watched, 2, 0, 1)
        said[turned] = fit_trees(seen.tensors["numeric"], [False] * 2, fit).decision_function(seen.tensors["numeric"])
    assert np.array_equal(said["none"], said["watched"])
    assert not np.array_equal(said["none"], said["others"])


def test_where_the_patients_that_say_when_lack_an_outcome_there_are_few_trees():
    seen = cases(400, 1, 1)
    y = seen.truth.label[:, 0].astype(int)
    fit = Fit(y, np.ones(400), np.ones(400, bool), (np.cumsum(y) < 30) & (y == 1), 2, 0, 800)
    assert fit_trees(seen.tensors["numeric"], [False] * 2, fit).n_iter_ == trees.FEW_TREES


def test_all_cases_of_a_patient_say_when_there_are_trees_enough_or_none_does(tmp_path, monkeypatch):
    table, task, heard = written(tmp_path, cases=400), task_with(network={"members": MEMBERS}), {}
    reading, folds = reading_of(task.outcome), Folds(MEMBERS, task.training.seed)
    monkeypatch.setattr(module, "fit_teachers", lambda cases, tenth, *_: heard.update(cases=cases, tenth=tenth))
    with taught_files(learned_files(table), STATISTICS.inputs(), reading, folds, task.network, task.training) as found:
        assert found[1] is None, "without teachers nothing is taught"
    tenths = [set(heard["tenth"][heard["cases"].fold == fold]) for fold in range(MEMBERS)]
    assert not (np.bincount(heard["tenth"]) % 2).any(), "each patient has two cases"
    assert tenths == [set(range(trees.TENTHS))] * MEMBERS, "a division of its own"


@pytest.mark.parametrize(
    ("inputs", "network", "training", "expected"),
    [
        (INPUTS, {}, {}, True),
        (INPUTS, {}, {"taught_by": "none"}, False),
        (INPUTS, {"kind": "plain"}, {}, False),
        (INPUTS, {}, {"class_weight": "balanced"}, False),
        (INPUTS, {}, {"loss": "focal"}, False),
        ([*INPUTS, Input("tokens_past", 8, "int32", 9, "sequence", "events")], {}, {}, False),
    ],
)
def test_what_trees_read_less_of_than_the_network_they_do_not_teach(inputs, network, training, expected):
    assert can_be_taught(inputs, Network(**network), Training(**training)) is expected


def test_what_is_taught_stands_beside_its_own_case_and_goes_when_learning_has_ended(tmp_path):
    table, task = written(tmp_path, cases=400), task_with(network={"members": MEMBERS})
    reading, folds = reading_of(task.outcome), Folds(MEMBERS, task.training.seed)
    found = load_split(table, "train", STATISTICS.inputs(), reading, ("subject_id",))
    args = (STATISTICS.inputs(), reading, folds, task.network, task.training)
    with taught_files(learned_files(table), *args) as (files, said):
        rows = np.array(pq.read_table(files[0]).column(said.name).to_pylist())
        assert pq.read_table(files[0]).column("subject_id").to_pylist() == found.keys["subject_id"].to_pylist()
    assert not any(file.exists() for file in files)
    label, fold = found.truth.label[:, 0], fold_of(found.keys["subject_id"].to_numpy(), folds)
    heard = rows.mean(axis=1)
    assert rows.shape == (400, MEMBERS)
    assert roc_auc_score(label, rows[np.arange(400), fold]) < roc_auc_score(label, heard) - 0.03, "its own it has seen"


def test_of_few_cases_members_learn_from_the_outcomes_as_when_nothing_teaches(tmp_path, monkeypatch):
    table, logits = written(tmp_path, cases=400), []
    for least, by in ((100, "boosting"), (501, "boosting"), (100, "none")):  # 400 of train and 100 of valid
        monkeypatch.setattr(trees, "LEAST_CASES", least)
        task = task_with(network={"members": MEMBERS, "hidden": [8]}, training={"epochs": 1, "taught_by": by})
        fitted = taught(table, task)
        assert fitted.taught is (not logits)
        test = load_split(table, "test", STATISTICS.inputs(), fitted.reading)
        logits.append(keras_logits(fitted.network, test.tensors)[:, 0])
    assert np.array_equal(logits[1], logits[2])
    assert not np.allclose(logits[0], logits[1])
