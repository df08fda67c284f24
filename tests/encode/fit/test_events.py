"""The statistics of events, fitted on the training split."""

import math

import pyarrow as pa
import pytest

from medspark.encode.apply import encode_cases
from medspark.encode.fit.fit import fit_statistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import encode
from medspark.errors import InputError
from medspark.task.features import EventFeatures

NAN = float("nan")


FEATURES = EventFeatures.model_validate(
    {
        "demographics": ["age", "sex"],
        "codes": {"dx": {"of": ["CONDITION/"], "at_least": 2, "most": 2}},
        "values": {
            "labs": {
                "of": ["LAB/"],
                "take": ["last", "time_since", "sd", "count"],
                "look_back_days": 10,
                "look_back_hours": 12,
                "at_least": 2,
                "scaling": "standard",
            }
        },
        "sequences": {"past": {"of": ["LAB/"], "last": 3, "at_least": 2}},
        "grids": {"vitals": {"of": ["LAB/"], "look_back_hours": 2, "every_hours": 1, "at_least": 2}},
    }
)
TAKEN = "map<string, struct<last: double, time_since: double, sd: double, count: double>>"
SCHEMA = (
    "case_id bigint, subject_id string, split string, boolean_value boolean, age double, sex string, "
    f"dx_all array<string>, labs_10d {TAKEN}, labs_12h {TAKEN}, "
    "past_all array<struct<code: string, hours_before: double, number: double>>, vitals map<string, array<double>>"
)
NA_1, NA_2, K = (120.0, 5.0, None, 1.0), (140.0, 15.0, 2.0, 3.0), (4.0, 1.0, NAN, 1.0)
ROWS = [
    (1, "a", "train", True, 40.0, "F", ["I10", "Z"], {"na": NA_1, "k": K}, {"k": (None, 1.0, None, 1.0)},
     [("na", 5.0, 120.0), ("na", 4.0, 130.0)], {"hr": [80.0, None]}),
    (2, "b", "train", False, None, "F", ["E11", "I10"], {"na": NA_2}, {"k": (NAN, 3.0, None, 1.0)},
     [("na", 3.0, 140.0), ("visit", 2.0, None)], {"hr": [90.0, 100.0]}),
    (3, "c", "train", False, 60.0, None, ["E11", "I10", "J"], {}, {}, [("visit", 1.0, math.inf)], {}),
    (4, "d", "train", None, 999.0, "X", ["U"] * 9, {"u": K}, {}, [("u", 1.0, 1.0)], {"u": [1.0, 1.0]}),
    (5, "e", "test", True, 999.0, "T", ["T", "I10"], {"na": NA_1, "t": K}, {}, [("t", 1.0, 1.0)], {"t": [1.0, 1.0]}),
]  # fmt: skip


@pytest.fixture(scope="module")
def cases(spark):
    return spark.createDataFrame(ROWS, SCHEMA)


@pytest.fixture(scope="module")
def fitted(cases):
    return fit_statistics(cases, FEATURES)


def test_the_age_is_a_number_and_the_other_demographics_are_categories(fitted):
    (age,), (sex,) = fitted.numeric, fitted.categorical
    assert (fitted.cases, age.center, age.impute, age.missing_indicator) == (3, 50.0, 50.0, True)
    assert (sex.column, sex.levels, sex.rare) == ("sex", (), 2)  # fewer than 20 cases


def test_a_bags_vocabulary_is_of_training_cases_and_its_width_what_one_of_them_has(fitted):
    (bag,) = fitted.bags
    # Z and J stand in one case, U in one without an outcome, T in the test split
    assert (bag.codes, bag.counts, bag.rare, bag.width) == (("I10", "E11"), (3, 2), 2, 2)


def test_a_bag_is_as_wide_as_the_task_allows_and_never_empty(spark, cases):
    narrow = EventFeatures.model_validate({"codes": {"dx": {"of": ["C/"], "at_least": 2, "most": 1}}})
    none = EventFeatures.model_validate({"codes": {"dx": {"of": ["C/"], "at_least": 9}}})
    assert [fit_statistics(cases, found).bags[0].width for found in (narrow, none)] == [1, 1]


def test_values_have_a_scale_for_each_code_and_number(fitted):
    ten, half = fitted.values
    assert (ten.codes, ten.counts, ten.rare, ten.takes) == (("na",), (2,), 1, ("last", "time_since", "sd", "count"))
    assert ten.center == ((130.0, 10.0, 2.0, 2.0),)
    assert ten.scale == ((10.0, 5.0, 1.0, 1.0),)
    # without the code: the median, the window's hours, 0 and 0
    assert ten.impute == ((130.0, 240.0, 0.0, 0.0),)
    assert math.isclose(ten.missing_share, 1 / 3, rel_tol=1e-6)
    # no case has a last k: nothing to scale
    assert (half.codes, half.center, half.scale, half.impute) == (
        ("k",),
        ((0.0, 2.0, 0.0, 1.0),),
        ((1.0, 1.0, 1.0, 1.0),),
        ((0.0, 12.0, 0.0, 0.0),),
    )


