import json
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from medspark.errors import InputError
from medspark.evaluate import bootstrap
from medspark.evaluate.curves import curves, wilson
from medspark.evaluate.logistic import logit, sigmoid
from medspark.evaluate.metrics import at_thresholds, intervals, performance
from medspark.evaluate.ranked import METRICS
from medspark.evaluate.smooth import ERRORS


def cases(n: int = 2000, seed: int = 0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1.5, 1, n)
    return rng.random(n) < sigmoid(slope * logits), sigmoid(logits)


weighted_cases = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]) | st.floats(0, 1), st.integers(0, 3)),
    min_size=2,
    max_size=40,
).filter(lambda rows: {label for label, _, weight in rows if weight} == {True, False})


@given(weighted_cases)
def test_weighted_metrics_are_those_of_scikit_learn_ties_included(rows):
    y, p, w = (np.array(column) for column in zip(*rows, strict=True))
    found = performance(y, p, w)
    assert found["auroc"] == pytest.approx(roc_auc_score(y, p, sample_weight=w))
    assert found["auprc"] == pytest.approx(average_precision_score(y, p, sample_weight=w))
    assert found["brier"] == pytest.approx(brier_score_loss(y, p, sample_weight=w, pos_label=True))
    assert found["log_loss"] == pytest.approx(log_loss(y, p, sample_weight=w, labels=[False, True]), abs=1e-12)


@given(weighted_cases)
@example([(False, 2.2e-311, 1), (True, 0.0, 1)])
def test_what_is_made_of_means_is_the_means(rows):
    y, p, w = (np.array(column) for column in zip(*rows, strict=True))
    found = performance(y, p, w)
    prevalence, mean = np.average(y, weights=w), np.average(p, weights=w)
    can_be_told = mean > prevalence / np.finfo(float).max  # beyond, the ratio is no finite number
    assert found["observed_expected"] == (pytest.approx(prevalence / mean) if can_be_told else None)
    assert found["sharpness"] == pytest.approx(np.average((p - mean) ** 2, weights=w) ** 0.5, abs=1e-12)
    null = brier_score_loss(y, np.full(len(y), prevalence), sample_weight=w, pos_label=True)
    assert found["scaled_brier"] == pytest.approx(1 - found["brier"] / null)


@given(weighted_cases)
def test_an_integer_weight_is_the_case_written_so_often(rows):
    y, p, w = (np.array(column) for column in zip(*rows, strict=True))
    repeated = performance(np.repeat(y, w), np.repeat(p, w))
    for name, value in performance(y, p, w).items():
        assert value == (None if repeated[name] is None else pytest.approx(repeated[name], abs=1e-6, rel=1e-5))


@pytest.mark.parametrize("slope", [0.4, 1.0, 2.5])
def test_the_calibration_slope_is_an_unpenalised_logistic_regression(slope):
    y, p = cases(slope=slope)
    peer = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], y)
    assert performance(y, p)["calibration_slope"] == pytest.approx(peer.coef_[0, 0], rel=1e-4)


@pytest.mark.parametrize("shift", [-2.0, 0.0, 1.0])
def test_the_calibration_intercept_is_the_shift_that_makes_the_mean_risk_right(shift):
    y, p = cases()
    p = sigmoid(logit(p) + shift)
    intercept = performance(y, p)["calibration_intercept"]
    assert sigmoid(logit(p) + intercept).mean() == pytest.approx(y.mean(), abs=1e-9)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("n", [1, 5])
def test_one_outcome_has_no_ranking_and_no_calibration_but_an_error(label, n):
    found = performance(np.full(n, label), np.full(n, 0.3))
    assert found["brier"] == pytest.approx((label - 0.3) ** 2)
    there = {"brier", "log_loss", "observed_expected", "sharpness"}
    assert {name for name, value in found.items() if value is None} == set(METRICS) - there
    assert found["observed_expected"] == pytest.approx(label / 0.3)


