"""What cannot be learned from, or calibrated or evaluated on, is said before anything is trained."""

from dataclasses import replace
from io import StringIO

import pytest
from pyspark.sql import functions as F
from rich.console import Console
from support.roads import new_run, write
from support.tasks import stays_at, stays_task

from medspark.cases.split import assign_split, faults_of_splits, gaps_of_splits
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.store.facts import SplitCounts
from medspark.task.training import Split

TASKS = {
    "members of their own folds": {"network": {"members": 8}},
    "two members": {"network": {"members": 2}},
    "two, uncalibrated": {"network": {"members": 2}, "training": {"calibration": "none"}},
}


def splits(train, valid, test):
    """Cases and, of them, with the outcome, for each split."""
    given = {"train": train, "valid": valid, "test": test}
    return {name: SplitCounts(cases, cases, positives, 0) for name, (cases, positives) in given.items()}


@pytest.mark.parametrize(
    ("task", "found", "fault"),
    [
        ("two members", splits((70, 7), (10, 1), (20, 2)), None),
        ("two members", splits((70, 7), (10, 0), (20, 2)), "of 10 cases of valid 0 have the outcome; expected both"),
        ("two members", splits((70, 7), (10, 10), (20, 2)), "use a larger valid share, three members or more, or"),
        ("two members", splits((70, 7), (0, 0), (20, 2)), "the validation split has no case with a known outcome"),
        ("two, uncalibrated", splits((70, 7), (10, 0), (20, 2)), None),
        ("members of their own folds", splits((70, 7), (10, 0), (20, 2)), None),
        ("members of their own folds", splits((70, 0), (10, 1), (20, 2)), None),
        ("two members", splits((70, 0), (10, 1), (20, 2)), "of 70 cases of train 0 have the outcome; expected both"),
        ("members of their own folds", splits((70, 0), (10, 0), (20, 2)), "of 80 cases of train and valid 0 have"),
        ("two members", splits((70, 7), (10, 1), (0, 0)), "the test split has no case with a known outcome"),
    ],
)
def test_faults_stop_the_training(task, found, fault):
    faults = faults_of_splits(found, stays_task(**TASKS[task]))
    assert len(faults) == (fault is not None)
    assert fault is None or fault in faults[0]


def test_a_test_split_without_the_outcome_is_told_and_can_be_gone_on_with():
    found = splits((70, 7), (10, 1), (20, 0))
    assert faults_of_splits(found, stays_task(**TASKS["two members"])) == []
    (gap,) = gaps_of_splits(found)
    assert gap.startswith("of 20 cases of test 0 have the outcome; expected both: how well the network ranks")
    assert gaps_of_splits(splits((70, 7), (10, 1), (20, 2))) == []


def test_features_says_of_a_validation_split_that_it_has_one_outcome_before_anything_is_trained(spark, tmp_path):
    patients = spark.range(60).select(F.concat(F.lit("p"), "id").alias("patient"))
    splits = patients.select("patient", assign_split(F.col("patient"), Split()).alias("split")).collect()
    back = {row["patient"]: row["split"] != "valid" and row["patient"].endswith(("1", "2", "3")) for row in splits}
    lines = [f"{at},{patient},50,F,I10,I50,false,{str(back[patient]).lower()}" for at, patient in enumerate(back)]
    run, said = new_run(spark, tmp_path / "store"), StringIO()
    task = clean_stage(run, stays_at(write(tmp_path / "stays.csv", lines)))
    features_stage(replace(run, console=Console(file=said, width=300)), task)
    (told,) = run.receipt.counts["features"]["splits_to_look_at"]
    valid = sum(row["split"] == "valid" for row in splits)
    assert told == (
        f"of {valid} cases of valid 0 have the outcome; expected both, so nothing can be calibrated on it: use a "
        "larger valid share, three members or more, or calibration: none"
    )
    assert f"  look at     {told}" in said.getvalue()
