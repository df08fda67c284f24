"""Logistic regression by Newton's steps, and its two functions. numpy alone: workers calibrate with it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow; NaN stays NaN."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small))


def softmax(logits: Floats) -> Floats:
    """exp(x) / sum of exp(x) along the last axis, without overflow; a row with a NaN is all NaN."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def logit(probability: Floats) -> Floats:
    """log(p / (1 - p)), with 0 and 1 moved inside by one part in 2^52 so that it is finite."""
    epsilon = np.finfo(np.float64).eps
    inside = np.clip(probability, epsilon, 1 - epsilon)
    return np.asarray(np.log(inside) - np.log1p(-inside))


MAX_STEPS: Final = 60


BLOCKS: Final = 5_000


def coarse_start(design: Floats, offset: Floats, positive: Floats, total: Floats) -> Floats | None:
    """Coefficients (k,) of BLOCKS means of neighbouring rows, to begin from; None of rows that are few, or have none.

    Args:
        design: (g, k) and offset: (g,), of rows in an order in which neighbours are alike.
        positive, total: (g,) under one weighting.
    """
    if len(design) < 2 * BLOCKS:
        return None
    edges = np.linspace(0, len(design), BLOCKS + 1).astype(np.intp)[:-1]
    rows = np.diff(np.append(edges, len(design)))
    mean_design = np.add.reduceat(design, edges, axis=0) / rows[:, None]
    mean_offset = np.add.reduceat(offset, edges) / rows
    ones, every = (np.add.reduceat(part, edges)[None] for part in (positive, total))
    found = logistic_regression(mean_design, mean_offset, ones, every)[0]
    return found if np.isfinite(found).all() else None


def logistic_regression(
    design: Floats, offset: Floats, positive: Floats, total: Floats, start: Floats | None = None
) -> Floats:
    """Unpenalised logistic regressions of one design under many weightings, by Newton's steps.

    Args:
        design: (g, k); offset: (g,), added to the linear predictor with a coefficient of 1.
        positive: (b, g), the weight of the positives in each of g rows, under each of b weightings.
        total: (b, g), the weight of all cases there.
        start: (k,), coefficients to begin from; zeros without it.

    Returns:
        (b, k) coefficients; NaN where no finite maximum was reached, as with separated outcomes.

    Each step d is shortened to log(1 + m) / m of itself, m its largest change of a linear predictor, which
    keeps Newton's method from overshooting on a logistic loss (Bach 2010, Electronic Journal of Statistics
    4:384-414).
    """
    count, width = len(positive), design.shape[1]
    # Few weightings may be of millions of rows, whose products are then not held together
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1) if count > width else None
    beta = np.tile(np.zeros(width) if start is None else start, (count, 1))
    active = np.arange(count)
    for _ in range(MAX_STEPS):
        p = sigmoid(beta[active] @ design.T + offset)
        expected = total[active] * p
        gradient = (positive[active] - expected) @ design
        curvature = _curvature(design, squares, expected * (1 - p))
        solvable = np.linalg.cond(curvature) < 1e12
        beta[active[~solvable]] = np.nan
        active, gradient, curvature = active[solvable], gradient[solvable], curvature[solvable]
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        change = np.abs(step @ design.T).max(axis=1, initial=1e-300)
        beta[active] += step * (np.log1p(change) / change)[:, None]
        active = active[change > 1e-6]
        if len(active) == 0:
            return beta
    beta[active] = np.nan
    return beta


def _curvature(design: Floats, squares: Floats | None, weight: Floats) -> Floats:
    """(b, k, k): under each weighting (b, g) the weighted sum of the outer products (g, k * k) of the design's rows."""
    width = design.shape[1]
    if squares is None:
        each = [(design * row[:, None]).T @ design for row in weight]
        return np.array(each, dtype=np.float64).reshape(-1, width, width)
    return np.asarray((weight @ squares).reshape(-1, width, width))
