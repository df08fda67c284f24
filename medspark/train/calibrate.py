"""Learn on the validation split how a network's logits become risks."""

from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
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
"""Of isotonic steps, by how much each must lower the deviance below the line's, or that of the steps in use."""
NOTHING: Final = Calibration("none")


def fit_calibrations(
    targets: Targets, method: Method, logit: Floats, truth: Truth, old: TargetCalibrations | None = None
) -> TargetCalibrations:
    """The calibrations of all targets, from logits (n, k) of cases that the network was not trained on.

    Args:
        old: those in use, of a network that is updated: where these cases do not refute them, nothing changes.

    Raises:
        InputError: of a target one outcome only is present, or a logit is not finite.
    """
    before = (NOTHING,) * len(targets.names) if old is None else old.parts
    if targets.kind == "classes":
        return TargetCalibrations(targets, _fit_classes(method, logit, truth.label, before))
    parts = []
    for at, one in enumerate(before):
        known = truth.weight[:, at] > 0
        of_target = logit[known, at], truth.label[known, at], truth.weight[known, at]
        parts.append(fit_calibration(method, *of_target, one))
    return TargetCalibrations(targets, tuple(parts))


def _fit_classes(method: Method, logit: Floats, label: Floats, old: tuple[Calibration, ...]) -> tuple[Calibration, ...]:
    """One slope and an intercept a class, the first one's 0: the multinomial regression of the class on the logits,
    shrunk towards the old ones as Platt's is (vector scaling, Guo et al. 2017, with one temperature)."""
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

    start = np.array([old[0].slope, *(one.intercept - old[0].intercept for one in old[1:])])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    before, after = (-2 * (label * _log(softmax(z[0] * logit + np.append(0.0, z[1:])))).sum() for z in (start, found))
    slope, *intercepts = start + _share(before - after, len(start)) * (found - start)
    return tuple(Calibration(method="platt", slope=float(slope), intercept=float(b)) for b in (0.0, *intercepts))


class Learned(NamedTuple):
    """Logits of n cases that members learned from, all but the one that left their patient out."""

    members: Floats
    """(n, m, k)"""
    network: Floats
    """(n, k) of what is served: the mean of the members', or a student's."""


def levelled(found: TargetCalibrations, logit: Floats, learned: Learned, truth: Truth) -> TargetCalibrations:
    """The calibrations with the level that outcomes have, of members each of which left out some of the patients.

    Each patient is judged by the member that left him out and learned from by the others, so that chance has little
    part in how far what is said of all of them is from how often it came true: that much the members are off, which
    shrinking would leave. And the mean of their logits says less of a rare outcome than they do in the mean, as it
    evens out where they differ. Isotonic steps, and no calibration, stay.

    Args:
        found: as `fit_calibrations` has them.
        logit: (n, k) of the members that left the cases' patients out.
        learned: of the same cases.
        truth: of the n cases.
    """
    if any(part.method != "platt" for part in found.parts):
        return found
    slope, intercept = (np.array([getattr(part, name) for part in found.parts]) for name in ("slope", "intercept"))
    said, *others = (slope * array + intercept for array in (logit, *learned))
    if found.targets.kind == "classes":
        moved = _levels(said, Learned(*others), np.ones(len(said)), truth.label)
        moved = moved - moved[0]
    else:
        moved = np.empty(len(slope))
        for at in range(len(slope)):
            known = truth.weight[:, at] > 0
            one, *rest = (_beside_none(array[known][..., at]) for array in (said, *others))
            label = np.stack([1 - truth.label[known, at], truth.label[known, at]], axis=1)
            absent, there = _levels(one, Learned(*rest), truth.weight[known, at], label)
            moved[at] = there - absent
    levels = zip(found.parts, intercept + moved, strict=True)
    return replace(found, parts=tuple(replace(part, intercept=float(level)) for part, level in levels))


def _beside_none(logit: Floats) -> Floats:
    """Logits (...) of an outcome as those of two classes (..., 2): that it is not there, and that it is."""
    return np.stack([np.zeros_like(logit), logit], axis=-1)


