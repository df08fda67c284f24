import hashlib

import pytest
from pyspark.sql import functions as F

from medspark.cases.split import assign_fold, assign_split, hold_out_fold
from medspark.task.training import Split

DEFAULT = Split()


def splits_of(spark, ids, split=DEFAULT):
    rows = spark.createDataFrame([(i,) for i in ids], "subject string")
    return {row[0]: row[1] for row in rows.select("subject", assign_split(F.col("subject"), split)).collect()}


def test_a_patient_keeps_its_side_when_others_are_added(spark):
    few = splits_of(spark, ["a", "b", "c"])
    many = splits_of(spark, ["a", "b", "c", *map(str, range(500))])
    assert {name: many[name] for name in few} == few


def test_the_side_can_be_recomputed_in_plain_python(spark):
    def expected(subject):
        share = int(hashlib.md5(f"split0:{subject}".encode()).hexdigest()[:8], 16) / 2**32
        return "test" if share < 0.2 else "valid" if share < 0.3 else "train"

    ids = [str(i) for i in range(300)]
    assert splits_of(spark, ids, Split(train=0.7, valid=0.1, test=0.2)) == {i: expected(i) for i in ids}


def test_shares_are_the_tasks(spark):
    found = list(splits_of(spark, map(str, range(10_000)), Split(train=0.6, valid=0.1, test=0.3)).values())
    assert {part: round(found.count(part) / 10_000, 1) for part in ("train", "valid", "test")} == {
        "train": 0.6,
        "valid": 0.1,
        "test": 0.3,
    }


def test_a_number_and_its_text_are_the_same_patient(spark):
    number = spark.createDataFrame([(2**53 + 1,)], "subject bigint")
    side = number.select(assign_split(F.col("subject"), Split())).first()[0]
    assert side == splits_of(spark, [str(2**53 + 1)])[str(2**53 + 1)]


def test_another_seed_draws_another_division(spark):
    ids = list(map(str, range(200)))
    assert splits_of(spark, ids, Split(seed=1)) != splits_of(spark, ids, Split(seed=2))


def test_folds_part_the_patients_evenly_and_each_is_held_out_once(spark):
    split = Split(folds=5)
    rows = spark.range(5000).select(assign_fold(F.col("id"), split).alias("fold"))
    counts = {row["fold"]: row["count"] for row in rows.groupBy("fold").count().collect()}
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert all(900 < n < 1100 for n in counts.values())
    sides = rows.select(hold_out_fold(F.col("fold"), 4, 5).alias("side"), "fold").distinct().collect()
    assert {row["fold"]: row["side"] for row in sides} == {
        4: "test",
        0: "valid",
        1: "train",
        2: "train",
        3: "train",
    }


@pytest.mark.parametrize("folds", [None])
def test_without_folds_a_case_has_none(spark, folds):
    assert spark.range(1).select(assign_fold(F.col("id"), Split(folds=folds))).first()[0] is None
