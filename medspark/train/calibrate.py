"""Learn on the validation split how a network's logits become risks."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import chi2

from medspark.errors import InputError
from medspark.evaluate.censoring import Truth
from medspark.evaluate.logistic import Floats, logistic_regression, sigmoid, softmax
from medspark.evaluate.logistic import logit as logit_of
from medspark.score.worker.calibration import Calibration, Method, TargetCalibrations, apply_calibration
from medspark.task.outcome import Targets

SURE: Final = 0.95
"""How improbable a likelihood ratio must be of risks that need no calibration, before they get any."""
STEP: Final = 3.0
"""Of isotonic steps, by how much each must lower the deviance below the line's."""


def fit_calibrations(targets: Targets, method: Method, logit: Floats, truth: Truth) -> TargetCalibrations:
    """The calibrations of all targets, from logits (n, k) of cases that the network was not trained on.

    Raises:
        InputError: of a target one outcome only is present, or a logit is not finite.
    """
    if targets.kind == "classes":
        return TargetCalibrations(targets, _fit_classes(method, logit, truth.label))
    parts = []
    for at in range(len(targets.names)):
        known = truth.weight[:, at] > 0
        parts.append(fit_calibration(method, logit[known, at], truth.label[known, at], truth.weight[known, at]))
    return TargetCalibrations(targets, tuple(parts))


def _fit_classes(method: Method, logit: Floats, label: Floats) -> tuple[Calibration, ...]:
    """One slope and an intercept a class, the first one's 0: the multinomial regression of the class on the logits,
    shrunk towards no change as Platt's is (vector scaling, Guo et al. 2017, with one temperature)."""
    if method == "none":
        return tuple(Calibration(method="none") for _ in range(logit.shape[1]))
    prior = 1 / len(logit)
    target = (label + prior * softmax(logit)) / (1 + prior)

    def loss(found: Floats) -> tuple[float, Floats]:
        z = found[0] * logit + np.append(0.0, found[1:])
        p = softmax(z)
        off = (p - target) / len(z)
        total = float(-(target * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum() / len(z))
        return total, np.append((off * logit).sum(), off[:, 1:].sum(axis=0))

    start = np.append(1.0, np.zeros(logit.shape[1] - 1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    before, after = (-2 * (label * _log(softmax(z[0] * logit + np.append(0.0, z[1:])))).sum() for z in (start, found))
    slope, *intercepts = start + _share(before - after, len(start)) * (found - start)
    return tuple(Calibration(method="platt", slope=float(slope), intercept=float(b)) for b in (0.0, *intercepts))


def _log(risk: Floats) -> Floats:
    return np.log(np.maximum(risk, np.finfo(np.float64).tiny))


def _share(gain: float, parameters: int) -> float:
    """How much of a fitted change is kept, from 0 to 1, by how much it lowers the deviance.

    None of a gain that so many parameters have by chance of risks that need no change; nearly all of a large one.
    (Breiman's garrote 1995, Technometrics 37:373, by the likelihood ratio.)

    >>> [round(_share(gain, 2), 2) for gain in (-1.0, 5.0, 12.0, 600.0)]
    [0.0, 0.0, 0.5, 0.99]
    """
    chance = float(chi2.ppf(SURE, parameters))
    return 1 - chance / gain if gain > chance else 0.0


def fit_calibration(
    method: Method, logit: NDArray[Any], label: NDArray[Any], weight: NDArray[Any] | None = None
) -> Calibration:
    """The calibration learned from logits (n,) and outcomes (n,) that the network was not trained on.

    platt is the logistic regression of the outcome on the logit (Platt 1999), shrunk towards no change: where these
    cases do not refute the logits as they are, nothing changes, and the more they do, the more does.

    isotonic is the non-falling step function of least squares, clipped by Platt's softened targets, 1 / (n0 + 2) and
    (n1 + 1) / (n1 + 2): no finite number of patients shows that a risk is 0 or 1. Where its steps say too little more
    than the line does for their number, it is the line.

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
    weights = np.ones_like(x) if weight is None else np.asarray(weight, np.float64) * len(x) / np.sum(weight)
    line = _fit_platt(x, y, weights)
    return line if method == "platt" else _steps_or_line(x, y, weights, line)


def _deviance(calibration: Calibration, x: Floats, y: Floats, weight: Floats) -> float:
    risk = apply_calibration(calibration, x)
    return float(-2 * (weight * (y * _log(risk) + (1 - y) * _log(1 - risk))).sum())


def _soft_targets(y: Floats) -> tuple[float, float]:
    positives = float(y.sum())
    return 1 / (len(y) - positives + 2), (positives + 1) / (positives + 2)


def _fit_platt(x: Floats, y: Floats, weight: Floats) -> Calibration:
    if np.ptp(x) == 0:  # every slope fits as well: only the level can be learned
        level = float(logit_of(np.average(y, weights=weight, keepdims=True))[0] - x[0])
        return _shrunk(Calibration("platt", 1.0, level), x, y, weight, 1)
    prior = 1 / len(x)  # a case that came true as said: there is an answer where the logit tells all apart
    total = weight + prior
    positive = weight * y + prior * sigmoid(x)
    centre, spread = x.mean(), x.std()
    design = np.column_stack([np.ones_like(x), (x - centre) / spread])
    level, steepness = logistic_regression(
        design, np.zeros_like(x), positive[None] / (1 + prior), total[None] / (1 + prior)
    )[0]
    if not np.isfinite(steepness):
        raise InputError("calibration: expected a logistic regression that converges, received one that does not")
    slope = float(steepness / spread)
    return _shrunk(Calibration("platt", slope, float(level - slope * centre)), x, y, weight, 2)


def _shrunk(line: Calibration, x: Floats, y: Floats, weight: Floats, parameters: int) -> Calibration:
    """The line as far from no change as the cases tell."""
    gain = _deviance(Calibration("none"), x, y, weight) - _deviance(line, x, y, weight)
    share = _share(gain, parameters)
    return Calibration("platt", slope=1 + share * (line.slope - 1), intercept=share * line.intercept)


def _steps_or_line(x: Floats, y: Floats, weight: Floats, line: Calibration) -> Calibration:
    """The steps, if each of them lowers the deviance by STEP in the mean."""
    steps = _fit_isotonic(x, y, weight)
    gain = _deviance(line, x, y, weight) - _deviance(steps, x, y, weight)
    return steps if gain > STEP * len(set(steps.knots_y)) else line


def _fit_isotonic(x: Floats, y: Floats, weight: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    low, high = _soft_targets(y)
    fitted = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(x, y, weight)
    return Calibration(
        method="isotonic",
        knots_x=tuple(float(v) for v in fitted.X_thresholds_),
        knots_y=tuple(float(v) for v in fitted.y_thresholds_),
    )
