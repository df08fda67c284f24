"""Learn on the validation split how a network's logits become risks."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from medspark.errors import InputError
from medspark.evaluate.censoring import Truth
from medspark.evaluate.logistic import Floats, logistic_regression, sigmoid, softmax
from medspark.evaluate.logistic import logit as logit_of
from medspark.score.worker.calibration import Calibration, Method, TargetCalibrations
from medspark.task.outcome import Targets

PRIOR_CASES: Final = 100
"""Of 50, 100 and 200 the best of simulated validation splits of 200 to 3,200 cases, calibrated or not."""


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
    drawn towards no change as Platt's is (vector scaling, Guo et al. 2017, with one temperature)."""
    if method == "none":
        return tuple(Calibration(method="none") for _ in range(logit.shape[1]))
    prior = PRIOR_CASES / len(logit)
    target = (label + prior * softmax(logit)) / (1 + prior)

    def loss(found: Floats) -> tuple[float, Floats]:
        z = found[0] * logit + np.append(0.0, found[1:])
        p = softmax(z)
        off = (p - target) / len(z)
        total = float(-(target * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum() / len(z))
        return total, np.append((off * logit).sum(), off[:, 1:].sum(axis=0))

    start = np.append(1.0, np.zeros(logit.shape[1] - 1))
    slope, *intercepts = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return tuple(Calibration(method="platt", slope=float(slope), intercept=float(b)) for b in (0.0, *intercepts))


def fit_calibration(
    method: Method, logit: NDArray[Any], label: NDArray[Any], weight: NDArray[Any] | None = None
) -> Calibration:
    """The calibration learned from logits (n,) and outcomes (n,) that the network was not trained on.

    platt is the logistic regression of the outcome on the logit (Platt 1999), drawn towards no change at all by as much
    as PRIOR_CASES more cases would that came true as their logits say: few cases then change little, and many what
    they must. (A prior in the form of data: Greenland 2007, Int J Epidemiol 36:195.)

    isotonic is the non-falling step function of least squares, clipped by Platt's softened targets, 1 / (n0 + 2) and
    (n1 + 1) / (n1 + 2): no finite number of patients shows that a risk is 0 or 1.

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
    return _fit_platt(x, y, weights) if method == "platt" else _fit_isotonic(x, y, weights)


def _soft_targets(y: Floats) -> tuple[float, float]:
    positives = float(y.sum())
    return 1 / (len(y) - positives + 2), (positives + 1) / (positives + 2)


def _fit_platt(x: Floats, y: Floats, weight: Floats) -> Calibration:
    if np.ptp(x) == 0:  # every slope fits as well: only the level can be learned
        return Calibration(
            method="platt", slope=1.0, intercept=float(logit_of(np.average(y, weights=weight, keepdims=True))[0] - x[0])
        )
    prior = PRIOR_CASES / len(x)
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
    return Calibration(method="platt", slope=slope, intercept=float(level - slope * centre))


def _fit_isotonic(x: Floats, y: Floats, weight: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    low, high = _soft_targets(y)
    fitted = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(x, y, weight)
    return Calibration(
        method="isotonic",
        knots_x=tuple(float(v) for v in fitted.X_thresholds_),
        knots_y=tuple(float(v) for v in fitted.y_thresholds_),
    )
