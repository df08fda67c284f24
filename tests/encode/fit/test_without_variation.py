"""What is the same in all training cases is left out by name, and can never move a score."""

import json

import numpy as np
import pyarrow as pa
import pytest
from support.tasks import stays_task

from medspark.encode.fit.fit import fit_statistics
from medspark.encode.statistics import from_json, to_json
from medspark.encode.strange import remarks_of
from medspark.encode.worker.encoder import encode
from medspark.task.features import EventFeatures

CASES = (
    "case_id bigint, subject_id string, split string, boolean_value boolean, age double, sex string, "
    "diag_1 string, diag_2 string"
)


def fitted(spark, features, ages, sexes=None, codes=None):
    sexes, codes = sexes or ["F", "M"] * len(ages), codes or ["x", None] * len(ages)
    rows = [(at, str(at), "train", at % 2 == 0, age, sexes[at], codes[at], None) for at, age in enumerate(ages)]
    task = stays_task(features={"numeric": [], "categorical": [], "codes": {}} | features)
    return fit_statistics(spark.createDataFrame(rows, CASES), task.features)


def cases(ages, sexes=None, codes=None):
    columns = {"age": pa.array(ages, pa.float64()), "sex": pa.array(sexes or [None] * len(ages), pa.string())}
    columns |= {"diag_1": pa.array(codes or [None] * len(ages), pa.string()), "diag_2": pa.nulls(len(ages), "string")}
    return pa.RecordBatch.from_pydict(columns)


AGE = {"numeric": ["age"], "categorical": [{"column": "sex", "at_least": 1}]}
INDICATED = {"numeric": [{"column": "age", "missing_indicator": True}]}


def test_a_constant_number_is_left_out_by_name(spark):
    found = fitted(spark, AGE, [7.0, 7.0, 7.0, 7.0])
    assert found.widths() == {"categories": 1}
    assert remarks_of(found) == {"age": "left out, the same in all training cases"}
    assert list(encode(cases([107.0], ["F"]), found)) == ["categories"]


def test_of_one_value_and_missing_only_the_indicator_is_kept(spark):
    found = fitted(spark, INDICATED, [7.0, None, 7.0, None])
    assert remarks_of(found) == {"age": "the same in all training cases: only whether it is missing is kept"}
    assert encode(cases([107.0, 7.0, None]), found)["numeric"].tolist() == [[0.0], [0.0], [1.0]]


def test_an_indicator_that_no_training_case_needs_is_left_out(spark):
    found = fitted(spark, INDICATED, [1.0, 2.0, 3.0, 4.0])
    assert found.widths() == {"numeric": 1}


@pytest.mark.parametrize(
    ("sexes", "varies"),
    [(["F", "F", "F"], False), (["F", "F", None], True), (["F", "M", "F"], True), ([None, None, None], False)],
)
def test_a_category_of_one_level_is_left_out(spark, sexes, varies):
    found = fitted(spark, AGE, [1.0, 2.0, 3.0], sexes)
    assert ("categories" in found.widths()) == varies
    assert ("sex" in remarks_of(found)) != varies
    assert ("sex" in found.columns()) == varies, "what is left out is not asked of the cases either"


def test_a_bag_of_the_same_codes_in_all_cases_is_left_out(spark):
    bag = {"numeric": ["age"], "codes": {"dx": {"from": ["diag_1", "diag_2"], "at_least": 1}}}
    assert "codes_dx" not in fitted(spark, bag, [1.0, 2.0], codes=["x", "x"]).widths()
    assert "codes_dx" in fitted(spark, bag, [1.0, 2.0], codes=["x", None]).widths()


def test_one_huge_number_is_drawn_in_and_leaves_the_others_apart(spark):
    found = fitted(spark, {"numeric": ["age"]}, [*map(float, range(100)), 1e30])
    assert remarks_of(found) == {"age": "some values lie more than 30 spreads from the median"}
    (low,), (middle,), (high,), (huge,) = encode(cases([5.0, 50.0, 95.0, 1e300]), found)["numeric"].tolist()
    assert low < -1 < middle < 1 < high < huge <= 3.0
    assert np.isfinite(huge)


