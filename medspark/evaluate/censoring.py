"""What is known of cases, some of which were not followed to a horizon: the others stand for those, each with the
inverse of its chance to be followed.

Inverse probability of censoring weights (Graf et al. 1999, Stat Med 18:2529; Uno et al. 2007, JASA 102:527).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medspark.evaluate.logistic import Floats

MOST_WEIGHT = 20.0
"""Of a case: beyond it a few that were followed far longer than the rest would decide alone."""


class Truth(NamedTuple):
    """Of n cases and k targets."""

    label: Floats
    """(n, k) of 0 and 1; NaN where it is not known."""
    weight: Floats
    """(n, k): 1, and at horizons the inverse of the chance to be followed so far; 0 where the label is not known."""

    def take(self, rows: NDArray[np.generic] | slice) -> "Truth":
        return Truth(self.label[rows], self.weight[rows])


def joined(parts: Sequence[Truth]) -> Truth:
    """Of all cases, part by part."""
    return Truth(np.concatenate([part.label for part in parts]), np.concatenate([part.weight for part in parts]))


class Followed(NamedTuple):
    """The chance to be followed for so long, from the Kaplan-Meier estimate of the end of follow-up."""

    days: Floats
    """(k,) rising, at which follow-up of somebody ended."""
    share: Floats
    """(k,) the chance to be followed beyond each."""


def chance_followed(days: NDArray[np.float64], censored: NDArray[np.bool_]) -> Followed:
    """The Kaplan-Meier estimate (1958) of the end of follow-up; who had the outcome leaves at that time.

    Args:
        days: (n,) to the outcome, or to the end of follow-up; NaN counts for nothing.
        censored: (n,) whether follow-up ended without the outcome and before the longest horizon.

    >>> chance_followed(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, False, True, False]))
    Followed(days=array([1., 2.]), share=array([0.75 , 0.375]))
    """
    known = np.isfinite(days)
    days, censored = days[known], censored[known]
    at, ends = np.unique(days[censored], return_counts=True)
    # Who has the outcome at the very time that follow-up of another ends has left before it
    later = len(days) - np.searchsorted(np.sort(days), at, side="right")
    return Followed(at, np.cumprod(1 - ends / (later + ends)))


def followed_for(chance: Followed, days: NDArray[np.float64]) -> Floats:
    """The chance to be followed to each of these days, that day included: the ends before it count, not those at it.

    >>> followed_for(Followed(np.array([1.0, 2.0]), np.array([0.75, 0.5])), np.array([1.0, 1.5, 9.0])).tolist()
    [1.0, 0.75, 0.5]
    """
    place = np.searchsorted(chance.days, days, side="left")
    return np.append(1.0, chance.share)[place]


def censoring_weights(label: Floats, days: Floats, horizons: Floats, chance: Followed) -> Floats:
    """The weight (n, k) of each case at each horizon: 0 where it was not followed so far and had no outcome before.

    Args:
        label: (n, k) of 0 and 1, NaN where it is not known.
        days: (n,) to the outcome or to the end of follow-up.
        horizons: (k,).
        chance: of being followed.
    """
    until = np.where(label == 1, np.nan_to_num(days)[:, None], horizons)
    weight = 1 / np.maximum(followed_for(chance, until), 1 / MOST_WEIGHT)
    return np.where(np.isnan(label), 0.0, weight)
