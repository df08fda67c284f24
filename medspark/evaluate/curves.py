"""What the report draws: ranking and calibration curves, the histogram of risks."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medspark.evaluate.logistic import Floats
from medspark.evaluate.metrics import checked
from medspark.evaluate.ranked import group_outcomes, tie_groups
from medspark.privacy.small_cells import SMALL

POINTS: Final = 200

RISK_BINS: Final = (40, 20, 10, 5)
"""Bars of the histogram: the first of these numbers of which MOST_HIDDEN holds, else the last."""

MOST_HIDDEN: Final = 0.2
"""Of the cases with the outcome, and of those without, in bars that are too small to be shown."""


def curves(label: NDArray[Any], probability: NDArray[Any], weight: NDArray[Any] | None = None) -> dict[str, Any]:
    """What the report draws, as JSON: at most 200 points a curve.

    roc: fpr, tpr; precision_recall: recall, precision (both empty unless both outcomes are there);
    calibration: one dict per tenth of the risks (`n`, `predicted` mean risk, `observed` share, `low`, `high`
    its 95 % Wilson interval), tenths joined until each holds 11 cases of each outcome, so that no small cell
    shows; histogram: `edges` and counts of `negative` and `positive` cases, None for a count of 1 to 10.
    """
    y, p = checked(label, probability)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    return {
        **_ranking_curves(y, p, w),
        "calibration": _calibration_bins(y, p, w),
        "histogram": _histogram(y, p),
    }


def _ranking_curves(y: NDArray[np.bool_], p: Floats, w: Floats) -> dict[str, dict[str, list[float]]]:
    if y.all() or not y.any():
        return {"roc": {"fpr": [], "tpr": []}, "precision_recall": {"recall": [], "precision": []}}
    order, starts = tie_groups(p)
    positive, negative = group_outcomes(w[order][None], y[order], starts)
    tp, fp = np.cumsum(positive[0]), np.cumsum(negative[0])
    tpr, fpr = np.append(0.0, tp / tp[-1]), np.append(0.0, fp / fp[-1])
    recall, precision = tpr[1:][tp > 0], (tp / (tp + fp))[tp > 0]
    roc, pr = _thin(tpr + fpr), _thin(recall)
    return {
        "roc": {"fpr": _rounded(fpr[roc]), "tpr": _rounded(tpr[roc])},
        "precision_recall": {"recall": _rounded(recall[pr]), "precision": _rounded(precision[pr])},
    }


def _thin(length: Floats) -> NDArray[np.intp]:
    """At most POINTS indices, evenly spaced by the curve's length so far (rising), both ends kept."""
    wanted = np.linspace(length[0], length[-1], POINTS)
    return np.unique(np.append(np.searchsorted(length, wanted)[:-1], len(length) - 1))


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 6) for value in values]


def _calibration_bins(y: NDArray[np.bool_], p: Floats, w: Floats) -> list[dict[str, Any]]:
    order = np.argsort(p, kind="stable")
    y, p, w = y[order], p[order], w[order]
    if not len(p):
        return []
    cuts = np.unique(np.searchsorted(p, np.quantile(p, np.arange(0.1, 1, 0.1)), side="right"))
    pieces = _joined([part for part in np.split(np.arange(len(p)), cuts) if len(part)], y)
    return [_calibration_bin(y[piece], p[piece], w[piece]) for piece in pieces]


def _joined(pieces: list[NDArray[np.intp]], y: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Neighbours joined until each piece holds SMALL cases of each outcome; none if all together do not."""
    joined: list[NDArray[np.intp]] = []
    for piece in pieces:
        if joined and not _large(y[joined[-1]]):
            joined[-1] = np.append(joined[-1], piece)
        else:
            joined.append(piece)
    if len(joined) > 1 and not _large(y[joined[-1]]):
        joined[-2:] = [np.append(joined[-2], joined[-1])]
    return [piece for piece in joined if _large(y[piece])]


def _large(y: NDArray[np.bool_]) -> bool:
    return bool(min(y.sum(), (~y).sum()) >= SMALL)


def _calibration_bin(y: NDArray[np.bool_], p: Floats, w: Floats) -> dict[str, Any]:
    observed = float(np.average(y, weights=w))
    low, high = wilson(observed * len(y), len(y))
    return {
        "n": len(y),
        "predicted": float(np.average(p, weights=w)),
        "observed": observed,
        "low": low,
        "high": high,
    }


def wilson(positives: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927); within 0 and 1 for every n > 0."""
    z = 1.959963984540054
    share, scale = positives / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def _histogram(y: NDArray[np.bool_], p: Floats) -> dict[str, list[Any]]:
    top = float(np.ceil(p.max(initial=0.05) * 20) / 20)
    for bins in RISK_BINS:
        edges = np.linspace(0.0, top, bins + 1)
        counts = {name: np.histogram(p[chosen], edges)[0] for name, chosen in (("negative", ~y), ("positive", y))}
        if all(n[n < SMALL].sum() <= MOST_HIDDEN * n.sum() for n in counts.values()):
            break
    hidden = {name: [None if 0 < n < SMALL else int(n) for n in values] for name, values in counts.items()}
    return {"edges": _rounded(edges), **hidden}