def test_no_case_has_no_metric():
    assert performance(np.array([]), np.array([])) == dict.fromkeys(METRICS)
    assert intervals(np.array([]), np.array([]), np.array([]), 10, 0) == dict.fromkeys(METRICS)


def test_equal_risks_rank_by_chance_and_have_no_slope():
    found = performance(np.array([0, 1, 0, 1]), np.full(4, 0.5))
    assert found["auroc"] == 0.5
    assert found["auprc"] == 0.5
    assert found["calibration_slope"] is None
    assert found["calibration_intercept"] == pytest.approx(0)


def test_perfect_risks_of_0_and_1_stay_finite():
    found = performance(np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0]))
    assert (found["auroc"], found["brier"], found["calibration_slope"]) == (1.0, 0.0, None)
    assert found["log_loss"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("label", "risk", "message"),
    [
        ([0, 1], [0.5, np.nan], "1 of 2"),
        ([0, 1], [0.5, 1.5], "1 of 2"),
        ([0, 2], [0.5, 0.5], "labels of 0 and 1"),
        ([0, np.nan], [0.5, 0.5], "labels of 0 and 1"),
        ([0], [0.5, 0.5], "one risk for each label"),
    ],
)
@pytest.mark.parametrize("function", [performance, curves, lambda y, p: at_thresholds(y, p, {})])
def test_what_is_no_label_or_no_risk_is_refused(function, label, risk, message):
    with pytest.raises(InputError, match=message):
        function(np.array(label), np.array(risk))


def test_weights_below_zero_are_refused():
    with pytest.raises(InputError, match="weight"):
        performance(np.array([0, 1]), np.array([0.1, 0.9]), np.array([1, -1]))


# ---------------------------------------------------------------- intervals


def test_intervals_hold_the_value_and_repeat_with_the_seed():
    y, p = cases()
    subject = np.arange(len(y)) // 2
    first, again, other = (intervals(y, p, subject, 100, seed) for seed in (1, 1, 2))
    assert first == again != other
    values = performance(y, p)
    for name in sorted(set(METRICS) - set(ERRORS)):
        assert first[name][0] < values[name] < first[name][1], name
    for name in ERRORS:  # a resample has the noise of another, so that its distances are larger
        assert 0 < first[name][0] < first[name][1], name


def test_intervals_come_in_pieces_without_changing(monkeypatch):
    y, p = cases(500)
    whole = intervals(y, p, np.arange(500), 30, 0)
    monkeypatch.setattr(bootstrap, "CHUNK_CELLS", 3500)
    pieces = intervals(y, p, np.arange(500), 30, 0)
    assert all(whole[name] == pytest.approx(pieces[name], rel=1e-6) for name in METRICS)


def test_the_auroc_interval_covers_like_the_textbook_says():
    y, p = cases(3000)
    low, high = intervals(y, p, np.arange(3000), 400, 0)["auroc"]
    positives, auroc = int(y.sum()), performance(y, p)["auroc"]
    q1, q2 = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    others = len(y) - positives
    variance = (auroc * (1 - auroc) + (positives - 1) * (q1 - auroc**2) + (others - 1) * (q2 - auroc**2)) / (
        positives * others
    )  # Hanley and McNeil 1982
    assert high - low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.15)


def test_patients_with_many_cases_widen_the_interval():
    y, p = cases(400)
    y, p, patient = np.repeat(y, 10), np.repeat(p, 10), np.repeat(np.arange(400), 10)
    by_patient = intervals(y, p, patient, 100, 0)["auroc"]
    by_case = intervals(y, p, np.arange(4000), 100, 0)["auroc"]
    assert np.ptp(by_patient) > 2 * np.ptp(by_case)


def test_an_interval_is_none_where_too_few_resamples_have_a_value():
    found = intervals(np.array([0, 1]), np.array([0.2, 0.8]), np.array(["a", "b"]), 50, 0)
    assert found["auroc"] is None
    assert found["brier"] is not None


