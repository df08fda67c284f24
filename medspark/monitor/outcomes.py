"""Performance once the outcomes of scored cases are known, period by period."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medspark.evaluate.metrics import interval_of, performance, resampled
from medspark.privacy.small_cells import SMALL

FEW_CASES: Final = 50
FEW_OUTCOMES: Final = 5
RESAMPLES: Final = 300

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Period:
    """The cases of one period whose outcome is known."""

    name: str
    cases: int
    positives: int
    figures: dict[str, dict[str, float | None]]
    """By metric value, low and high (95 %, resampling patients); none where there are too few."""
    reason: str | None = None
    """Why there are none."""


def by_period(
    period: npt.NDArray[Any],
    label: npt.NDArray[Any],
    probability: Floats,
    subject: npt.NDArray[Any],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Period]:
    """What came true of n cases, period by period in the order of their names; each argument is (n,)."""
    found = []
    for name in np.unique(period):
        inside = period == name
        found.append(_period(str(name), label[inside], probability[inside], subject[inside], resamples, seed))
    return found


def _period(
    name: str, label: npt.NDArray[Any], risk: Floats, subject: npt.NDArray[Any], resamples: int, seed: int
) -> Period:
    cases, positives = len(label), int(label.sum())
    reason = too_small(cases, positives)
    if reason:
        return Period(name, cases, positives, {}, reason)
    values = performance(label, risk)
    drawn = resampled(label, risk, subject, resamples, seed)
    figures = {}
    for metric, value in values.items():
        low, high = interval_of(drawn[metric]) or (None, None)
        figures[metric] = {"value": value, "low": low, "high": high}
    return Period(name, cases, positives, figures)


def too_small(cases: int, positives: int) -> str | None:
    """Why nothing is said of so few cases."""
    if cases < FEW_CASES:
        return f"fewer than {FEW_CASES} cases"
    if min(positives, cases - positives) < max(FEW_OUTCOMES, SMALL):
        return f"fewer than {max(FEW_OUTCOMES, SMALL)} cases with, or without, the outcome"
    return None


def promised(periods: Sequence[Period], estimates: dict[str, dict[str, dict[str, float | None]]]) -> dict[str, bool]:
    """Whether each period's AUROC and Brier score came out within what was estimated, by `PERIOD METRIC`."""
    found = {}
    for period in periods:
        for metric in ("auroc", "brier"):
            estimate = estimates.get(period.name, {}).get(metric, {})
            value, low, high = period.figures.get(metric, {}).get("value"), estimate.get("low"), estimate.get("high")
            if value is not None and low is not None and high is not None:
                found[f"{period.name} {metric}"] = low <= value <= high
    return found