@pytest.mark.parametrize(
    ("scaling", "center", "scale"),
    [
        ("smooth", 10.0, round(6.0 / 1.683, 6)),
        ("standard", 10.0, 5.0),
        ("robust", 10.0, round(6.0 / 1.683, 6)),
        ("quantile", 0.0, 1.0),
        ("none", 0.0, 1.0),
    ],
)
def test_of_the_whole_history_the_longest_time_stands_for_never(spark, scaling, center, scale):
    group = {"of": ["LAB/"], "take": ["time_since", "present"], "at_least": 1, "scaling": scaling}
    rows = [
        (1, "p", "train", True, {"na": (5.0, 1.0)}),
        (2, "q", "train", True, {"na": (15.0, 1.0)}),
        (3, "r", "train", False, {}),
    ]
    schema = (
        "case_id bigint, subject_id string, split string, boolean_value boolean, "
        "labs_all map<string, struct<time_since: double, present: double>>"
    )
    features = EventFeatures.model_validate({"values": {"labs": group}})
    (found,) = fit_statistics(spark.createDataFrame(rows, schema), features).values
    assert (found.center, found.scale, found.impute) == (((center, 0.0),), ((scale, 1.0),), ((15.0, 0.0),))
    assert bool(found.knots) == (scaling == "quantile")
    encoded = encode(
        pa.RecordBatch.from_arrays(
            [pa.array([[("na", {"time_since": 15.0, "present": 1.0})], []],
                      pa.map_(pa.string(), pa.struct([("time_since", pa.float64()), ("present", pa.float64())])))],
            names=["labs_all"],
        ),
        Statistics(cases=1, numeric=(), categorical=(), codes=(), values=(found,)),
    )["numeric"]  # fmt: skip
    there = 1 / math.hypot(1, 1 / 3) if scaling == "smooth" else 1.0
    assert encoded[:, 1].tolist() == [pytest.approx(there), 0.0]
    assert encoded[0, 0] == encoded[1, 0]


def test_sequences_and_grids_scale_by_all_numbers_of_a_code(fitted):
    (past,), (vitals,) = fitted.sequences, fitted.grids
    assert (past.codes, past.counts, past.last) == (("na", "visit"), (2, 2), 3)
    spread = round((136.0 - 124.0) / 1.683, 6)  # of 120, 130 and 140 the second and the eighth decile
    assert (past.mean, past.scale) == ((130.0, 0.0), (spread, 0.0))  # a visit has no number
    assert (past.knots[0][0], past.knots[0][5], past.knots[0][-1], past.knots[1]) == (120.0, 130.0, 140.0, ())
    assert (vitals.codes, vitals.steps, vitals.mean, vitals.scale) == (("hr",), 2, (90.0,), (spread,))


def test_the_fitted_statistics_encode_cases_in_spark(cases, fitted):
    timed = cases.selectExpr("*", "timestamp'2026-01-01' AS prediction_time")
    tensors = {row["case_id"]: row for row in encode_cases(timed, fitted).collect()}
    assert set(fitted.widths()) <= set(tensors[1].asDict())
    assert tensors[5]["codes_dx_all"] == [2, 1]
    # age and its indicator; na in ten days: last, time since, sd, count, presence; k in half a day. Their sd is always
    # 2 or none, k has no last one and its count is 1 where it has one
    age = tensors[3]["numeric"][0]
    assert age == pytest.approx((10 / 7.130125) / math.hypot(1, 10 / 7.130125 / 3))
    assert tensors[3]["numeric"] == [age, 0.0, *(0.0, 46.0, 0.0, -2.0, 0.0), *(0.0, 10.0, 0.0, -1.0, 0.0)]
    assert tensors[1]["tokens_past_all"] == [0, 2, 2]
    assert tensors[2]["tokens_past_all"] == [0, 2, 3]
    drawn = (10 / 7.130125) / math.hypot(1, 10 / 7.130125 / 3)
    assert tensors[2]["grid_vitals"] == [0.0, 1.0, pytest.approx(drawn), 1.0]
    assert tensors[2]["since_vitals"] == [0.0, 0.0]


def test_partitions_and_order_change_nothing(spark):
    def number(i, j):
        return math.sqrt(i + j) * 1e5

    rows = [
        (i, str(i), "train", i % 3 == 0, float(i), "FM"[i % 2], [f"c{i % 9}", f"c{i % 7}"],
         {f"k{i % 5}": (number(i, 0), number(i, 1), None, 1.0)}, {}, [("na", 1.0, number(i, 2))] * (i % 4),
         {"hr": [number(i, 3), None]})
        for i in range(300)
    ]  # fmt: skip
    one = fit_statistics(spark.createDataFrame(rows, SCHEMA).coalesce(1), FEATURES)
    many = fit_statistics(spark.createDataFrame(rows[::-1], SCHEMA).repartition(5), FEATURES)
    assert one == many


def test_more_codes_than_the_driver_takes_are_refused(cases, monkeypatch):
    monkeypatch.setattr("medspark.encode.fit.fit.MOST_LEVELS", 3)
    with pytest.raises(InputError, match="more than 3 levels"):
        fit_statistics(cases, FEATURES)