def test_rounding_of_large_sets_does_not_show(monkeypatch):
    y, p = cases(3000)
    exact = intervals(y, p, np.arange(3000), 50, 0)
    monkeypatch.setattr(bootstrap, "EXACT_CASES", 100)
    rounded = intervals(y, p, np.arange(3000), 50, 0)
    assert all(rounded[name] == pytest.approx(exact[name], abs=2e-3) for name in METRICS)


def test_300_resamples_of_20_000_cases_are_quick():
    y, p = cases(20_000)
    start = time.process_time()
    intervals(y, p, np.arange(20_000) // 2, 300, 0)
    assert time.process_time() - start < 30  # about 2 on one free core


# ---------------------------------------------------------------- curves and thresholds


def test_curves_are_json_of_at_most_200_points_with_both_ends():
    y, p = cases(20_000)
    drawn = json.loads(json.dumps(curves(y, p), allow_nan=False))
    roc = drawn["roc"]
    assert len(roc["fpr"]) == len(roc["tpr"]) <= 200
    assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(roc_auc_score(y, p), abs=1e-3)
    assert len(drawn["precision_recall"]["recall"]) <= 200


def test_calibration_bins_are_tenths_with_all_cases():
    y, p = cases(20_000)
    bins = curves(y, p)["calibration"]
    assert [group["n"] for group in bins] == [2000] * 10
    assert all(group["low"] < group["observed"] < group["high"] for group in bins)


@given(st.integers(0, 400), st.integers(0, 10**6))
def test_no_curve_shows_a_count_of_1_to_10(n, seed):
    y, p = cases(n, seed)
    drawn = curves(y, np.round(p, 2))
    bars = drawn["histogram"]["negative"] + drawn["histogram"]["positive"]
    assert not {bar for bar in bars if bar} & set(range(1, 11))
    for group in drawn["calibration"]:
        positives = round(group["observed"] * group["n"])
        assert min(positives, group["n"] - positives) >= 11


@pytest.mark.parametrize("label", [[], [1], [0, 0]])
def test_curves_of_one_outcome_are_empty(label):
    drawn = curves(np.array(label), np.full(len(label), 0.4))
    assert drawn["roc"] == {"fpr": [], "tpr": []}
    assert drawn["calibration"] == []


def test_wilson_is_the_published_interval():
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(0, 20)[0] == 0
    assert wilson(20, 20)[1] == 1


def test_thresholds_count_by_hand():
    y, p = np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.2, 0.5, 0.6, 1.0])
    low, raised, high = at_thresholds(y, p, {"high": 0.6, "raised": 0.2})
    assert (low["band"], low["from"], low["to"], low["n"], low["observed"]) == ("low", 0.0, 0.2, 1, 0.0)
    assert (low["flagged"], low["sensitivity"], low["specificity"], low["npv"]) == (6, 1.0, 0.0, None)
    assert (raised["n"], raised["observed"]) == (3, pytest.approx(1 / 3))
    assert (raised["flagged"], raised["ppv"], raised["npv"]) == (5, pytest.approx(3 / 5), 1.0)
    assert (high["n"], high["sensitivity"], high["specificity"]) == (2, pytest.approx(2 / 3), 1.0)
    assert low["n"] + raised["n"] + high["n"] == 6


def test_a_band_without_cases_has_shares_of_none():
    high = at_thresholds(np.array([0, 1]), np.array([0.1, 0.2]), {"high": 0.9})[-1]
    assert (high["n"], high["observed"], high["ppv"], high["sensitivity"]) == (0, None, None, 0.0)


def test_no_bands_give_no_rows():
    assert at_thresholds(np.array([0, 1]), np.array([0.1, 0.2]), {}) == []


@pytest.mark.parametrize(("n", "bars"), [(20_000, 40), (900, 20), (60, 5)])
def test_the_histogram_of_few_cases_has_few_bars_so_that_most_cases_are_in_one_that_shows(n, bars):
    y, p = cases(n)
    drawn = curves(y, p)["histogram"]
    assert len(drawn["edges"]) == bars + 1
    shown = sum(count or 0 for count in drawn["positive"])
    assert n < 100 or shown >= 0.8 * y.sum()
