"""What became of the cases, night by night and by subgroup."""

import numpy as np
import pytest

from medspark.evaluate.metrics import performance
from medspark.monitor.outcomes import by_group, by_period
from medspark.monitor.verdict import findings_of_outcomes


def drawn(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    risk = rng.beta(1, 3, n)
    return (rng.random(n) < risk).astype(int), risk, np.arange(n) // 2, rng.choice(["north", "south", "west"], n)


def test_each_period_has_its_own_figures_with_intervals_around_them():
    label, risk, subject, _ = drawn()
    period = np.repeat(["2026-01", "2026-02"], 1500)
    one, other = by_period(period, label, risk, subject, resamples=50)
    assert (one.name, one.cases, one.positives) == ("2026-01", 1500, int(label[:1500].sum()))
    assert other.figures["auroc"]["value"] == performance(label[1500:], risk[1500:])["auroc"]
    assert all(found["low"] <= found["value"] <= found["high"] for found in one.figures.values())


@pytest.mark.parametrize(
    ("label", "why"),
    [([1, 0] * 20, "fewer than 50 cases"), ([0] * 95 + [1] * 5, "fewer than 11 cases with, or without, the outcome")],
)
def test_of_few_cases_nothing_is_said_but_why(label, why):
    (found,) = by_period(np.full(len(label), "now"), np.array(label), np.full(len(label), 0.3), np.arange(len(label)))
    assert (found.figures, found.reason) == ({}, why)


def outcomes_of(label, risk, subject, site):
    (whole,) = by_period(np.full(len(label), "all"), label, risk, subject, resamples=100)
    return findings_of_outcomes(whole, by_group("site", site, label, risk, subject, resamples=100))


def test_a_model_that_is_blind_for_one_site_stops_and_the_site_is_named():
    label, risk, subject, site = drawn()
    west = site == "west"
    label = np.where(west, np.random.default_rng(1).random(len(label)) < 0.25, label).astype(int)
    (found,) = outcomes_of(label, risk, subject, site)
    assert (found.column, found.level, found.measure, found.verdict) == ("site", "west", "auroc", "stop")
    assert found.sentence.endswith("no better than chance there")


def test_a_model_that_is_as_good_everywhere_has_no_finding():
    assert outcomes_of(*drawn()) == []


def test_outcomes_of_one_kind_alone_have_no_finding():
    label, risk, subject, site = drawn(200)
    assert outcomes_of(np.zeros_like(label), risk, subject, site) == []
