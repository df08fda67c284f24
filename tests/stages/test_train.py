"""What training cannot do is told before anything is learned."""

from types import SimpleNamespace

import pytest
from support.roads import new_run
from support.tasks import stays_task

from medspark.errors import InputError
from medspark.stages.train import train_stage
from medspark.stages.tune import tune_stage

SPLIT = {"train": 0.7, "valid": 0.1, "test": 0.2}


@pytest.mark.parametrize("learn", [train_stage, tune_stage])
@pytest.mark.parametrize(
    ("store", "folds", "says"),
    [
        ("hdfs://host/learned", 3, "expected a folder on this machine's file system, received hdfs://host/learned"),
        ("learned", None, r"the task has no split.folds"),
    ],
)
def test_folds_that_cannot_be_are_told_before_anything_is_learned(
    spark, tmp_path, monkeypatch, learn, store, folds, says
):
    run = new_run(spark, store if "://" in store else tmp_path / store)
    run.holds_lock = True
    monkeypatch.setattr("medspark.stages.train.require_cases", lambda *_, **__: SimpleNamespace(splits={}))
    for stage in ("train", "tune"):  # the store has no cases
        monkeypatch.setattr(f"medspark.stages.{stage}.observed_as_cases", lambda _, task: task)
    with pytest.raises(InputError, match=says):
        learn(run, stays_task(split=SPLIT | {"folds": folds}), with_folds=True)
