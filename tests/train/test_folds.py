"""Folds: each patient held out once in each division, and a search for settings that never sees who is held out."""

from collections import Counter

import pytest
from support.tasks import stays_task
from train.test_distil import STATISTICS, task_with, written

from medspark.cases.split import assign_fold
from medspark.encode.statistics import to_json
from medspark.errors import InputError
from medspark.schemas import FOLD, SPLIT, SUBJECT_ID
from medspark.train import folds as module
from medspark.train.folds import Part, measure, parts_of
from medspark.train.trials import open_study, search_of

SPLITS = {"train": 0.7, "valid": 0.1, "test": 0.2}


def test_each_division_holds_each_patient_out_once_and_is_another_one(spark, tmp_path, monkeypatch):
    task = stays_task(split=SPLITS | {"folds": 3, "repeats": 2})
    sides = []

    def encoded(cases, _, path):
        sides.append({row[SUBJECT_ID]: row[SPLIT] for row in cases.collect()})
        return STATISTICS, path

    monkeypatch.setattr(module, "fit_and_encode", encoded)
    cases = spark.createDataFrame([(f"p{at}",) for at in range(60)], f"{SUBJECT_ID} string")
    cases = cases.withColumn(FOLD, assign_fold(cases[SUBJECT_ID], task.split))
    parts = parts_of(cases, task, "scratch", tmp_path)
    assert [part.table for part in parts] == [f"scratch/fold{at}" for at in range(6)]
    assert len({part.checkpoints for part in parts}) == 6
    held_out = [{who for who, side in one.items() if side == "test"} for one in sides]
    for division in (held_out[:3], held_out[3:]):
        assert Counter(who for fold in division for who in fold) == {f"p{at}": 1 for at in range(60)}
    assert not {frozenset(fold) for fold in held_out[:3]} & {frozenset(fold) for fold in held_out[3:]}


def test_repeats_without_folds_are_a_problem_of_the_task():
    with pytest.raises(ValueError, match="expected folds beside repeats"):
        stays_task().split.model_validate({"repeats": 2})
    with pytest.raises(InputError, match=r"no split.folds"):
        parts_of(None, stays_task(), "scratch")


@pytest.mark.slow
def test_a_fold_is_measured_after_a_search_among_the_others_which_goes_on_where_it_died(tmp_path):
    table = written(tmp_path / "tensors", cases=400)
    training = {"epochs": 2, "batch_size": 128}
    tuning = {"trials": 2, "members": 1, "space": {"training.learning_rate": {"low": 0.001, "high": 0.02}}}
    report = {"subgroups": [], "bootstrap": 2}
    task = task_with(network={"members": 3, "hidden": [8]}, training=training, tuning=tuning, report=report)
    part = Part(str(table), to_json(STATISTICS), task, None, str(tmp_path / "journals"))
    found = measure(part)
    assert 0 < found.metrics["auroc"] < 1
    search = search_of(tmp_path / "journals", task, STATISTICS, str(table))
    assert not any("=test" in file for file in [*search.train, *search.valid])
    values = {trial.value for trial in open_study(search).trials}
    assert {row["value"] for row in found.searched["tried"]} == values
    assert len(values) == 2
    assert measure(part) == found  # nothing is tried twice, and the same network learned
