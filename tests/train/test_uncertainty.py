import numpy as np
import pytest

from medspark.evaluate.logistic import sigmoid
from medspark.score.worker.uncertainty import conformal_band, interval_of
from medspark.task.training import Scoring
from medspark.train.uncertainty import conformal_ends, fit_uncertainty, tail_of, venn_abers


def cases(n, seed=0, level=-1.0):
    rng = np.random.default_rng(seed)
    p = sigmoid(rng.normal(level, 1.2, n))
    return p, rng.random(n) < p, np.ones(n)


def test_one_of_the_two_ends_is_calibrated_and_they_lie_close_where_cases_are_many():
    found = venn_abers(*cases(20_000))
    assert found is not None
    p, y, _ = cases(50_000, seed=1)
    low, high = interval_of(found, p)
    for at in np.array_split(np.argsort(p), 10):
        assert low[at].mean() - 0.015 <= y[at].mean() <= high[at].mean() + 0.015
    assert np.median(high - low) < 0.02


def test_the_ends_are_isotonic_regressions_with_one_case_more_without_and_with_the_outcome():
    p = np.repeat([0.2, 0.6], 40)
    y = np.concatenate([np.arange(40) < 11, np.arange(40) < 25])
    found = venn_abers(p, y, np.ones(80))
    assert found is not None
    assert found.edges == (0.4,)
    assert found.low == pytest.approx((11 / 41, 25 / 41))
    assert found.high == pytest.approx((12 / 41, 26 / 41))


@pytest.mark.parametrize("positives", [0, 10, 70, 80])
def test_there_is_no_interval_of_fewer_than_eleven_cases_of_an_outcome(positives):
    assert venn_abers(np.linspace(0, 1, 80), np.arange(80) < positives, np.ones(80)) is None


def test_no_group_has_fewer_than_eleven_cases_of_an_outcome():
    p, y, w = cases(3_000, level=-3.0)
    found = venn_abers(p, y, w)
    assert found is not None
    group = np.searchsorted(found.edges, p, side="right")
    each = [np.bincount(group, found_, minlength=len(found.low)) for found_ in (y, ~y)]
    assert np.min(each) >= 11
    assert len(found.low) > 3


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_what_came_true_is_left_open_as_often_as_stated_of_each_outcome_alone(coverage):
    """Over 200 draws of 300 held-out cases; the mean is what the theorem is about."""
    covered = []
    for seed in range(200):
        found = conformal_ends(*cases(300, seed), coverage)
        p, y, _ = cases(2_000, seed + 1000)
        band = conformal_band(found, p)
        covered.append([(band[y] != 0).mean(), (band[~y] != 2).mean()])
    assert np.mean(covered, axis=0).tolist() == pytest.approx([coverage, coverage], abs=0.01)


def test_of_too_few_cases_nothing_is_ruled_out():
    found = conformal_ends(np.array([0.9, 0.1]), np.array([True, False]), np.ones(2), 0.9)
    assert (found.likely_from, found.unlikely_to) == (0.0, 1.0)
    assert conformal_band(found, np.array([0.0, 0.5, 1.0])).tolist() == [1, 1, 1]


def test_a_tail_counts_the_cases_that_are_as_far_closest_at_the_far_end():
    found = tail_of(np.arange(1000.0))
    assert (found.cases, found.distances[-2], found.as_far[-3:]) == (1000, 999.001, (2, 1, 0))
    assert found.distances[-1] > 999.001
    assert len(found.distances) < 102
    assert [int((np.arange(1000) + 1e-3 >= d).sum()) for d in found.distances] == list(found.as_far)
    assert tail_of(np.array([])).cases == 0
    assert tail_of(np.array([np.inf, 1.0])).cases == 2


def test_cases_whose_outcome_is_not_known_say_nothing():
    p, y, w = cases(500)
    label = np.where(np.arange(500) < 400, y, np.nan)
    weight = np.where(np.arange(500) < 400, w, 0.0)
    some = fit_uncertainty(("numbers",), p[:, None], p[:400], label[:400], weight[:400], Scoring())
    assert fit_uncertainty(("numbers",), p[:, None], p, label, weight, Scoring()) == some
    assert (some.unusual_share, some.conformal and some.conformal.coverage) == (0.01, 0.9)
    assert some.absent == {"disagreement": "the network has one member"}


def test_the_task_says_how_many_may_be_flagged_and_what_is_covered():
    p, y, w = cases(500)
    asked = Scoring(unusual_share=0.002, coverage=0.8)
    found = fit_uncertainty(("disagreement", "numbers"), np.stack([p, p], 1), p, y.astype(float), w, asked)
    assert (found.unusual_share, found.conformal and found.conformal.coverage, found.absent) == (0.002, 0.8, {})
    assert list(found.tails) == ["numbers"]
