"""Fairness: a level that the model fails is named, with its distance from all others, and chance names none."""

import json

import numpy as np
import pandas as pd
import pytest

from medspark.evaluate.logistic import sigmoid
from medspark.evaluate.metrics import performance
from medspark.evaluate.subgroups import Cases, Drawing, subgroup_rows, two_sided, unequal

DRAWING = Drawing(60, 0)
SITES = ("north", "south", "west")


def hospital(n=6000, seed=0, blind_at=None, shifted_at=None):
    """Cases of three sites; at one of them the risks may be of somebody else, or of too high a level."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1.0, 1.2, n)
    site = rng.choice(SITES, n)
    label = (rng.random(n) < sigmoid(log_odds)).astype(int)
    blind, shifted = site == blind_at, site == shifted_at
    said = log_odds.copy()
    said[blind] = rng.permutation(log_odds[blind])
    said[shifted] += 0.8
    return pd.Series(site), Cases(label, sigmoid(said), np.arange(n) // 2, np.ones(n))


def rows_of(site, every, names_of_few=False):
    return subgroup_rows(site, "site", every, DRAWING, names_of_few)


def test_a_level_has_its_own_metrics_and_its_distance_from_all_other_cases():
    site, every = hospital()
    rows = rows_of(site, every)
    assert [row["level"] for row in rows] == list(SITES)
    for row in rows:
        inside = (site == row["level"]).to_numpy()
        own = performance(every.label[inside], every.risk[inside])
        rest = performance(every.label[~inside], every.risk[~inside])
        for name, value in own.items():
            assert row["metrics"][name]["value"] == pytest.approx(value)
            assert row["difference"][name]["value"] == pytest.approx(value - rest[name], abs=1e-9)
        gap = row["difference"]["auroc"]
        assert gap["low"] < gap["value"] < gap["high"]


def test_a_model_that_is_blind_for_one_site_is_named_with_that_site():
    site, every = hospital(blind_at="south")
    found = unequal(rows_of(site, every))
    worst = found["found"][0]
    assert (worst["level"], worst["metric"], worst["worse"]) == ("south", "auroc", True)
    assert worst["difference"]["high"] < 0
    assert found["compared"] == 9
    assert not [one for one in found["found"] if one["worse"] and one["level"] != "south"]
    json.dumps(found, allow_nan=False)


def test_risks_that_are_too_high_at_one_site_are_named_as_calibrated_otherwise():
    site, every = hospital(shifted_at="west")
    found = unequal(rows_of(site, every))["found"]
    level = next(one for one in found if one["level"] == "west" and one["metric"] == "calibration_intercept")
    assert level["difference"]["value"] == pytest.approx(-0.8, abs=0.25)
    assert not level["worse"]


def test_where_no_site_differs_about_one_hospital_in_twenty_names_one():
    named = [bool(unequal(rows_of(*hospital(1500, seed)))["found"]) for seed in range(30)]
    assert sum(named) <= 5  # at most 5 % are expected; more than 5 of 30 come by chance once in 600 times


def test_one_level_alone_has_no_rest_and_says_so():
    _, every = hospital(500)
    (row,) = rows_of(pd.Series(["north"] * 500), every)
    assert row["metrics"]["auroc"]["value"] is not None
    assert row["difference"] is None
    assert row["difference_reason"] == "all other cases: fewer than 50 cases"
    assert unequal([row]) == {"compared": 0, "found": []}


def test_a_small_level_has_no_metric_and_a_reason_and_the_others_still_have_theirs():
    site, every = hospital(600)
    site[:] = ["north"] * 560 + ["south"] * 40
    north, south = rows_of(site, every)
    assert (south["metrics"], south["difference"], south["reason"]) == (None, None, "fewer than 50 cases")
    assert north["metrics"]["auroc"]["low"] is not None


def test_what_would_give_a_hidden_count_of_outcomes_away_is_hidden_too():
    rng = np.random.default_rng(0)
    label = np.zeros(400, int)
    label[:8] = label[200:240] = 1
    site = pd.Series(["few"] * 200 + ["many"] * 200)
    few, many = rows_of(site, Cases(label, rng.uniform(0.01, 0.5, 400), np.arange(400), np.ones(400)))
    assert few["positives"] == "<11"
    assert (few["prevalence"], few["mean_probability"]) == (None, None)
    assert few["metrics"]["scaled_brier"]["reason"] == "a count below 11 is not shown"
    assert many["prevalence"] == 0.2
    assert many["metrics"]["scaled_brier"]["value"] is not None


def test_weights_count_in_the_metrics_of_a_level_but_not_in_its_counts():
    site, every = hospital(1000)
    weight = np.random.default_rng(1).uniform(0.5, 3, 1000)
    north = rows_of(site, every._replace(weight=weight))[0]
    inside = (site == "north").to_numpy()
    expected = performance(every.label[inside], every.risk[inside], weight[inside])["auroc"]
    assert north["metrics"]["auroc"]["value"] == pytest.approx(expected)
    assert north["cases"] == inside.sum()


def test_the_chance_of_a_difference_is_that_of_the_normal_distribution():
    spread = np.array([-1.0, 1.0] * 50)
    assert two_sided(1.959963984540054, spread) == pytest.approx(0.05)
    assert two_sided(0.0, spread) == pytest.approx(1.0)
    assert two_sided(1.0, np.append(spread[:80], [np.nan] * 20)) is None
    assert two_sided(0.0, np.zeros(100)) is None
