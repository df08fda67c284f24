import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from medspark.errors import InputError
from medspark.evaluate.censoring import Truth
from medspark.evaluate.logistic import logistic_regression, sigmoid, softmax
from medspark.score.worker.calibration import (
    Calibration,
    TargetCalibrations,
    apply_calibration,
    apply_calibrations,
    of_one,
)
from medspark.task.outcome import Targets
from medspark.train.calibrate import Learned, fit_calibration, fit_calibrations, levelled

METHODS = ["platt", "isotonic", "none"]


def outcomes(seed: int = 0, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, n)
    return logit, (rng.random(n) < sigmoid(0.6 * logit - 0.4)).astype(int)


def test_platt_finds_the_slope_and_intercept_that_made_the_outcomes():
    calibration = fit_calibration("platt", *outcomes(n=40_000))
    assert calibration.slope == pytest.approx(0.6, abs=0.03)
    assert calibration.intercept == pytest.approx(-0.4, abs=0.04)


def test_platt_is_the_logistic_regression_of_scikit_learn_shrunk_by_its_likelihood_ratio():
    logit, label = outcomes(n=1000)
    peer = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(logit[:, None], label)
    said, fitted = sigmoid(logit), peer.predict_proba(logit[:, None])[:, 1]
    ratio = 2 * 1000 * (log_loss(label, said) - log_loss(label, fitted))
    kept = 1 - 5.99 / ratio  # 5.99: 95 in 100 likelihood ratios of two parameters that are not needed are below
    calibration = fit_calibration("platt", logit, label)
    assert 0.8 < kept < 1
    assert calibration.slope == pytest.approx(1 + kept * (peer.coef_[0, 0] - 1), rel=5e-3)
    assert calibration.intercept == pytest.approx(kept * peer.intercept_[0], rel=5e-3)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@pytest.mark.parametrize("cases", [404, 3636])
