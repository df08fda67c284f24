"""What drives the risks of the test patients, as the report tells it."""

import json

import numpy as np
import pytest
from support.explained import TABLE

from medspark.bundles.bundle import load_bundle
from medspark.score.worker.explanations.layout import layout_of
from medspark.train import risk_drivers as module
from medspark.train.risk_drivers import _codes, _tenths, _Tested


@pytest.fixture(scope="module")
def drivers(road):
    return load_bundle(road["bundle"]).read_json("metrics.json")["drivers"]


def test_the_planted_features_lead_with_intervals_and_are_missed_when_shuffled(drivers):
    rows = {row["name"]: row for row in drivers["features"]}
    assert [row["name"] for row in drivers["features"]][-1] == "sex"  # which tells nothing
    for name in ("age", "diagnoses"):
        assert rows[name]["low"] < rows[name]["value"] < rows[name]["high"]
        assert rows[name]["auroc_lost"] > 0.02
    assert abs(rows["sex"]["auroc_lost"]) < 0.02


def test_an_age_that_rises_raises_the_risk(drivers):
    (curve,) = drivers["curves"]
    assert curve["name"] == "age"
    values, means = ([point[key] for point in curve["points"]] for key in ("value", "contribution"))
    assert values == sorted(values)
    assert means[0] < 0 < means[-1]
    assert np.corrcoef(values, means)[0, 1] > 0.9
    assert curve["missing"] is not None


def test_the_planted_code_is_the_strongest(drivers):
    codes = {row["code"]: row for row in drivers["codes"]}
    assert codes["I50" if "I50" in codes else "i50"]["value"] > 0.5
    assert all(row["cases"] >= 11 for row in drivers["codes"])


def test_what_fewer_than_eleven_cases_tell_is_not_told():
    assert _tenths(np.arange(21.0), np.arange(21.0)) == []
    assert _tenths(np.arange(100.0), np.arange(100.0)) == []  # ten in each tenth
    assert len(_tenths(np.arange(110.0), np.arange(110.0))) == 10
    ids = np.array([[2, 0]] * 11 + [[3, 0]] * 10, np.int32)
    items = np.ones((21, layout_of(TABLE).items))
    tested = _Tested({"codes_diagnoses": ids}, np.arange(21), np.zeros(21), np.ones(21), np.zeros(21), items)
    assert [row["code"] for row in _codes(layout_of(TABLE), tested)] == ["I50"]


def test_the_report_shows_them(road):
    report = (road["bundle"] / "report.html").read_text()
    assert "What drives the risks" in report
    assert "Features by their mean absolute contribution, in logits" in report
    assert 'aria-label="Contribution by the value of age"' in report


def test_a_networks_test_cases_are_explained_up_to_a_number(road, drivers):
    cases = json.loads((road["bundle"] / "manifest.json").read_text())["splits"]["test"]["cases"]
    assert drivers["cases"] == min(cases, module.CASES)
