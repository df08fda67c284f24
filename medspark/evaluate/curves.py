"""What the report draws: ranking and calibration curves, the histogram of risks."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medspark.evaluate.logistic import Floats
from medspark.evaluate.metrics import checked
from medspark.evaluate.ranked import group_outcomes, tie_groups
from medspark.privacy.small_cells import SMALL, distinct

POINTS: Final = 200

RISK_BINS: Final = (40, 20, 10, 5)
"""Bars of the histogram: the first of these numbers of which MOST_HIDDEN holds, else the last."""

MOST_HIDDEN: Final = 0.2
"""Of the cases with the outcome, and of those without, in bars that are too small to be shown."""


def curves(
    label: NDArray[Any],
    probability: NDArray[Any],
    weight: NDArray[Any] | None = None,
    subject: NDArray[Any] | None = None,
) -> dict[str, Any]:
    """What the report draws, as JSON: at most 200 points a curve.

    roc: fpr, tpr; precision_recall: recall, precision (both empty unless both outcomes are there);
    calibration: one dict per tenth of the risks (`n`, `predicted` mean risk, `observed` share, `low`, `high`
    its 95 % Wilson interval), tenths joined until each holds 11 patients of each outcome, so that no small cell
    shows; histogram: `edges` and counts of `negative` and `positive` cases, None for those of 1 to 10 patients.
    Without `subject`, whose case each is, every case counts as a patient.
    """
    y, p = checked(label, probability)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    who = np.arange(len(y)) if subject is None else np.asarray(subject)
    return {
        **_ranking_curves(y, p, w),
        "calibration": _calibration_bins(y, p, w, who),
        "histogram": _histogram(y, p, who),
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


def _calibration_bins(y: NDArray[np.bool_], p: Floats, w: Floats, who: NDArray[Any]) -> list[dict[str, Any]]:
    order = np.argsort(p, kind="stable")
    y, p, w, who = y[order], p[order], w[order], who[order]
    if not len(p):
        return []
    cuts = np.unique(np.searchsorted(p, np.quantile(p, np.arange(0.1, 1, 0.1)), side="right"))
    pieces = _joined([part for part in np.split(np.arange(len(p)), cuts) if len(part)], y, who)
    return [_calibration_bin(y[piece], p[piece], w[piece]) for piece in pieces]


def _joined(pieces: list[NDArray[np.intp]], y: NDArray[np.bool_], who: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Neighbours joined until each piece holds SMALL patients of each outcome; none if all together do not."""

    def large(piece: NDArray[np.intp]) -> bool:
        return min(distinct(who[piece], y[piece]), distinct(who[piece], ~y[piece])) >= SMALL

    joined: list[NDArray[np.intp]] = []
    for piece in pieces:
        if joined and not large(joined[-1]):
            joined[-1] = np.append(joined[-1], piece)
        else:
            joined.append(piece)
    if len(joined) > 1 and not large(joined[-1]):
        joined[-2:] = [np.append(joined[-2], joined[-1])]
    return [piece for piece in joined if large(piece)]


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


def _histogram(y: NDArray[np.bool_], p: Floats, who: NDArray[Any]) -> dict[str, list[Any]]:
    top = float(np.ceil(p.max(initial=0.05) * 20) / 20)
    for bins in RISK_BINS:
        edges = np.linspace(0.0, top, bins + 1)
        place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, bins - 1)  # as np.histogram has it
        cases = {name: np.bincount(place[of], minlength=bins) for name, of in (("negative", ~y), ("positive", y))}
        shown = {
            name: [_bar(who, chosen & (place == at)) for at in range(bins)]
            for name, chosen in (("negative", ~y), ("positive", y))
        }
        hidden = {
            name: [n for n, bar in zip(cases[name], bars, strict=True) if bar is None] for name, bars in shown.items()
        }
        if all(sum(hidden[name]) <= MOST_HIDDEN * cases[name].sum() for name in cases):
            break
    return {"edges": _rounded(edges), **shown}


def _bar(who: NDArray[Any], inside: NDArray[np.bool_]) -> int | None:
    """Cases in a bar; None where they are of 1 to 10 patients."""
    return None if 0 < distinct(who, inside) < SMALL else int(inside.sum())