def _levels(said: Floats, learned: Learned, weight: Floats, label: Floats) -> Floats:
    """What to add to the logits (n, k) of classes, so that what is served has the labels' level."""
    first = _intercepts(said, weight, np.average(label, axis=0, weights=weight))
    wanted = np.average(softmax(learned.members + first).mean(axis=1), axis=0, weights=weight)
    return first + _intercepts(learned.network + first, weight, wanted)


def _intercepts(logit: Floats, weight: Floats, mean: Floats) -> Floats:
    """(k,) with which the softmax of logits (n, k) has these means: the least of a convex function."""
    share = weight / weight.sum()

    def loss(found: Floats) -> tuple[float, Floats]:
        z = logit + found
        return float(share @ logsumexp(z, axis=1) - mean @ found), share @ softmax(z) - mean

    return np.asarray(minimize(loss, np.zeros(len(mean)), jac=True, method="BFGS", options={"gtol": 1e-9}).x)


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
    method: Method,
    logit: NDArray[Any],
    label: NDArray[Any],
    weight: NDArray[Any] | None = None,
    old: Calibration = NOTHING,
) -> Calibration:
    """The calibration learned from logits (n,) and outcomes (n,) that the network was not trained on.

    platt is the logistic regression of the outcome on the logit (Platt 1999), shrunk towards the old calibration, or
    towards none: where these cases do not refute that one, nothing changes, and the more they do, the more does.

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
    if old.method == "isotonic":
        new = fit_calibration(method, x, y, weights)
        gain = _deviance(old, x, y, weights) - _deviance(new, x, y, weights)
        return new if gain > STEP * max(2, len(set(new.knots_y))) else old
    line = _fit_platt(x, y, weights, old)
    return line if method == "platt" else _steps_or_line(x, y, weights, line)


def _deviance(calibration: Calibration, x: Floats, y: Floats, weight: Floats) -> float:
    risk = apply_calibration(calibration, x)
    return float(-2 * (weight * (y * _log(risk) + (1 - y) * _log(1 - risk))).sum())


def _soft_targets(y: Floats) -> tuple[float, float]:
    positives = float(y.sum())
    return 1 / (len(y) - positives + 2), (positives + 1) / (positives + 2)


def _fit_platt(x: Floats, y: Floats, weight: Floats, old: Calibration) -> Calibration:
    if np.ptp(x) == 0:  # every slope fits as well: only the level can be learned
        level = float(logit_of(np.average(y, weights=weight, keepdims=True))[0] - old.slope * x[0])
        return _shrunk(Calibration("platt", old.slope, level), x, y, weight, old, 1)
    prior = 1 / len(x)  # a case that came true as said: there is an answer where the logit tells all apart
    total = weight + prior
    positive = weight * y + prior * sigmoid(x)
    centre, spread = x.mean(), x.std()
    design = np.column_stack([np.ones_like(x), (x - centre) / spread])
    level, steepness = logistic_regression(
        design, np.zeros_like(x), positive[None] / (1 + prior), total[None] / (1 + prior)
    )[0]
    if not np.isfinite(steepness):  # the logit tells all apart: no finite line says more than the old one
        return Calibration("platt", old.slope, old.intercept)
    slope = float(steepness / spread)
    return _shrunk(Calibration("platt", slope, float(level - slope * centre)), x, y, weight, old, 2)


def _shrunk(line: Calibration, x: Floats, y: Floats, weight: Floats, old: Calibration, parameters: int) -> Calibration:
    """The line as far from the old one as the cases tell."""
    share = _share(_deviance(old, x, y, weight) - _deviance(line, x, y, weight), parameters)
    slope, intercept = old.slope + share * (line.slope - old.slope), share * line.intercept
    return Calibration("platt", slope, intercept + (1 - share) * old.intercept)


def _steps_or_line(x: Floats, y: Floats, weight: Floats, line: Calibration) -> Calibration:
    """The steps, if each of them lowers the line's deviance enough in the mean."""
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