def test_a_nearly_constant_number_is_named_and_kept(spark):
    found = fitted(spark, {"numeric": ["age"]}, [0.0] * 199 + [1.0])
    assert remarks_of(found) == {"age": "nearly constant, 99 in 100 values are the same"}
    assert found.widths() == {"numeric": 1}


EVENTS = EventFeatures.model_validate(
    {
        "demographics": ["age"],
        "values": {"labs": {"of": ["LAB/"], "take": ["last", "count"], "look_back_days": 10, "at_least": 2}},
        "sequences": {"past": {"of": ["LAB/"], "last": 3, "at_least": 2}},
        "grids": {"vitals": {"of": ["LAB/"], "look_back_hours": 2, "every_hours": 1, "at_least": 2}},
    }
)
EVENT_CASES = (
    "case_id bigint, subject_id string, split string, boolean_value boolean, age double, "
    "labs_10d map<string, struct<last: double, count: double>>, "
    "past_all array<struct<code: string, hours_before: double, number: double>>, vitals map<string, array<double>>"
)
NUMBERS = {"flat": [7.0] * 200, "mostly": [0.0] * 199 + [1.0], "wild": [*map(float, range(199)), 1e30],
           "plain": [*map(float, range(200))]}  # fmt: skip
"""Of each code its number in each of 200 training cases."""


@pytest.fixture(scope="module")
def of_events(spark):
    rows = []
    for at in range(200):
        each = {code: numbers[at] for code, numbers in NUMBERS.items()}
        past = [(code, 1.0, number) for code, number in each.items()]
        labs = {code: (number, 1.0 + (at + len(code)) % 2) for code, number in each.items()}
        vitals = {code: [number, None] for code, number in each.items()}
        rows.append((at, str(at), "train", at % 2 == 0, float(at), labs, past, vitals))
    return fit_statistics(spark.createDataFrame(rows, EVENT_CASES), EVENTS)


def test_numbers_of_events_that_are_constant_nearly_so_or_far_away_are_named(of_events):
    of_each = (
        "left out, the same in all training cases: {0}flat; nearly constant, 99 in 100 values are the same: {0}mostly; "
        "some values lie more than 30 spreads from the median: {0}wild"
    )
    found = remarks_of(of_events)
    assert found["past_all"] == found["vitals"] == of_each.format("numbers of ")
    (values,) = of_events.values
    assert set(values.constant) == {("flat", "last"), *((code, "presence") for code in NUMBERS)}, "all have all codes"
    assert values.nearly == (("mostly", "last"),)
    assert values.far == (("wild", "last"),)


def test_a_constant_number_of_events_is_always_encoded_as_0(of_events):
    (values,) = of_events.values
    assert ("flat", "last") in values.constant
    tonight = pa.RecordBatch.from_arrays(
        [
            pa.array([40.0], pa.float64()),
            pa.array(
                [[("flat", {"last": 1e9, "count": 2.0}), ("plain", {"last": 3.0, "count": 1.0})]],
                pa.map_(pa.string(), pa.struct([("last", pa.float64()), ("count", pa.float64())])),
            ),
        ],
        names=["age", "labs_10d"],
    )
    numbers = encode(tonight, of_events.model_copy(update={"sequences": (), "grids": ()}))["numeric"][0]
    of_codes = numbers[-values.width :].reshape(len(values.codes), len(values.numbers))
    flat, plain = (of_codes[values.codes.index(code)].tolist() for code in ("flat", "plain"))
    assert flat[values.numbers.index("last")] == 0.0
    assert plain[values.numbers.index("last")] != 0.0


def test_statistics_from_before_name_nothing_of_events(of_events):
    before = json.loads(to_json(of_events))
    for group in (*before["sequences"], *before["grids"], *before["values"]):
        for field in ("constant", "nearly", "far", "ends"):
            group.pop(field, None)
    assert remarks_of(from_json(json.dumps(before))) == {}
