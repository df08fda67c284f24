"""How far a night may be from training by chance alone: the largest surprise of nights that are drawn from both.

Each thing compared has a surprise, a figure of about the same scale for all. Under the null both sides are drawn from
what they are together; the largest surprise of everything that is compared, over many such draws, says what chance does
in one night (Westfall and Young 1993, Resampling-Based Multiple Testing, the single-step maxT). So the chance of any
false alarm in a night is what is asked for, however many features there are; draws of different things are independent,
which makes the largest no smaller than that of things that go together.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.monitor.distances import population_stability_index, shares

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DRAWS = 1999


class Comparison(NamedTuple):
    """Counts of a night beside those of training."""

    night: Ints
    """(k,)"""
    reference: Ints
    """(k,)"""
    kind: Literal["cells", "codes"] = "cells"
    """cells: a case is in one of them; codes: a case has any of them."""
    cases: tuple[int, int] = (0, 0)
    """Of codes: the night's and training's."""

    @property
    def sizes(self) -> tuple[int, int]:
        return self.cases if self.kind == "codes" else (int(self.night.sum()), int(self.reference.sum()))


def thinned(counts: Ints, cases_a_patient: float) -> Ints:
    """Counts as if each patient had one case: cases of a patient may all be alike, and tell no more than one.

    >>> thinned(np.array([40, 5, 0]), 2.0).tolist()
    [20, 2, 0]
    """
    return np.asarray(np.rint(counts / cases_a_patient), np.int64)


def surprise(night: npt.NDArray[np.generic], reference: npt.NDArray[np.generic], of: Comparison) -> Floats:
    """How surprising counts (..., k) are, (...), roughly as standard normal deviates.

    Of cells: n m / (n + m) times the population stability index, which is about chi-squared (Yurdakul 2018), made
    normal by its cube root (Wilson and Hilferty 1931). Of two cells, and of codes the largest: the difference of the
    shares' arcsines (Anscombe 1948).
    """
    n, m = of.sizes
    if of.kind == "codes":
        return np.asarray(np.abs(_arcsines(night, n, reference, m)).max(axis=-1))
    if night.shape[-1] == 2:
        return np.asarray(np.abs(_arcsines(night[..., 1], n, reference[..., 1], m)))
    index = population_stability_index(shares(night), shares(reference))
    freedom = night.shape[-1] - 1
    scaled = n * m / (n + m) * index / freedom
    return np.asarray((np.cbrt(scaled) - (1 - 2 / (9 * freedom))) / np.sqrt(2 / (9 * freedom)))


def _arcsines(one: npt.NDArray[np.generic], n: int, other: npt.NDArray[np.generic], m: int) -> Floats:
    spread = np.sqrt(1 / (n + 0.5) + 1 / (m + 0.5))
    return np.asarray(2 * (_arcsine(one, n) - _arcsine(other, m)) / spread)


def _arcsine(count: npt.NDArray[np.generic], size: int) -> Floats:
    return np.asarray(np.arcsin(np.sqrt((np.asarray(count, np.float64) + 0.375) / (size + 0.75))))


def observed(comparisons: Sequence[Comparison]) -> Floats:
    """The surprise of each comparison, (c,)."""
    return np.array([float(surprise(one.night, one.reference, one)) for one in comparisons])


def largest_by_chance(comparisons: Sequence[Comparison], draws: int = DRAWS, seed: int = 0) -> Floats:
    """The largest surprise of all the comparisons in each of some nights without drift, (draws,)."""
    rng = np.random.default_rng(seed)
    largest = np.full(draws, -np.inf)
    for one in comparisons:
        n, m = one.sizes
        together = (one.night + one.reference) / (n + m)
        if one.kind == "codes":
            shape, chance = (draws, len(together)), np.minimum(together, 1.0)
            night, reference = rng.binomial(n, chance, shape), rng.binomial(m, chance, shape)
        else:
            chance = together / together.sum()
            night, reference = rng.multinomial(n, chance, draws), rng.multinomial(m, chance, draws)
        largest = np.maximum(largest, surprise(night, reference, one))
    return largest


def p_values(comparisons: Sequence[Comparison], draws: int = DRAWS, seed: int = 0) -> Floats:
    """Of each comparison, (c,), how often chance alone brings a night with one as surprising among all of them.

    Those without a case on either side have 1.
    """
    found = np.ones(len(comparisons))
    told = [at for at, one in enumerate(comparisons) if min(one.sizes) > 0 and len(one.night) > 1]
    if not told:
        return found
    compared = [comparisons[at] for at in told]
    largest = np.sort(largest_by_chance(compared, draws, seed))
    as_large = draws - np.searchsorted(largest, observed(compared), side="left")
    found[told] = (1 + as_large) / (1 + draws)
    return found
