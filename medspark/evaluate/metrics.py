"""Discrimination and calibration of risks, with patient-level intervals: pure functions on numpy arrays.

Everywhere `label` is (n,) of 0 and 1 and `probability` is (n,) within 0 and 1; anything else is an
InputError. Training, the report and monitoring share these functions.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medspark.errors import InputError
from medspark.evaluate.bootstrap import Sample, interval_of, over_resamples, sample_of, whole
from medspark.evaluate.logistic import Floats, logit
from medspark.evaluate.ranked import METRICS, group_outcomes, grouped_metrics, slope, tie_groups
from medspark.evaluate.smooth import ERRORS, LEAST_OUTCOMES, smooth_design
from medspark.privacy.small_cells import FEWEST, distinct


def performance(
    label: NDArray[Any], probability: NDArray[Any], weight: NDArray[Any] | None = None
) -> dict[str, float | None]:
    """The METRICS; None where one does not exist, as the AUROC of cases with one outcome: `why_absent` says why.

    auroc: ties count half; auprc: average precision, without interpolation; brier and log_loss: means,
    log_loss with risks moved a hair inside 0 and 1, all as scikit-learn has them; scaled_brier: 1 less the
    Brier score over that of the outcome's share as everybody's risk (Steyerberg et al. 2010, Epidemiology
    21:128). Calibration as in Van Calster et al. 2019 (BMC Medicine 17:230): slope is the coefficient of
    logit(risk) in an unpenalised logistic regression of the outcome (ideal 1; below 1, risks too extreme);
    intercept is calibration-in-the-large, the intercept of that regression with the slope fixed at 1 (ideal
    0; below 0, risks too high on average); observed_expected, the outcome's share over the mean risk (ideal
    1); e_average, e50, e90 and e_max of a smooth curve, see `medspark.evaluate.smooth` (ideal 0). sharpness:
    the standard deviation of the risks.

    >>> performance(np.array([0, 1]), np.array([0.2, 0.9]))["auroc"]
    1.0
    """
    y, p = checked(label, probability)
    weights = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    if weights.shape != y.shape or not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError(f"metrics: expected a weight of at least 0 for each of {len(y)} cases, received others")
    if not weights.any():
        return dict.fromkeys(METRICS)
    order, starts = tie_groups(p)
    positive, negative = group_outcomes(weights[order][None], y[order], starts)
    risk = p[order][starts]
    values = grouped_metrics(risk, positive, negative, smooth=smooth_design(logit(risk), positive[0], negative[0]))
    return {name: float(values[name][0]) if np.isfinite(values[name][0]) else None for name in METRICS}


def why_absent(name: str, label: NDArray[Any], weight: NDArray[Any] | None = None) -> str:
    """Why a metric of these cases could not be computed.

    >>> why_absent("auroc", np.array([0, 0, 1]), np.array([1, 1, 0]))
    'no case has the outcome'
    """
    y = np.asarray(label).astype(bool)
    y = y if weight is None else y[np.asarray(weight) > 0]
    if not len(y):
        return "there is no case"
    if y.all() or not y.any():
        return f"no case {'has' if not y.any() else 'is without'} the outcome"
    if name in ERRORS and min(y.sum(), (~y).sum()) < LEAST_OUTCOMES:
        return f"fewer than {LEAST_OUTCOMES} cases of the rarer outcome: a smooth curve would be one of chance"
    return "the risks are all the same, or tell the outcomes apart without an exception"


def intervals(
    label: NDArray[Any], probability: NDArray[Any], subject: NDArray[Any], resamples: int, seed: int
) -> dict[str, tuple[float, float] | None]:
    """95 % percentile intervals of the METRICS from a bootstrap of patients, all cases of a patient together.

    None where more than one resample in ten has no value (one outcome only, or outcomes separated by the
    risk).
    """
    found = resampled(label, probability, subject, resamples, seed)
    return {name: interval_of(found[name]) for name in METRICS}


def resampled(
    label: NDArray[Any],
    probability: NDArray[Any],
    subject: NDArray[Any],
    resamples: int,
    seed: int,
    weight: NDArray[Any] | None = None,
) -> dict[str, Floats]:
    """The METRICS (resamples,) of a bootstrap of patients; the same seed draws the same patients for every model.

    A resample draws as many patients as there are, with replacement: an integer weight for each patient, by which
    the `weight` of each of their cases is multiplied.
    """
    y, p = checked(label, probability)
    sample = sample_of(y, p, subject, weight)
    if not len(y):
        return {name: np.full(resamples, np.nan) for name in METRICS}
    measure = measure_of(sample)
    return over_resamples(sample, resamples, seed, lambda drawn: measure(drawn.positive[:, 0], drawn.negative[:, 0]))


def measure_of(sample: Sample) -> Callable[[Floats, Floats], dict[str, Floats]]:
    """METRICS of weightings (b, g) with and without the outcome, of cases much like a sample's."""
    every = whole(sample)
    positive, negative = every.positive.sum(axis=1), every.negative.sum(axis=1)
    log_odds = logit(sample.risk)
    fit = slope(log_odds, positive, negative)[0]
    start = fit if np.isfinite(fit).all() else None
    smooth = smooth_design(log_odds, positive[0], negative[0])
    return lambda with_it, without: grouped_metrics(sample.risk, with_it, without, start, smooth)


