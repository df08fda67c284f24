import numpy as np
import pytest

from medspark.evaluate.censoring import Truth
from medspark.evaluate.logistic import sigmoid
from medspark.score.worker.uncertainty import conformal_band, interval_of
from medspark.task.training import Scoring
from medspark.train.uncertainty import HeldOut, conformal_ends, fit_uncertainty, tail_of, venn_abers


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
        found = conformal_ends(*cases(300, seed), np.zeros(300), coverage)
        p, y, _ = cases(2_000, seed + 1000)
        band = conformal_band(found, p, np.zeros(2_000))
        covered.append([(band[y] != 0).mean(), (band[~y] != 2).mean()])
    assert np.mean(covered, axis=0).tolist() == pytest.approx([coverage, coverage], abs=0.01)


def test_of_too_few_cases_nothing_is_ruled_out():
    found = conformal_ends(np.array([0.9, 0.1]), np.array([True, False]), np.ones(2), np.zeros(2), 0.9)
    assert (found.likely_from, found.unlikely_to) == ((0.0,), (1.0,))
    assert conformal_band(found, np.array([0.0, 0.5, 1.0]), np.zeros(3)).tolist() == [1, 1, 1]


def blurred(n, seed):
    """Cases of whom up to 60 % is missing; the more, the less the probability says."""
    rng = np.random.default_rng(seed)
    missing = rng.choice([0.0, 0.2, 0.6], n, p=[0.4, 0.3, 0.3])
    said = rng.normal(-1.0, np.where(missing == 0.6, 0.3, 1.5))
    return sigmoid(said), rng.random(n) < sigmoid(said + rng.normal(0, missing)), np.ones(n), missing


def test_the_coverage_holds_of_those_of_whom_much_is_missing_as_of_the_others():
    covered = []
    for seed in range(100):
        found = conformal_ends(*blurred(1_000, seed), 0.9)
        p, y, _, missing = blurred(3_000, seed + 1000)
        band = conformal_band(found, p, missing)
        of_each = [
            ((band[y & at] != 0).mean(), (band[~y & at] != 2).mean()) for at in map(missing.__eq__, (0, 0.2, 0.6))
        ]
        covered.append(np.ravel(of_each))
    assert found.missing_up_to == (0.0, 0.2)
    assert np.mean(covered, axis=0) == pytest.approx(np.full(6, 0.9), abs=0.015)


@pytest.mark.parametrize(
    ("cases_of_each", "missing", "edges"),
    [
        (150, np.resize([0.0, 0.2, 0.6], 300), (0.0, 0.2)),
        (140, np.repeat([0.0, 0.2, 0.6, 0.8], 70), (0.2,)),
        (40, np.resize([0.0, 0.2, 0.6], 80), ()),
    ],
)
def test_groups_by_what_is_missing_have_fifty_cases_of_each_outcome_or_are_fewer(cases_of_each, missing, edges):
    n = 2 * cases_of_each
    y = np.arange(n) % 2 == 0
    found = conformal_ends(np.linspace(0, 1, n), y, np.ones(n), missing, 0.9)
    assert found.missing_up_to == edges


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
    held_out = HeldOut(p[:, None], Truth(label[:, None], weight[:, None]), np.zeros(500))
    first = HeldOut(p[:400, None], Truth(label[:400, None], weight[:400, None]), np.zeros(400))
    some = fit_uncertainty(("numbers",), p[:, None], first, 0, Scoring())
    assert fit_uncertainty(("numbers",), p[:, None], held_out, 0, Scoring()) == some
    assert (some.unusual_share, some.conformal and some.conformal.coverage) == (0.01, 0.9)
    assert some.absent == {"disagreement": "the network has one member"}


def test_the_task_says_how_many_may_be_flagged_and_what_is_covered():
    p, y, w = cases(500)
    asked = Scoring(unusual_share=0.002, coverage=0.8)
    held_out = HeldOut(p[:, None], Truth(y.astype(float)[:, None], w[:, None]), np.zeros(500))
    found = fit_uncertainty(("disagreement", "numbers"), np.stack([p, p], 1), held_out, 0, asked)
    assert (found.unusual_share, found.conformal and found.conformal.coverage, found.absent) == (0.002, 0.8, {})
    assert list(found.tails) == ["numbers"]
