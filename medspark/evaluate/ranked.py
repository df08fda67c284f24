"""The metrics of cases grouped by equal risk, under many weightings at once: what `metrics` computes with.

In shapes, n is cases, g groups of equal risk from the highest to the lowest, and b weightings.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medspark.evaluate.logistic import Floats, coarse_start, logistic_regression, logit
from medspark.evaluate.smooth import ERRORS, Smooth, calibration_errors, smoothed

METRICS: Final = (
    "auroc",
    "auprc",
    "brier",
    "scaled_brier",
    "log_loss",
    "calibration_slope",
    "calibration_intercept",
    "observed_expected",
    *ERRORS,
    "sharpness",
)


def tie_groups(probability: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order (n,) from the highest risk down, and where (g,) in it each group of equal risks starts."""
    order = np.argsort(-probability, kind="stable")
    return order, np.flatnonzero(np.diff(probability[order], prepend=np.inf) != 0)


def group_outcomes(weights: Floats, label: NDArray[np.bool_], starts: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Weights (b, n) of cases in order, as the weights (b, g) of positives and of negatives in each group."""
    if len(starts) == len(label):
        return weights * label, weights * ~label
    return np.add.reduceat(weights * label, starts, axis=1), np.add.reduceat(weights * ~label, starts, axis=1)


def grouped_metrics(
    probability: Floats,
    positive: Floats,
    negative: Floats,
    start: Floats | None = None,
    smooth: Smooth | None = None,
) -> dict[str, Floats]:
    """METRICS (b,) of groups with falling risks (g,); NaN where one does not exist.

    Args:
        probability: (g,).
        positive, negative: (b, g) the weight of the cases with and without the outcome.
        start: the coefficients (2,) of a similar weighting's slope, which save Newton a few steps.
        smooth: what the calibration curve is fitted on; without it there is none.
    """
    total = positive + negative
    cases, ones, zeros = total.sum(axis=1), positive.sum(axis=1), negative.sum(axis=1)
    above = np.cumsum(positive, axis=1)
    flagged = above + np.cumsum(negative, axis=1)
    log_odds = logit(probability)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(flagged > 0, above / flagged, 0.0)
        ranked = ((above - positive / 2) * negative).sum(axis=1)
        loss_one, loss_zero = np.logaddexp(0, -log_odds), np.logaddexp(0, log_odds)
        values = {
            "auroc": ranked / (ones * zeros),
            "auprc": np.where(zeros > 0, (positive * precision).sum(axis=1) / ones, np.nan),
            "brier": (positive @ (1 - probability) ** 2 + negative @ probability**2) / cases,
            "log_loss": (positive @ loss_one + negative @ loss_zero) / cases,
        }
        values |= _of_means(probability, total, ones / cases, values["brier"])
    values["calibration_slope"] = slope(log_odds, positive, negative, start)[:, 1]
    values["calibration_intercept"] = _intercept(log_odds, positive, negative)
    return values | _errors(probability, positive, negative, smooth)


def _of_means(probability: Floats, total: Floats, prevalence: Floats, brier: Floats) -> dict[str, Floats]:
    """What the outcome's share, the mean risk and the risks' spread come to."""
    cases = total.sum(axis=1)
    mean = total @ probability / cases
    variance = (total * (probability - mean[:, None]) ** 2).sum(axis=1) / cases
    with np.errstate(over="ignore"):  # of next to no risk the ratio is no finite number
        ratio = np.where(mean > 0, prevalence / mean, np.nan)
    return {
        "scaled_brier": np.where(
            (prevalence > 0) & (prevalence < 1), 1 - brier / (prevalence * (1 - prevalence)), np.nan
        ),
        "observed_expected": ratio,
        "sharpness": np.sqrt(variance),
    }


def _errors(probability: Floats, positive: Floats, negative: Floats, smooth: Smooth | None) -> dict[str, Floats]:
    found = {name: np.full(len(positive), np.nan) for name in ERRORS}
    both = _both_outcomes(positive, negative)
    if smooth is not None and both.any():
        observed = smoothed(smooth, positive[both], negative[both])
        for name, values in calibration_errors(probability, observed, (positive + negative)[both]).items():
            found[name][both] = values
    return found


def slope(log_odds: Floats, positive: Floats, negative: Floats, start: Floats | None = None) -> Floats:
    """Coefficients (b, 2), level and slope, of the outcome's logistic regression on the risk's log odds."""
    beta = np.full((len(positive), 2), np.nan)
    both = _both_outcomes(positive, negative)
    if np.ptp(log_odds) > 0:
        design = np.column_stack([np.ones_like(log_odds), log_odds])
        total = positive + negative
        if start is None and len(positive) == 1:
            start = coarse_start(design, np.zeros_like(log_odds), positive[0], total[0])
        beta[both] = logistic_regression(design, np.zeros_like(log_odds), positive[both], total[both], start)
    return beta


def _intercept(log_odds: Floats, positive: Floats, negative: Floats) -> Floats:
    alpha = np.full(len(positive), np.nan)
    both = _both_outcomes(positive, negative)
    design = np.ones((len(log_odds), 1))
    alpha[both] = logistic_regression(design, log_odds, positive[both], (positive + negative)[both])[:, 0]
    return alpha


def _both_outcomes(positive: Floats, negative: Floats) -> NDArray[np.bool_]:
    return np.asarray((positive.sum(axis=1) > 0) & (negative.sum(axis=1) > 0))