def checked(label: NDArray[Any], probability: NDArray[Any]) -> tuple[NDArray[np.bool_], Floats]:
    y, p = np.asarray(label), np.asarray(probability, dtype=np.float64)
    if y.shape != p.shape or y.ndim != 1:
        raise InputError(f"metrics: expected one risk for each label, received {p.shape} for {y.shape}")
    if not np.isin(y, (0, 1)).all():
        raise InputError("metrics: expected labels of 0 and 1, received others")
    outside = int((~((p >= 0) & (p <= 1))).sum())
    if outside:
        raise InputError(f"metrics: expected risks within 0 and 1, received {outside} of {len(p)} outside or NaN")
    return y.astype(bool), p


def at_thresholds(
    label: NDArray[Any],
    probability: NDArray[Any],
    bands: Mapping[str, float],
    weight: NDArray[Any] | None = None,
    subject: NDArray[Any] | None = None,
) -> list[dict[str, Any]]:
    """What flagging every case at or above a band's start does, and how often each band came true.

    One dict per band, from the lowest, beginning with the band `low` below all of them: `band`, `from`,
    `to`, `n`, `positives` and `observed` (their share) within the band; `flagged`, `flagged_share`,
    `sensitivity`, `specificity`, `ppv`, `npv`, `net_benefit` (see `medspark.evaluate.decisions`) and the
    counts `tp`, `fp`, `fn`, `tn` of flagging at its start. A share of nobody is None, and no band at all
    gives no dict. Counts are exact: `evaluate` hides the small ones, by `fewest_patients`, which is there where
    `subject` says whose case each is. Shares go by the cases' weights, 1 where there are none.
    """
    y, p = checked(label, probability)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    starts = sorted([("low", 0.0), *bands.items()], key=lambda band: band[1]) if bands else []
    ends = [start for _, start in starts[1:]] + [np.inf]
    rows = [_band(y, p, w, name, start, end) for (name, start), end in zip(starts, ends, strict=False)]
    if subject is None:
        return rows
    return [{**row, FEWEST: _fewest_patients(y, p, row["from"], row["to"], subject)} for row in rows]


def _fewest_patients(y: NDArray[np.bool_], p: Floats, start: float, end: float, subject: NDArray[Any]) -> int:
    """The distinct patients of the smallest cell of a band that is not empty."""
    flagged, within = p >= start, (p >= start) & ((p < end) | (end == 1))
    cells = [part & outcome for part in (flagged, ~flagged, within) for outcome in (y, ~y)]
    return min((distinct(subject, cell) for cell in cells if cell.any()), default=0)


def _band(y: NDArray[np.bool_], p: Floats, w: Floats, name: str, start: float, end: float) -> dict[str, Any]:
    flagged = p >= start
    within = flagged & (p < end)
    tp, fp = int((flagged & y).sum()), int((flagged & ~y).sum())
    fn, tn = int(y.sum()) - tp, int((~y).sum()) - fp
    positives, n = int((within & y).sum()), int(within.sum())
    return {
        "band": name,
        "from": start,
        "to": min(end, 1.0),
        "n": n,
        "positives": positives,
        "observed": _share(w, within & y, within),
        "flagged": tp + fp,
        "flagged_share": _share(w, flagged, np.ones_like(y)),
        "sensitivity": _share(w, flagged & y, y),
        "specificity": _share(w, ~flagged & ~y, ~y),
        "ppv": _share(w, flagged & y, flagged),
        "npv": _share(w, ~flagged & ~y, ~flagged),
        "net_benefit": float((w[flagged & y].sum() - w[flagged & ~y].sum() * start / (1 - start)) / w.sum()),
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
    }


def _share(weight: Floats, part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    return float(weight[part].sum() / weight[whole].sum()) if whole.any() else None
