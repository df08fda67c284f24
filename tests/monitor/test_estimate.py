"""The estimate of performance, beside what comes true."""

import numpy as np
import pytest

from medspark.evaluate.metrics import performance
from medspark.monitor.estimate import estimate
from medspark.monitor.plan import SCORE_CELLS
from medspark.monitor.worker.read import score_cell


def counted(risk):
    return np.bincount(score_cell(risk), minlength=SCORE_CELLS)


def test_what_comes_true_lies_within_the_interval_in_95_of_100_nights():
    rng = np.random.default_rng(0)
    inside = {"auroc": 0, "brier": 0, "prevalence": 0}
    for night in range(200):
        risk = rng.beta(1, 4, 500)
        label = rng.random(500) < risk
        truth = performance(label, risk) | {"prevalence": label.mean()}
        found = estimate(counted(risk), draws=300, seed=night)
        for name in inside:
            inside[name] += found[name]["low"] <= truth[name] <= found[name]["high"]
    assert all(count >= 178 for count in inside.values()), inside  # below it one in two thousand lies


def test_the_estimate_is_the_expectation():
    risk = np.array([0.1] * 30 + [0.4] * 20 + [0.8] * 10)
    found = estimate(counted(risk))
    p = {0.1: 30, 0.4: 20, 0.8: 10}
    positives = sum(one * count for one, count in p.items())
    negatives = 60 - positives
    pairs = sum(
        a * p[a] * (1 - b) * p[b] * (1.0 if b < a else 0.5 if a == b else 0.0) for a in p for b in p
    )  # of a positive above a negative, ties half
    assert found["prevalence"]["value"] == pytest.approx(positives / 60, abs=0.004)
    assert found["brier"]["value"] == pytest.approx(sum(n * a * (1 - a) for a, n in p.items()) / 60, abs=0.004)
    assert found["auroc"]["value"] == pytest.approx(pairs / (positives * negatives), abs=0.004)


def test_a_calibration_that_is_less_sure_makes_the_interval_wider():
    risk = np.random.default_rng(0).beta(1, 4, 5000)
    sure, unsure = estimate(counted(risk)), estimate(counted(risk), (0.04, 0.01, 0.0))
    for name in ("auroc", "brier", "prevalence"):
        assert unsure[name]["high"] - unsure[name]["low"] > 1.2 * (sure[name]["high"] - sure[name]["low"])


def test_no_case_has_no_estimate():
    assert estimate(np.zeros(SCORE_CELLS, np.int64))["auroc"] == {"value": None, "low": None, "high": None}


def test_one_case_has_a_risk_and_no_auroc():
    found = estimate(counted(np.array([0.3])))
    assert found["prevalence"]["value"] == pytest.approx(0.3, abs=0.01)
    assert found["auroc"]["low"] is None
