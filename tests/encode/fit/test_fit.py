import math

import pytest
from support.tasks import stays_task

from medspark.encode.apply import encode_cases, in_training_order
from medspark.encode.fit.fit import fit_statistics
from medspark.encode.kinds.base import KNOTS
from medspark.errors import InputError
from medspark.task.features import CategoricalFeature, Features

CASES = (
    "case_id bigint, subject_id string, split string, boolean_value boolean, age double, sex string, "
    "diag_1 string, diag_2 string"
)
ROWS = [
    (1, "a", "train", True, 10.0, "F", "x", "y"),
    (2, "b", "train", False, 20.0, "F", "x", "x"),
    (3, "c", "train", False, None, None, None, None),
    (4, "d", "train", None, 999.0, "Z", "z", "z"),  # outcome unknown: not fitted on
    (5, "e", "valid", True, 500.0, "V", "v", "v"),
    (6, "f", "test", False, 700.0, "T", "t", "t"),
]


def features(**changes):
    return stays_task().features.model_copy(update=changes)


def test_statistics_are_those_of_labelled_training_cases_alone(spark):
    statistics = fit_statistics(spark.createDataFrame(ROWS, CASES), features())
    (age,), (sex,), (bag,) = statistics.numeric, statistics.categorical, statistics.codes
    assert statistics.cases == 3
    assert (age.mean, age.sd, age.impute) == (15.0, 5.0, 15.0)
    assert math.isclose(age.missing_share, 1 / 3, rel_tol=1e-6)
    assert (sex.levels, sex.counts) == (("F",), (2,))
    assert (bag.codes, bag.counts) == (("x", "y"), (2, 1))  # x twice in a case counts once


def test_rare_levels_are_left_out_and_counted(spark):
    rows = [(i, str(i), "train", True, 1.0, "F" if i < 5 else "M", None, None) for i in range(7)]
    task = stays_task(features={"numeric": ["age"], "categorical": [{"column": "sex", "at_least": 3}]})
    (sex,) = fit_statistics(spark.createDataFrame(rows, CASES), task.features).categorical
    assert (sex.levels, sex.rare) == (("F",), 2)


def test_a_constant_feature_is_scaled_by_one_not_by_zero(spark):
    rows = [(i, str(i), "train", True, 7.0, "F", None, None) for i in range(3)]
    (age,) = fit_statistics(spark.createDataFrame(rows, CASES), features()).numeric
    assert (age.sd, age.scale, set(age.knots)) == (0.0, 1.0, {7.0})


def test_quantiles_are_exact_and_reach_into_the_tail(spark):
    rows = [(i, str(i), "train", True, float(i), "F", None, None) for i in range(101)]
    (age,) = fit_statistics(spark.createDataFrame(rows, CASES), features()).numeric
    assert age.knots == tuple(100 * share for share in KNOTS)


def test_partitions_and_order_change_nothing(spark):
    rows = [(i, str(i), "train", i % 3 == 0, math.sqrt(i) * 1e5, "FM"[i % 2], f"c{i % 9}", None) for i in range(500)]
    one = fit_statistics(spark.createDataFrame(rows, CASES).coalesce(1), features())
    many = fit_statistics(spark.createDataFrame(rows[::-1], CASES).repartition(7), features())
    assert one == many


def test_a_feature_without_a_value_is_named(spark):
    rows = [(1, "a", "train", True, None, "F", None, None)]
    with pytest.raises(InputError, match="missing in every training case: age"):
        fit_statistics(spark.createDataFrame(rows, CASES), features())


def test_an_empty_training_split_is_said(spark):
    with pytest.raises(InputError, match="no case with a known outcome"):
        fit_statistics(spark.createDataFrame(ROWS[4:], CASES), features())


def test_the_number_of_columns_changes_nothing_about_the_two_passes(spark):
    import threading

    group = f"fit-{threading.get_ident()}"
    wide = Features.model_validate(
        {"numeric": ["age"] * 1, "categorical": ["sex", "diag_1", "diag_2"], "codes": {"dx": {"from": ["diag_1"]}}}
    )
    jobs = []
    for found in (features(), wide):
        name = f"{group}-{len(jobs)}"
        spark.sparkContext.setJobGroup(name, name)
        fit_statistics(spark.createDataFrame(ROWS, CASES), found)
        jobs.append(len(spark.sparkContext.statusTracker().getJobIdsForGroup(name)))
    spark.sparkContext.setJobGroup("rest", "rest")
    assert jobs[0] == jobs[1]


def test_encoded_cases_keep_their_key_and_label_and_the_order_is_by_a_hash(spark):
    cases = spark.createDataFrame(ROWS, CASES).selectExpr("*", "timestamp'2026-01-01' AS prediction_time")
    tensors = encode_cases(cases, fit_statistics(cases, features()))
    rows = {row["case_id"]: row for row in tensors.collect()}
    assert rows[3]["numeric"] == [0.0, 1.0]
    assert rows[5]["categories"] == [1]  # a level that training never saw
    assert rows[4]["boolean_value"] is None
    forward = [row["case_id"] for row in in_training_order(tensors, 1).collect()]
    backward = [row["case_id"] for row in in_training_order(tensors.orderBy("case_id", ascending=False), 1).collect()]
    assert forward == backward


def test_a_level_of_many_cases_of_few_patients_is_not_named_unless_the_task_says_so(spark):
    common = [(i, f"p{i % 4}", "train", True, 1.0, "F", None, None) for i in range(40)]
    others = [(i, f"q{i}", "train", True, 1.0, "M", None, None) for i in range(40, 46)]
    cases = spark.createDataFrame([*common, *others], CASES)
    asked = features(categorical=(CategoricalFeature(column="sex", at_least=5),))
    (few,) = fit_statistics(cases, asked).categorical
    assert (few.levels, few.counts, few.rare) == (("M",), (6,), 4)
    (named,) = fit_statistics(cases, asked, names_of_few=True).categorical
    assert (named.levels, named.counts, named.rare) == (("F", "M"), (40, 6), 0)