@pytest.mark.parametrize(
    ("steepness", "shift"), [(0.5, 0), (0.7, 0), (1.0, 0), (1.5, 0), (2.0, 0), (1.0, 0.5), (1.0, 1.8)]
)
def test_over_20_seeds_calibration_improves_or_keeps_the_brier_score_and_does_not_move_the_level(
    method, cases, steepness, shift
):
    """Of stays of which 14 in 100 died, with logits too flat, too steep, too high or right, against none at all."""
    change, moved, off, was_off = [], [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = rng.normal(-2.3, 1.3, cases + 20_000)
        label = (rng.random(len(true)) < sigmoid(true)).astype(int)
        logit = -2.3 + steepness * (true + 2.3) + shift
        unseen = slice(cases, None)
        died = label[unseen]
        before, after = (
            sigmoid(logit[unseen]),
            apply_calibration(fit_calibration(method, logit[:cases], label[:cases]), logit[unseen]),
        )
        change.append(((after - died) ** 2).mean() - ((before - died) ** 2).mean())
        for found, gap in ((moved, after - before), (off, after - died), (was_off, before - died)):
            found.append(abs(gap.mean()))
    uncertain = np.sqrt(0.14 * 0.86 / cases)  # the standard error of the share that died
    if (steepness, shift) == (1.0, 0):
        assert np.mean(change) < 0.0002, "kept: the score is .095"
        assert max(moved) < 1.96 * uncertain, "never by more than its own uncertainty"
    else:
        assert np.mean(change) < -0.0003, "improved"
        assert np.mean(off) < np.mean(was_off)
    assert np.mean(off) < 2 * uncertain
    assert (np.array(off) <= np.maximum(was_off, 3 * uncertain)).all()


def bent(n, seed=0):
    """Logits that are right below the middle and three too high above: no line mends them."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1, 1.5, n)
    return np.where(true < -1, true, true + 3), (rng.random(n) < sigmoid(true)).astype(int)


def test_isotonic_takes_steps_only_where_enough_cases_show_that_no_line_will_do():
    assert fit_calibration("isotonic", *bent(4000)).method == "isotonic"
    assert fit_calibration("isotonic", *bent(100)).method == "platt"
    assert fit_calibration("isotonic", *outcomes(n=4000)).method == "platt", "a line made these"


def test_steps_are_no_worse_than_the_line_where_no_line_will_do():
    gain = []
    for seed in range(10):
        logit, label = bent(1404, seed)
        known, unseen = slice(0, 1000), slice(1000, None)
        by = {method: fit_calibration(method, logit[known], label[known]) for method in ("platt", "isotonic")}
        lost = {name: ((apply_calibration(one, logit[unseen]) - label[unseen]) ** 2).mean() for name, one in by.items()}
        gain.append(lost["platt"] - lost["isotonic"])
    assert np.mean(gain) > 0.001


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_few_new_cases_leave_the_calibration_in_use_and_many_that_refute_it_do_not(method):
    used = Calibration("platt", slope=0.8, intercept=-0.5)
    rng = np.random.default_rng(0)
    logit = rng.normal(-1, 1.5, 4000)
    label = (rng.random(4000) < apply_calibration(used, logit)).astype(int)
    nights = [slice(at, at + 200) for at in range(0, 4000, 200)]
    kept = [fit_calibration(method, logit[night], label[night], old=used) for night in nights]
    assert sum((one.slope, one.intercept) == (used.slope, used.intercept) for one in kept) >= 17, "of 20"
    assert fit_calibration(method, logit, label, old=used) == used
    others = (rng.random(4000) < sigmoid(logit + 1)).astype(int)
    found = apply_calibration(fit_calibration(method, logit, others, old=used), logit)
    assert found.mean() == pytest.approx(others.mean(), abs=0.01)


def test_steps_in_use_stay_where_new_cases_do_not_refute_them():
    used = fit_calibration("isotonic", *bent(4000))
    assert fit_calibration("isotonic", *bent(300, seed=1), old=used) == used
    assert fit_calibration("isotonic", *outcomes(n=4000), old=used) != used


def test_a_calibrated_networks_risks_are_not_changed():
    rng = np.random.default_rng(0)
    logit = rng.normal(-1, 1.5, 4000)
    calibration = fit_calibration("platt", logit, (rng.random(4000) < sigmoid(logit)).astype(int))
    assert (calibration.slope, calibration.intercept) == (1.0, 0.0)


def test_isotonic_never_falls_and_stays_away_from_0_and_1():
    logit, label = bent(4000)
    calibration = fit_calibration("isotonic", logit, label)
    risks = apply_calibration(calibration, np.linspace(-50, 50, 1001))
    assert (np.diff(risks) >= 0).all()
    assert 0 < risks[0] < 0.01
    assert 0.9 < risks[-1] < 1
    assert apply_calibration(calibration, logit).mean() == pytest.approx(label.mean(), abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_a_calibration_survives_json_to_the_last_bit(method):
    calibration = fit_calibration(method, *bent(4000))
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


@pytest.mark.parametrize("method", METHODS)
@given(cut=st.integers(0, 257))
def test_where_a_batch_ends_changes_no_bit(method, cut):
    calibration = fit_calibration(method, *bent(4000))
    logit = np.random.default_rng(1).normal(0, 4, 257).astype(np.float32)
    whole = apply_calibration(calibration, logit)
    parts = [apply_calibration(calibration, part) for part in (logit[:cut], logit[cut:])]
    assert whole.dtype == np.float64
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(whole[::2], apply_calibration(calibration, logit[::2]))


@pytest.mark.parametrize("method", METHODS)
def test_a_nan_or_infinite_logit_harms_only_itself(method):
    calibration = fit_calibration(method, *bent(4000))
    risks = apply_calibration(calibration, np.array([np.nan, 0.5, 1e9, -1e9]))
    assert np.isnan(risks[0])
    assert np.isfinite(risks[1:]).all()


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@pytest.mark.parametrize("label", [[0, 0], [1, 1], []])
def test_one_outcome_alone_can_not_calibrate(method, label):
    with pytest.raises(InputError, match="both outcomes"):
        fit_calibration(method, np.arange(len(label)), np.array(label))


def test_a_nan_logit_is_refused_when_fitting():
    with pytest.raises(InputError, match="1 that are not"):
        fit_calibration("platt", np.array([0.0, np.nan]), np.array([0, 1]))


def test_platt_has_a_finite_answer_for_outcomes_that_the_logit_separates():
    calibration = fit_calibration("platt", np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1]))
    assert (calibration.slope, calibration.intercept) == (1.0, 0.0), "four cases say little"
    many = fit_calibration("platt", np.tile([1.0, 2.0, 3.0, 4.0], 50), np.tile([0, 0, 1, 1], 50))
    assert 5 < many.slope < 100
    assert many.intercept == pytest.approx(-2.5 * many.slope, rel=0.1)


def test_equal_logits_learn_the_level_alone():
    calibration = fit_calibration("platt", np.full(4000, 2.0), np.tile([0, 0, 0, 1], 1000))
    assert calibration.slope == 1.0
    assert apply_calibration(calibration, np.array([2.0]))[0] == pytest.approx(0.25, abs=0.001)


def test_newton_gives_nan_where_no_finite_answer_exists():
    design = np.column_stack([np.ones(4), np.arange(4.0)])
    positive = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], dtype=float)
    beta = logistic_regression(design, np.zeros(4), positive, np.ones((2, 4)))
    assert np.isnan(beta[0]).all()
    assert np.isfinite(beta[1]).all()


CLASSES = Targets("classes", ("a", "b", "c"))


def drawn_classes(n=30_000, seed=0):
    """Logits that are twice too steep and a class that is rated too rarely, with the true probabilities."""
    rng = np.random.default_rng(seed)
    true = softmax(rng.normal(size=(n, 3)))
    label = np.eye(3)[(rng.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1)]
    return 2 * np.log(true) + [0.0, 0.0, -1.5], Truth(label, np.ones_like(label)), true


def test_classes_are_calibrated_together():
    logit, truth, true = drawn_classes()
    found = fit_calibrations(CLASSES, "platt", logit, truth)
    assert len({part.slope for part in found.parts}) == 1
    assert np.abs(apply_calibrations(found, logit) - true).max() < 0.03
    assert np.abs(apply_calibrations(found, logit).sum(axis=1) - 1).max() < 1e-12
    assert TargetCalibrations.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_each_of_several_is_calibrated_where_it_is_known():
    logit, label = outcomes(n=20_000)
    unknown = np.full(len(label), np.nan)
    unknown[:5000] = label[:5000]
    both = np.stack([label, unknown], axis=1).astype(float)
    truth = Truth(both, np.isfinite(both).astype(float))
    found = fit_calibrations(Targets("several", ("a", "b")), "platt", np.stack([logit, logit], axis=1), truth)
    assert found.parts[0] == fit_calibration("platt", logit, label)
    assert found.parts[1] == fit_calibration("platt", logit[:5000], label[:5000])


def test_a_case_of_weight_two_calibrates_as_two_cases():
    logit, label = outcomes(n=4000)
    weight = np.where(np.arange(4000) % 2, 2.0, 1.0)
    twice = np.repeat(np.arange(4000), weight.astype(int))
    one = fit_calibration("platt", logit, label, weight)
    two = fit_calibration("platt", logit[twice], label[twice])
    assert (one.slope, one.intercept) == pytest.approx((two.slope, two.intercept), abs=0.02)


def members_of(true, seed, off=-0.1, noise=0.8):
    """Logits (n, 8, k) of members that say too little, each with noise of its own, and outcomes (n, k)."""
    rng = np.random.default_rng(seed)
    each = true[:, None] + off + rng.normal(size=(len(true), 8, true.shape[1])) * noise
    return each, (rng.random(true.shape) < sigmoid(true)).astype(float)


def test_the_network_has_the_level_of_the_outcomes_though_shrinking_and_the_mean_of_members_lower_it():
    true = np.random.default_rng(1).normal(-2.2, 1.2, (40_000, 1))
    each, label = members_of(true, 2)
    truth, held_out = Truth(label, np.ones_like(label)), each[np.arange(40_000), np.arange(40_000) % 8]
    before = fit_calibrations(of_one(Calibration("none")).targets, "platt", held_out, truth)
    after = levelled(before, held_out, Learned(each, each.mean(axis=1)), truth)
    fresh, came = members_of(np.random.default_rng(3).normal(-2.2, 1.2, (40_000, 1)), 4)
    less, now = (apply_calibrations(found, fresh.mean(axis=1)).mean() - came.mean() for found in (before, after))
    assert less < -0.008
    assert abs(now) < 0.004
    assert after.parts[0].slope == before.parts[0].slope


def test_where_members_agree_the_mean_risk_is_the_share_with_the_outcome():
    logit, label = outcomes(n=2_000)
    each, truth = np.repeat(logit[:, None, None], 3, axis=1), Truth(label[:, None].astype(float), np.ones((2_000, 1)))
    for slope in (0.2, 1.0, 3.0):
        found = levelled(
            of_one(Calibration("platt", slope, -0.7)), logit[:, None], Learned(each, logit[:, None]), truth
        )
        assert apply_calibrations(found, logit[:, None]).mean() == pytest.approx(label.mean(), abs=1e-6)


def test_each_of_several_has_the_level_of_the_cases_where_it_is_known():
    logit, label = outcomes(n=6_000)
    known = np.stack([np.ones(6_000), label | (np.arange(6_000) % 3 == 0)], axis=1).astype(float)
    truth = Truth(np.where(known > 0, label[:, None], np.nan), known)
    both = np.stack([logit, logit], axis=1)
    before = TargetCalibrations(Targets("several", ("a", "b")), (Calibration("platt"),) * 2)
    risk = apply_calibrations(levelled(before, both, Learned(both[:, None], both), truth), both)
    for at in range(2):
        seen = known[:, at] > 0
        assert risk[seen, at].mean() == pytest.approx(label[seen].mean(), abs=1e-6)


def test_classes_have_the_level_that_they_come_with():
    logit, truth, _ = drawn_classes()
    before = TargetCalibrations(CLASSES, (Calibration("platt", 0.5),) * 3)
    after = levelled(before, logit, Learned(logit[:, None], logit), truth)
    assert np.abs(apply_calibrations(after, logit).mean(axis=0) - truth.label.mean(axis=0)).max() < 1e-6
    assert after.parts[0].intercept == 0


STEPS = Calibration("isotonic", knots_x=(-2.0, 1.0), knots_y=(0.1, 0.4))


@pytest.mark.parametrize("kept", [STEPS, Calibration("none")])
def test_steps_and_no_calibration_keep_their_level(kept):
    logit, label = outcomes()
    truth = Truth(label[:, None].astype(float), np.ones((len(label), 1)))
    assert levelled(of_one(kept), logit[:, None], Learned(logit[:, None, None], logit[:, None]), truth) == of_one(kept)
