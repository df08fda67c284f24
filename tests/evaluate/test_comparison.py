"""Two models on the same patients."""

import numpy as np
import pytest

from medspark.evaluate.comparison import compared, paired_differences, verdict
from medspark.evaluate.metrics import performance, resampled


def difference(label, one, other, patients=None):
    subject = np.arange(len(label)) if patients is None else patients
    drawn = [resampled(label, risk, subject, 200, 0) for risk in (one, other)]
    return paired_differences(performance(label, one), performance(label, other), *drawn)


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(7)
    truth = rng.normal(size=2000)
    label = (rng.random(2000) < 1 / (1 + np.exp(-truth))).astype(int)
    return label, truth, rng


def risk(logit):
    return 1 / (1 + np.exp(-logit))


def test_a_loss_inside_the_networks_own_interval_is_still_told(cases):
    """A little noise costs less AUROC than the interval is wide; on the same patients it is certain."""
    label, truth, rng = cases
    network, other = risk(truth + rng.normal(scale=0.35, size=len(truth))), risk(truth)
    own = np.percentile(resampled(label, network, np.arange(len(label)), 200, 0)["auroc"], [2.5, 97.5])
    assert own[0] < performance(label, other)["auroc"] < own[1], "the other's point lies in the network's interval"
    found = difference(label, network, other)
    assert verdict(found) == verdict(found, "brier") == "other"
    text = compared({"logistic_regression": {"difference": found}})["logistic_regression"]
    assert text.startswith("logistic regression ranks these patients better than the network (AUROC 0.0")


def test_the_better_network_is_named_too(cases):
    label, truth, rng = cases
    found = difference(label, risk(truth), risk(truth + rng.normal(scale=0.5, size=len(truth))))
    assert verdict(found) == verdict(found, "log_loss") == "network"


def test_a_loss_by_the_brier_score_alone_is_said(cases):
    """Risks twice too extreme rank these patients as well, and are further from what happened."""
    label, truth, rng = cases
    noise = truth + rng.normal(scale=0.02, size=len(truth))
    lost = difference(label, risk(2 * noise), risk(truth))
    assert (verdict(lost), verdict(lost, "brier")) == ("unclear", "other")
    text = compared({"logistic_regression": {"difference": lost}})["logistic_regression"]
    assert text.startswith("whether the network or logistic regression ranks these patients better cannot be told")
    assert ", but the risks of logistic regression are nearer to what happened (Brier score 0.0" in text
    won = difference(label, risk(truth), risk(2 * noise))
    assert "but the risks of the network are nearer" in compared({"it": {"difference": won}})["it"]


def test_where_ranking_and_brier_score_agree_one_of_them_is_enough(cases):
    label, truth, rng = cases
    found = difference(label, risk(truth + rng.normal(scale=0.5, size=len(truth))), risk(truth))
    assert (verdict(found), verdict(found, "brier")) == ("other", "other")
    assert "nearer" not in compared({"it": {"difference": found}})["it"]


def test_a_model_beside_itself_is_no_better(cases):
    label, truth, _ = cases
    found = difference(label, risk(truth), risk(truth))
    assert found["auroc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert verdict(found) == "unclear"
    assert "cannot be told" in compared({"itself": {"difference": found}})["itself"]


def test_with_one_outcome_only_nothing_is_said():
    label, one = np.zeros(50, int), np.full(50, 0.2)
    found = difference(label, one, one + 0.1)
    assert verdict(found) is None
    assert found["brier"]["value"] < 0
    assert compared({"other": {"difference": found}}) == {}


def test_the_same_patients_are_drawn_for_both_whatever_their_order_by_risk(cases):
    label, truth, _ = cases
    patients = np.arange(len(label)) // 4
    forth, back = (resampled(label, risk(sign * truth), patients, 50, 3)["auroc"] for sign in (1, -1))
    np.testing.assert_allclose(forth, 1 - back)
