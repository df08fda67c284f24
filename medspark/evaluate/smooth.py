"""A smooth calibration curve, and how far the risks lie from it.

The curve is a logistic regression of the outcome on a restricted cubic spline of the risk's log odds, one of the two
ways of Van Calster et al. 2016 (J Clin Epidemiol 74:167); the other, loess, has no weights of cases and no cheap
resample. In shapes, g is groups of equal risk and b weightings.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medspark.evaluate.logistic import Floats, coarse_start, logistic_regression, sigmoid

ERRORS: Final = ("e_average", "e50", "e90", "e_max")

KNOTS: Final = {3: (0.1, 0.5, 0.9), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
"""The quantiles of the log odds at which the cubic pieces meet (Harrell 2015, Regression Modeling Strategies, table
2.3)."""

ENOUGH: Final = 100
"""Cases of the rarer outcome from which on the curve has five knots, else three."""

LEAST_OUTCOMES: Final = 10
"""Cases of the rarer outcome below which there is no curve: it would be one of chance."""


class Smooth(NamedTuple):
    """What the curve is a regression on."""

    design: Floats
    """(g, k): 1, the log odds and their cubic terms, each but the first with mean 0 and spread 1."""
    start: Floats | None = None
    """(k,) the coefficients of a similar weighting."""


def smooth_design(log_odds: Floats, positive: Floats, negative: Floats) -> Smooth | None:
    """What the curve of some cases is fitted on; None where there are too few outcomes or one risk only.

    Args:
        log_odds: (g,) of the risks.
        positive, negative: (g,) the weight of the cases with and without the outcome.
    """
    rarer, total = min(positive.sum(), negative.sum()), positive + negative
    there = total > 0
    if rarer < LEAST_OUTCOMES or not np.ptp(log_odds[there]) > 0:
        return None
    levels = KNOTS[5 if rarer >= ENOUGH else 3]
    knots = np.unique(weighted_quantiles(log_odds[None], total[None], levels)[0])
    columns = [log_odds, *_cubic_terms(log_odds, knots)]
    scaled = [(x - x[there].mean()) / (x[there].std() or 1.0) for x in columns]
    design = np.column_stack([np.ones_like(log_odds), *scaled])
    none = np.zeros_like(log_odds)
    start = coarse_start(design, none, positive, total)
    fit = logistic_regression(design, none, positive[None], total[None], start)[0]
    return Smooth(design, fit) if np.isfinite(fit).all() else None


def _cubic_terms(x: Floats, knots: Floats) -> list[Floats]:
    """Harrell's terms: cubic between the knots, straight beyond the outer ones; none of fewer than three knots."""
    if len(knots) < 3:
        return []
    before, last = knots[-2], knots[-1]

    def cube(at: float) -> Floats:
        return np.asarray(np.maximum(x - at, 0.0) ** 3)

    scale = (last - knots[0]) ** 2
    return [
        (cube(t) - cube(before) * (last - t) / (last - before) + cube(last) * (before - t) / (last - before)) / scale
        for t in knots[:-2]
    ]


def smoothed(smooth: Smooth, positive: Floats, negative: Floats) -> Floats:
    """The curve's height (b, g) at each group's risk; NaN where its regression has no finite maximum."""
    offset = np.zeros(len(smooth.design))
    beta = logistic_regression(smooth.design, offset, positive, positive + negative, smooth.start)
    return sigmoid(beta @ smooth.design.T)


def calibration_errors(probability: Floats, observed: Floats, total: Floats) -> dict[str, Floats]:
    """The ERRORS (b,): mean, median, 90th percentile and largest of the distance between risk and curve, over cases.

    The mean is the integrated calibration index (Austin and Steyerberg 2019, Stat Med 38:4051).

    Args:
        probability: (g,) the risks.
        observed: (b, g) the curve's heights.
        total: (b, g) the weight of the cases.
    """
    distance = np.abs(observed - probability)
    mean = (distance * total).sum(axis=1) / total.sum(axis=1)
    half, most = weighted_quantiles(distance, total, (0.5, 0.9)).T
    largest = np.where(total > 0, distance, 0.0).max(axis=1)
    return dict(zip(ERRORS, (mean, half, most, largest), strict=True))


def weighted_quantiles(values: Floats, weight: Floats, levels: tuple[float, ...]) -> Floats:
    """The quantiles (b, len(levels)) of values (b, g): the smallest value that a share of the weight does not exceed.

    >>> weighted_quantiles(np.array([[3.0, 1.0, 2.0]]), np.array([[1.0, 1.0, 2.0]]), (0.25, 0.5, 0.9)).tolist()
    [[1.0, 2.0, 3.0]]
    """
    order = np.argsort(values, axis=1, kind="stable")
    ranked, so_far = np.take_along_axis(values, order, 1), np.cumsum(np.take_along_axis(weight, order, 1), 1)
    wanted = so_far[:, -1:] * np.array(levels)
    place = np.stack([_first_at_least(row, want) for row, want in zip(so_far, wanted, strict=True)])
    return np.take_along_axis(ranked, place, 1)


def _first_at_least(rising: Floats, wanted: Floats) -> NDArray[np.intp]:
    # A share of a sum may come out a hair above it: 0.9 of ten ones is nine, not ten
    place = np.searchsorted(rising, wanted * (1 - 1e-12), side="left")
    return np.minimum(place, len(rising) - 1)
