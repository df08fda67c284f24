"""Performance before any outcome is known, as calibrated risks promise it: an estimate, and always called one.

A calibrated risk says how often the outcome comes, so the figures that a night will have are known in expectation
(confidence-based performance estimation: Kivimäki et al. 2024, arXiv:2407.08649). It sees what other patients do to
performance, and nothing of an outcome that comes more or less often to the same patients: where calibration is lost, so
is the estimate.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from medspark.evaluate.logistic import sigmoid
from medspark.monitor.plan import LOGIT_END, LOGIT_STEP, SCORE_CELLS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Estimates = dict[str, dict[str, float | None]]

DRAWS: Final = 1000
FIGURES: Final = ("prevalence", "auroc", "brier")
CENTERS: Final = np.clip(-LOGIT_END + (np.arange(SCORE_CELLS) - 0.5) * LOGIT_STEP, -LOGIT_END, LOGIT_END)
"""The logit of the risks of each cell."""


def estimate(
    cases: Ints, recalibration: tuple[float, ...] | None = None, draws: int = DRAWS, seed: int = 0
) -> Estimates:
    """Prevalence, AUROC and Brier score to be expected, with intervals in which 95 % of nights should end.

    The interval has chance in it, each case's outcome being drawn by its risk, and how sure the calibration is.

    Args:
        cases: (SCORE_CELLS,) how many have a risk in each cell.
        recalibration: variances of the calibration's intercept and slope, and their covariance; None leaves them out.

    Returns:
        By name `value`, `low`, `high`; all None where there is no case, or, of the AUROC, no expected pair.
    """
    if not cases.sum():
        return {name: dict.fromkeys(("value", "low", "high")) for name in FIGURES}
    risk = sigmoid(CENTERS)
    expected = _figures(cases * risk, cases, risk)
    rng = np.random.default_rng(seed)
    shift = np.zeros((draws, 2))
    if recalibration is not None:
        intercept, slope, both = recalibration
        shift = rng.multivariate_normal([0, 0], [[intercept, both], [both, slope]], draws)
    true = sigmoid(CENTERS + shift[:, :1] + shift[:, 1:] * CENTERS)
    positive = rng.binomial(cases, true)
    drawn = _figures(positive.astype(np.float64), cases, risk)
    return {name: _with_interval(float(expected[name]), drawn[name]) for name in FIGURES}


def _figures(positive: Floats, cases: Ints, risk: Floats) -> dict[str, Floats]:
    """The figures of outcomes (..., SCORE_CELLS) among cases (SCORE_CELLS,)."""
    negative = cases - positive
    n, positives, negatives = cases.sum(), positive.sum(axis=-1), negative.sum(axis=-1)
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = positives * negatives
    auroc = np.divide(
        (positive * below).sum(axis=-1), pairs, out=np.full(np.shape(pairs), np.nan), where=np.asarray(pairs > 0)
    )
    brier = (positive * (1 - risk) ** 2 + negative * risk**2).sum(axis=-1) / n
    return {"prevalence": positives / n, "auroc": auroc, "brier": brier}


def _with_interval(value: float, drawn: Floats) -> dict[str, float | None]:
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(defined) < 0.9 * len(drawn):
        return {"value": value if np.isfinite(value) else None, "low": None, "high": None}
    low, high = np.percentile(defined, [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high)}
