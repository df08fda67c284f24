"""The smooth calibration curve beside an unpenalised logistic regression, and its distances beside closed forms."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medspark.evaluate.logistic import logit, sigmoid
from medspark.evaluate.metrics import performance, why_absent
from medspark.evaluate.smooth import ERRORS, KNOTS, calibration_errors, smooth_design, smoothed, weighted_quantiles


def cases(n=4000, seed=0, shift=0.0, slope=1.0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1.0, 1.2, n)
    return rng.random(n) < sigmoid(shift + slope * log_odds), sigmoid(log_odds)


def curve_of(y, p):
    log_odds = logit(p)
    smooth = smooth_design(log_odds, y.astype(float), (~y).astype(float))
    return smooth, smoothed(smooth, y[None].astype(float), (~y)[None].astype(float))[0]


def harrells_basis(x, knots):
    """The restricted cubic spline as Harrell's book writes it, term by term."""
    last, before = knots[-1], knots[-2]
    terms = [
        np.maximum(x - t, 0) ** 3
        - np.maximum(x - before, 0) ** 3 * (last - t) / (last - before)
        + np.maximum(x - last, 0) ** 3 * (before - t) / (last - before)
        for t in knots[:-2]
    ]
    return np.column_stack([x, *terms])


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_the_curve_is_a_logistic_regression_on_harrells_spline(slope):
    y, p = cases(slope=slope)
    x = logit(p)
    knots = np.quantile(x, KNOTS[5], method="inverted_cdf")
    basis = harrells_basis(x, knots)
    basis = (basis - basis.mean(axis=0)) / basis.std(axis=0)
    peer = LogisticRegression(C=1e12, tol=1e-12, max_iter=5000).fit(basis, y)
    assert curve_of(y, p)[1] == pytest.approx(peer.predict_proba(basis)[:, 1], abs=1e-5)


def test_the_errors_are_the_mean_and_quantiles_of_the_distance_to_the_curve():
    y, p = cases(slope=0.6)
    distance = np.abs(curve_of(y, p)[1] - p)
    found = performance(y, p)
    assert found["e_average"] == pytest.approx(distance.mean(), abs=1e-9)
    assert found["e50"] == pytest.approx(np.quantile(distance, 0.5, method="inverted_cdf"), abs=1e-9)
    assert found["e90"] == pytest.approx(np.quantile(distance, 0.9, method="inverted_cdf"), abs=1e-9)
    assert found["e_max"] == pytest.approx(distance.max(), abs=1e-9)


@pytest.mark.parametrize(("shift", "slope"), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.5)])
def test_the_average_error_of_very_many_cases_is_that_of_the_known_miscalibration(shift, slope):
    y, p = cases(200_000, shift=shift, slope=slope)
    known = np.abs(sigmoid(shift + slope * logit(p)) - p).mean()
    assert performance(y, p)["e_average"] == pytest.approx(known, abs=0.004)


def test_beyond_the_outer_knots_the_curve_is_straight_in_log_odds():
    y, p = cases()
    smooth, heights = curve_of(y, p)
    x, z = logit(p), logit(heights)
    beyond = x > np.quantile(x, 0.96)
    assert np.polyfit(x[beyond], z[beyond], 1, full=True)[1][0] < 1e-12 * beyond.sum()
    assert smooth.design.shape == (len(y), 5)


def test_few_outcomes_have_three_knots_and_too_few_have_no_curve():
    y, p = cases(60)
    assert smooth_design(logit(p), y.astype(float), (~y).astype(float)).design.shape[1] == 3
    few = np.zeros(60, bool)
    few[:9] = True
    assert smooth_design(logit(p), few.astype(float), (~few).astype(float)) is None
    found = performance(few, p)
    assert {name: found[name] for name in ERRORS} == dict.fromkeys(ERRORS)
    assert "fewer than 10 cases of the rarer outcome" in why_absent("e_average", few)


def test_one_risk_alone_has_no_curve():
    y = np.array([0, 1] * 20, bool)
    assert performance(y, np.full(40, 0.5))["e_average"] is None
    assert why_absent("e_average", y).startswith("the risks are all the same")


def test_two_risks_are_joined_by_a_straight_line_through_both_shares():
    y = np.array([0] * 30 + [1] * 10 + [0] * 15 + [1] * 15, bool)
    p = np.repeat([0.2, 0.6], [40, 30])
    found = performance(y, p)
    assert found["e_average"] == pytest.approx((40 * 0.05 + 30 * 0.1) / 70, abs=1e-6)
    assert found["e_max"] == pytest.approx(0.1, abs=1e-6)


def test_weighted_quantiles_are_those_of_the_values_written_so_often():
    rng = np.random.default_rng(1)
    values, weight = rng.random((3, 50)), rng.integers(0, 4, (3, 50)).astype(float)
    found = weighted_quantiles(values, weight, (0.1, 0.5, 0.9))
    for row, times, quantiles in zip(values, weight, found, strict=True):
        written = np.repeat(row, times.astype(int))
        assert quantiles.tolist() == np.quantile(written, (0.1, 0.5, 0.9), method="inverted_cdf").tolist()


def test_the_largest_error_is_among_the_cases_that_count():
    found = calibration_errors(np.array([0.9, 0.5]), np.array([[0.1, 0.4]]), np.array([[0.0, 2.0]]))
    assert found["e_max"].tolist() == pytest.approx([0.1])
