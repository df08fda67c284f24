import numpy as np
import pytest

from medspark.monitor.null import Comparison, p_values, surprise


def drawn(n, chance, seed):
    return np.random.default_rng(seed).multinomial(n, chance)


EVEN = np.full(10, 0.1)


def test_of_200_nights_from_the_same_cells_as_many_are_surprising_as_is_said():
    """Ten features with their own training counts: the chance of any alarm in a night is 5 %, of 200 about 10."""
    training = [drawn(2000, EVEN, 10_000 + at) for at in range(10)]
    alarms = 0
    for night in range(200):
        comparisons = [Comparison(drawn(150, EVEN, night * 10 + at), known) for at, known in enumerate(training)]
        alarms += bool((p_values(comparisons, draws=399) < 0.05).any())
    assert alarms <= 20  # above it one such count in a thousand lies


def test_one_drifted_feature_among_fifty_is_the_only_one_found():
    comparisons = [Comparison(drawn(500, EVEN, at), drawn(5000, EVEN, 100 + at)) for at in range(50)]
    skewed = np.array([0.3, *[0.7 / 9] * 9])
    comparisons[7] = Comparison(drawn(500, skewed, 7), comparisons[7].reference)
    assert np.flatnonzero(p_values(comparisons) < 0.01).tolist() == [7]


def test_the_same_night_has_the_same_chances():
    comparisons = [Comparison(drawn(50, EVEN, 1), drawn(500, EVEN, 2))]
    assert p_values(comparisons).tolist() == p_values(comparisons).tolist()


def test_without_a_case_on_either_side_nothing_is_surprising():
    none = np.zeros(10, np.int64)
    assert p_values([Comparison(none, drawn(500, EVEN, 2)), Comparison(drawn(5, EVEN, 2), none)]).tolist() == [1, 1]
    assert p_values([]).tolist() == []


def test_codes_are_compared_one_by_one():
    training, night = np.array([500, 300, 20]), np.array([50, 30, 30])
    alone = []
    for few, many in zip(night, training, strict=True):
        cells = Comparison(np.array([100 - few, few]), np.array([1000 - many, many]))
        alone.append(float(surprise(cells.night, cells.reference, cells)))
    together = Comparison(night, training, "codes", (100, 1000))
    assert float(surprise(night, training, together)) == pytest.approx(max(alone))
