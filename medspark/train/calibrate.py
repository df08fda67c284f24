"""Learn on the validation split how a network's logits become risks."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medspark.errors import InputError
from medspark.score.worker.calibration import Calibration, Floats, Method, sigmoid

MAX_STEPS: Final = 60


def fit_calibration(method: Method, logit: NDArray[Any], label: NDArray[Any]) -> Calibration:
    """The calibration learned from logits (n,) and outcomes (n,) that the network was not trained on.

    platt is the unpenalised logistic regression of the outcome on the logit (Platt 1999). Where the logit
    separates the outcomes perfectly that regression has no finite answer, and Platt's own softened targets,
    (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), take the outcomes' place.

    isotonic is the non-falling step function of least squares, clipped by the same two numbers: no finite
    number of patients shows that a risk is 0 or 1.

    Raises:
        InputError: only one outcome is present, or a logit is not finite.
    """
    x = np.asarray(logit, dtype=np.float64)
    y = np.asarray(label, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise InputError(f"calibration: expected one label for each logit, received {y.shape} for {x.shape}")
    if not np.isfinite(x).all():
        raise InputError(f"calibration: expected finite logits, received {int((~np.isfinite(x)).sum())} that are not")
    if not np.isin(y, (0, 1)).all():
        raise InputError("calibration: expected labels of 0 and 1, received others")
    if method == "none":
        return Calibration(method="none")
    positives = int(y.sum())
    if positives in (0, len(y)):
        raise InputError(
            f"calibration: expected both outcomes among the validation cases, received {positives} positive "
            f"of {len(y)}. Use a larger valid share, or calibration: none."
        )
    return _fit_platt(x, y) if method == "platt" else _fit_isotonic(x, y)


def _soft_targets(y: Floats) -> tuple[float, float]:
    positives = float(y.sum())
    return 1 / (len(y) - positives + 2), (positives + 1) / (positives + 2)


def _fit_platt(x: Floats, y: Floats) -> Calibration:
    if np.ptp(x) == 0:  # every slope fits as well: only the level can be learned
        return Calibration(method="platt", slope=1.0, intercept=float(np.log(y.mean() / (1 - y.mean())) - x[0]))
    below, above = x[y == 0], x[y == 1]
    separated = below.max() <= above.min() or above.max() <= below.min()
    target = np.where(y == 1, *reversed(_soft_targets(y))) if separated else y
    centre, spread = x.mean(), x.std()
    design = np.column_stack([np.ones_like(x), (x - centre) / spread])
    level, steepness = logistic_regression(design, np.zeros_like(x), target[None], np.ones((1, len(x))))[0]
    if not np.isfinite(steepness):
        raise InputError("calibration: expected a logistic regression that converges, received one that does not")
    slope = float(steepness / spread)
    return Calibration(method="platt", slope=slope, intercept=float(level - slope * centre))


def _fit_isotonic(x: Floats, y: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    low, high = _soft_targets(y)
    fitted = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(x, y)
    return Calibration(
        method="isotonic",
        knots_x=tuple(float(v) for v in fitted.X_thresholds_),
        knots_y=tuple(float(v) for v in fitted.y_thresholds_),
    )


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
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), width * width)
    beta = np.tile(np.zeros(width) if start is None else start, (count, 1))
    active = np.arange(count)
    for _ in range(MAX_STEPS):
        p = sigmoid(beta[active] @ design.T + offset)
        expected = total[active] * p
        gradient = (positive[active] - expected) @ design
        curvature = ((expected * (1 - p)) @ squares).reshape(-1, width, width)
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
