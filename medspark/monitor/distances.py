"""How far two distributions over the same cells are apart: pure functions of counts."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.generic]
SPARE = 0.5
"""Added to each cell, so that an empty one is no infinite distance (Jeffreys 1946)."""


def shares(counts: Counts) -> Floats:
    """Counts (..., k) as shares with SPARE in each cell; they sum to 1."""
    found = np.asarray(counts, np.float64) + SPARE
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def population_stability_index(night: Floats, reference: Floats) -> Floats:
    """Sum of (p - q) log(p / q), (...): Jeffreys' divergence of shares (..., k) above 0.

    By custom below 0.1 is no shift, from 0.25 on a large one (Siddiqi 2006, Credit Risk Scorecards).

    >>> round(float(population_stability_index(np.array([0.5, 0.5]), np.array([0.25, 0.75]))), 4)
    0.2747
    """
    return np.asarray(((night - reference) * np.log(night / reference)).sum(axis=-1))


def jensen_shannon_distance(night: Floats, reference: Floats) -> Floats:
    """The root of the mean divergence from the middle, in bits, (...): from 0 to 1 (Endres and Schindelin 2003).

    >>> float(jensen_shannon_distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])))
    1.0
    """
    middle = (night + reference) / 2
    apart = sum(_divergence(part, middle) for part in (night, reference))
    return np.asarray(np.sqrt(np.maximum(apart / 2, 0.0)))


def _divergence(part: Floats, middle: Floats) -> Floats:
    ratio = np.divide(part, middle, out=np.ones_like(part), where=part > 0)
    return np.asarray((part * np.log2(ratio)).sum(axis=-1))


def wasserstein_distance(night: Floats, reference: Floats, places: Floats) -> Floats:
    """How far the mass has to be moved on average, (...), in the places' unit: the area between the two curves.

    Args:
        night: shares (..., k).
        reference: shares (..., k).
        places: (k,) where each cell's mass lies, rising.

    >>> float(wasserstein_distance(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array([2.0, 5.0])))
    3.0
    """
    between = np.abs(np.cumsum(night - reference, axis=-1))[..., :-1]
    return np.asarray((between * np.diff(places)).sum(axis=-1))
