"""Acting on risks: net benefit beside its definition, alerts beside sorting, and what is too few to be shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from medspark.evaluate.bootstrap import over_resamples, sample_of, whole
from medspark.evaluate.decisions import (
    RATES,
    THRESHOLDS,
    alerts,
    decision_curve,
    decision_figures,
    found_at_rates,
    net_benefit,
    treat_all,
)
from medspark.evaluate.logistic import sigmoid
from medspark.evaluate.metrics import at_thresholds


def cases(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1.5, 1.2, n)
    return rng.random(n) < sigmoid(log_odds), sigmoid(log_odds)


def weights_of(y, p, weight=None):
    sample = sample_of(y, p, np.arange(len(y)), weight, exact=True)
    every = whole(sample)
    return sample.risk, every.positive[:, 0], every.negative[:, 0]


def spread_of(sample, resamples=20, seed=0):
    return over_resamples(sample, resamples, seed, lambda drawn: decision_figures(sample.risk, drawn))


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.5, 0.83])
def test_net_benefit_is_true_positives_less_false_ones_at_the_odds_of_the_threshold(threshold):
    y, p = cases()
    found = net_benefit(*weights_of(y, p), np.array([threshold]))[0, 0]
    treated = p >= threshold
    odds = threshold / (1 - threshold)
    assert found == pytest.approx((treated & y).mean() - (treated & ~y).mean() * odds)
    (band,) = at_thresholds(y, p, {"high": threshold})[1:]
    assert band["net_benefit"] == pytest.approx(found)


def test_treating_everybody_is_worth_nothing_at_the_prevalence():
    y, p = cases()
    _, positive, negative = weights_of(y, p)
    assert treat_all(positive, negative, np.array([y.mean()]))[0, 0] == pytest.approx(0)
    everybody = net_benefit(np.array([1.0]), positive.sum(1)[:, None], negative.sum(1)[:, None], np.array([0.3]))
    assert everybody == pytest.approx(treat_all(positive, negative, np.array([0.3])))


def test_perfect_risks_are_worth_the_prevalence_at_every_threshold():
    y, _ = cases()
    found = net_benefit(*weights_of(y, y.astype(float)), np.array(THRESHOLDS))
    assert found[0] == pytest.approx(np.full(len(THRESHOLDS), y.mean()))


@given(st.integers(2, 60), st.integers(0, 10**6), st.sampled_from(THRESHOLDS))
def test_a_weight_is_the_case_written_so_often(n, seed, threshold):
    rng = np.random.default_rng(seed)
    y, p, w = rng.random(n) < 0.5, np.round(rng.random(n), 1), rng.integers(1, 4, n)
    at = np.array([threshold])
    once = net_benefit(*weights_of(y, p, w), at)
    often = net_benefit(*weights_of(np.repeat(y, w), np.repeat(p, w)), at)
    assert once == pytest.approx(often)


def test_recall_and_precision_at_a_rate_are_those_of_the_highest_risks():
    y, p = cases(20_000)
    rows = alerts(sample_of(y, p, np.arange(len(y)), exact=True), spread_of(sample_of(y, p, np.arange(len(y)))))
    assert [row["rate"] for row in rows] == list(RATES)
    for row in rows:
        flagged = np.zeros(len(y), bool)
        flagged[np.argsort(-p)[: round(row["rate"] * len(y))]] = True
        assert row["recall"]["value"] == pytest.approx(recall_score(y, flagged))
        assert row["precision"]["value"] == pytest.approx(precision_score(y, flagged))
        assert row["from"] == pytest.approx(p[flagged].min())
        assert row["recall"]["low"] < row["recall"]["value"] < row["recall"]["high"]


def test_of_equal_risks_at_the_end_as_many_are_found_as_by_chance():
    y, p = np.array([1, 0, 1, 0, 0, 0], bool), np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.1])
    _, positive, negative = weights_of(y, p)
    assert found_at_rates(positive, negative, np.array([2 / 6, 3 / 6, 1.0]))[0] == pytest.approx([1.25, 1.5, 2.0])


def test_alerts_are_counted_by_patient_not_by_case():
    y, p = cases()
    sample = sample_of(y, p, np.arange(len(y)) // 4, exact=True)
    rows = alerts(sample, spread_of(sample))
    assert [row["alerts_per_100_patients"] for row in rows] == pytest.approx([400 * rate for rate in RATES])


def test_what_a_small_count_would_show_is_none_with_the_reason():
    y, p = cases(400)
    sample = sample_of(y, p, np.arange(len(y)), exact=True)
    first, *_, last = alerts(sample, spread_of(sample))  # 4 and 80 alerts
    assert (first["recall"]["value"], first["precision"]["value"]) == (None, None)
    assert first["reason"] == "a count below 11 is not shown"
    assert (last["reason"], last["recall"]["value"] is None) == (None, False)
    curve = decision_curve(sample, spread_of(sample))
    for at, threshold in enumerate(THRESHOLDS):
        treated = p >= threshold
        counts = [(treated & y).sum(), (treated & ~y).sum(), (~treated & y).sum(), (~treated & ~y).sum()]
        hidden = any(0 < count < 11 for count in counts)
        assert (curve["value"][at] is None) == hidden
        assert (curve["low"][at] is None) == hidden
    assert None in curve["value"]
    assert any(value is not None for value in curve["value"])


def test_a_decision_curve_has_the_model_between_its_limits_and_both_other_ways():
    y, p = cases(20_000)
    exact, sample = (sample_of(y, p, np.arange(len(y)), exact=exact) for exact in (True, False))
    curve = decision_curve(exact, spread_of(sample, 100))
    assert curve["none"] == [0.0] * 99
    at = curve["threshold"].index(0.2)
    assert curve["low"][at] < curve["value"][at] < curve["high"][at]
    assert curve["value"][at] > max(0.0, curve["all"][at])


def test_of_one_outcome_alone_recall_is_absent_with_the_reason():
    y, p = np.zeros(2000, bool), cases(2000)[1]
    sample = sample_of(y, p, np.arange(2000), exact=True)
    rows = alerts(sample, spread_of(sample))
    assert {row["reason"] for row in rows} == {"no case has the outcome"}
    assert {row["recall"]["value"] for row in rows} == {None}
    assert {row["precision"]["value"] for row in rows} == {0.0}
