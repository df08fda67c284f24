import numpy as np
import pytest

from medspark.monitor.distances import (
    jensen_shannon_distance,
    population_stability_index,
    shares,
    wasserstein_distance,
)

distance = pytest.importorskip("scipy.spatial.distance", reason="SciPy is the oracle")
stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")


@pytest.mark.parametrize("seed", range(5))
def test_distances_equal_scipys(seed):
    rng = np.random.default_rng(seed)
    one, other = shares(rng.integers(0, 50, 12)), shares(rng.integers(0, 50, 12))
    places = np.sort(rng.normal(size=12))
    assert jensen_shannon_distance(one, other) == pytest.approx(distance.jensenshannon(one, other, base=2))
    both = stats.entropy(one, other) + stats.entropy(other, one)
    assert population_stability_index(one, other) == pytest.approx(both)
    expected = stats.wasserstein_distance(places, places, one, other)
    assert wasserstein_distance(one, other, places) == pytest.approx(expected)


def test_an_empty_cell_is_no_infinite_distance():
    index = population_stability_index(shares(np.array([0, 100])), shares(np.array([50, 50])))
    night, training = np.array([0.5 / 101, 100.5 / 101]), np.array([0.5, 0.5])
    assert index == pytest.approx(((night - training) * np.log(night / training)).sum())


def test_many_rows_are_compared_at_once():
    rng = np.random.default_rng(0)
    many, one = shares(rng.integers(0, 50, (7, 5))), shares(rng.integers(0, 50, 5))
    each = [float(population_stability_index(row, one)) for row in many]
    assert population_stability_index(many, one).tolist() == pytest.approx(each)
