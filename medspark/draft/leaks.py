"""Which columns say the outcome: too well to be known before it, or by their name."""

from collections import Counter
from typing import Final

import numpy as np

from medspark.draft.columns import ColumnProfile, Floats
from medspark.draft.outcome import DraftedOutcome, Labels
from medspark.draft.words import names_afterwards, names_discharge

TOO_WELL: Final = 0.98
"""AUROC of a column alone, from which on it is taken for a leak."""
_LEAST: Final = 20
"""Rows with and without the outcome that an AUROC is told by."""


def why_leak(column: ColumnProfile, outcome: DraftedOutcome) -> str | None:
    """Why a column should be no feature, or None."""
    alone = min((separation(column, labels) for labels in outcome.labels), default=0.5)
    if alone >= TOO_WELL:
        return f"leak? alone it tells the outcome with an AUROC of {alone:.3f}"
    at_discharge = any("readmi" in name.lower() for name in outcome.columns)
    if names_afterwards(column.name) or (names_discharge(column.name) and not at_discharge):
        return "leak? its name is of what is known only afterwards"
    return None


def separation(column: ColumnProfile, labels: Labels) -> float:
    """How well a column alone tells the outcome: the AUROC of its numbers, of its levels, or of its being missing,
    whichever is the largest, in whichever direction. Levels are learned on half of the rows and judged on the others.
    """
    known = np.isfinite(labels)
    if min((labels[known] == 1).sum(), (labels[known] == 0).sum()) < _LEAST:
        return 0.5
    absent = np.array([not text for text in column.present_values()], dtype=np.float64)
    found = [_auroc(absent[known], labels[known])]
    numbers = column.numbers() if column.type in ("integer", "long", "double") else np.full(len(labels), np.nan)
    there = known & np.isfinite(numbers)
    if there.any():
        found.append(_auroc(numbers[there], labels[there]))
    else:
        found.append(_of_levels(column, labels, known))
    return max(max(value, 1 - value) for value in found)


def _of_levels(column: ColumnProfile, labels: Labels, known: np.ndarray) -> float:
    texts = column.present_values()
    half = np.random.default_rng(0).random(len(labels)) < 0.5
    learn, judge = known & half, known & ~half
    mean = float(labels[learn].mean()) if learn.any() else 0.5
    total = Counter(texts[at] for at in np.flatnonzero(learn))
    positive = Counter(texts[at] for at in np.flatnonzero(learn) if labels[at] == 1)
    rate = {text: (positive[text] + mean) / (n + 1) for text, n in total.items()}
    risk = np.array([rate.get(texts[at], mean) for at in np.flatnonzero(judge)])
    return _auroc(risk, labels[judge])


def _auroc(score: Floats, label: Labels) -> float:
    """The AUROC, ties counting half; 0.5 where there is one outcome alone.

    >>> _auroc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    0.875
    """
    positive = int((label == 1).sum())
    negative = len(label) - positive
    if not positive or not negative:
        return 0.5
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[label == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))
