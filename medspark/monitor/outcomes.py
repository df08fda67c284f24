"""Performance once the outcomes of scored cases are known, period by period."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medspark.evaluate.bootstrap import interval_of
from medspark.evaluate.metrics import performance, resampled
from medspark.evaluate.subgroups import FEW_CASES
from medspark.privacy.small_cells import SMALL

RESAMPLES: Final = 300
LEAST_WORSE: Final = 0.05
"""By how much the AUROC of a part of the cases has to be lower than that of all to be told."""

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


@dataclass(frozen=True)
class Part:
    """The cases of one level of a subgroup whose outcome is known."""

    column: str
    level: str
    period: Period


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


def by_group(
    column: str,
    level: npt.NDArray[Any],
    label: npt.NDArray[Any],
    probability: Floats,
    subject: npt.NDArray[Any],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Part]:
    """The same of each level of a subgroup, of all nights together."""
    periods = by_period(level, label, probability, subject, resamples, seed)
    return [Part(column, period.name, period) for period in periods]


def worse(whole: Period, parts: Sequence[Part]) -> list[Part]:
    """The parts in which the AUROC is lower by LEAST_WORSE at least, and by more than chance: intervals apart."""
    value, low = (whole.figures.get("auroc", {}).get(name) for name in ("value", "low"))
    if value is None or low is None:
        return []
    found = []
    for part in parts:
        own, high = (part.period.figures.get("auroc", {}).get(name) for name in ("value", "high"))
        if own is not None and high is not None and high < low and value - own >= LEAST_WORSE:
            found.append(part)
    return found


def too_small(cases: int, positives: int) -> str | None:
    """Why nothing is said of so few cases."""
    if cases < FEW_CASES:
        return f"fewer than {FEW_CASES} cases"
    if min(positives, cases - positives) < SMALL:
        return f"fewer than {SMALL} cases with, or without, the outcome"
    return None
