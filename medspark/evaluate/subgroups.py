"""How the model serves each subgroup, and how far from all others: what a hospital asks of fairness.

Levels and the rest are measured in the same resamples of patients, so that a difference has an interval of its own.
"""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medspark.evaluate.bootstrap import Resamples, interval_of, over_resamples, sample_of
from medspark.evaluate.logistic import Floats
from medspark.evaluate.metrics import measure_of, performance, why_absent
from medspark.evaluate.ranked import METRICS
from medspark.privacy.small_cells import HIDDEN, HIDDEN_REASON, distinct, publishable_counts
from medspark.task.training import LEAST_NAMED

MISSING: Final = "missing"

RARE: Final = "rarer levels"

FEW_CASES: Final = 50

FEW_OUTCOMES: Final = 5

JUDGED: Final = {"auroc": 1, "calibration_intercept": 0, "calibration_slope": 0}
"""What levels are compared with the rest by: 1 where only less is worse, 0 where any difference is."""

NOT_BY_CHANCE: Final = 0.05
"""The chance that any level at all is named where none differs."""

Estimate = dict[str, float | str | None]
"""`value`, `low` and `high`; where one is None, `reason` says why."""


class Cases(NamedTuple):
    """What n cases are measured by, (n,) each."""

    label: NDArray[Any]
    risk: NDArray[Any]
    subject: NDArray[Any]
    weight: NDArray[Any]

    def part(self, rows: NDArray[Any]) -> "Cases":
        return Cases(*(values[rows] for values in self))


class Drawing(NamedTuple):
    resamples: int
    seed: int


def levels_of(values: "pd.Series[Any]") -> NDArray[Any]:
    """The level of each case as text, (n,); null is MISSING."""
    return values.astype(object).where(values.notna(), MISSING).astype(str).to_numpy()


def subgroup_rows(
    values: "pd.Series[Any]", column: str, every: Cases, drawing: Drawing, names_of_few: bool
) -> list[dict[str, Any]]:
    """One dict a level, the missing ones last: `column`, `level`, `cases`, `positives`, `prevalence`,
    `mean_probability`, `metrics` (by name an Estimate), `difference` (the level's less those of all other cases) and
    `reason`, why the level has no metrics.

    Args:
        values: (n,) the column; null is the level "missing".
        column: its name.
        every: all cases.
        drawing: the bootstrap.
        names_of_few: whether levels of fewer than LEAST_NAMED cases keep their names.
    """
    levels = levels_of(values)
    if not names_of_few:
        levels = few_together(levels, every.subject)
    names = sorted(set(levels), key=lambda level: (level == MISSING, level))
    place = pd.Categorical(levels, categories=names).codes.astype(np.intp)
    reasons = [too_small(*_counts(every.label[place == at])) for at in range(len(names))]
    spread = _spread(every, place, reasons, drawing) if any(reason is None for reason in reasons) else {}
    rows = [
        _row(column, name, every, place == at, reasons[at], {key: found[:, at] for key, found in spread.items()})
        for at, name in enumerate(names)
    ]
    _hide_counts(rows, [_patients(every, place == at) for at in range(len(names))])
    return rows


def _patients(every: Cases, inside: NDArray[np.bool_]) -> tuple[int, int, int]:
    """The patients of some cases: all, those of the cases with the outcome, and of those without."""
    positive = every.label == 1
    return tuple(distinct(every.subject, part) for part in (inside, inside & positive, inside & ~positive))  # type: ignore[return-value]


def _spread(every: Cases, place: NDArray[np.intp], reasons: list[str | None], drawing: Drawing) -> dict[str, Floats]:
    """Of resamples the METRICS (b, m) of each level, and as `rest NAME` of all other cases."""
    sample = sample_of(every.label.astype(bool), every.risk, every.subject, every.weight, place)
    measure = measure_of(sample)
    none = dict.fromkeys(METRICS, None)

    def of_levels(drawn: Resamples) -> Mapping[str, Floats]:
        one, zero = drawn.positive.sum(axis=1), drawn.negative.sum(axis=1)
        found: dict[str, list[Floats]] = {name: [] for key in none for name in (key, f"rest {key}")}
        for at, reason in enumerate(reasons):
            inside = drawn.positive[:, at], drawn.negative[:, at]
            outside = one - inside[0], zero - inside[1]
            for prefix, (positive, negative) in (("", inside), ("rest ", outside)):
                figures = measure(positive, negative) if reason is None else {}
                for name in METRICS:
                    found[prefix + name].append(figures.get(name, np.full(len(one), np.nan)))
        return {name: np.stack(columns, axis=1) for name, columns in found.items()}

    return over_resamples(sample, drawing.resamples, drawing.seed, of_levels)


def _row(
    column: str,
    level: str,
    every: Cases,
    inside: NDArray[np.bool_],
    reason: str | None,
    spread: Mapping[str, Floats],
) -> dict[str, Any]:
    own, rest = every.part(inside), every.part(~inside)
    cases, positives = _counts(own.label)
    row: dict[str, Any] = {"column": column, "level": level, "cases": cases, "positives": positives}
    row |= {"prevalence": None, "mean_probability": None, "metrics": None, "difference": None, "reason": reason}
    if reason is not None:
        return row
    metrics = estimates(own, spread)
    why = too_small(*_counts(rest.label))
    shares = {"prevalence": own.label, "mean_probability": own.risk}
    row |= {name: round(float(np.average(values, weights=own.weight)), 3) for name, values in shares.items()}
    row |= {"metrics": metrics, "difference": None if why else _differences(metrics, rest, spread)}
    return row if why is None else row | {"difference_reason": f"all other cases: {why}"}


def estimates(cases: Cases, spread: Mapping[str, Floats]) -> dict[str, Estimate]:
    """Each of the METRICS of some cases, with the interval from its resamples."""
    values = performance(cases.label, cases.risk, cases.weight)
    return {
        name: estimate(value, spread[name], why_absent(name, cases.label, cases.weight))
        for name, value in values.items()
    }


def estimate(value: float | None, found: Floats, why: str) -> Estimate:
    """A value with the middle 95 % of its resamples (b,), and the reason where it, or its interval, does not exist."""
    low, high = (interval_of(found) or (None, None)) if value is not None else (None, None)
    one: Estimate = {"value": value, "low": low, "high": high}
    if value is None:
        return one | {"reason": why}
    return one if low is not None else one | {"reason": "more than one resample in ten has no value"}


def _differences(metrics: Mapping[str, Estimate], rest: Cases, spread: Mapping[str, Floats]) -> dict[str, Estimate]:
    others = performance(rest.label, rest.risk, rest.weight)
    found = {}
    for name, one in metrics.items():
        own, other = one["value"], others[name]
        value = None if other is None or not isinstance(own, float) else float(f"{own - other:.12g}")
        gaps = spread[name] - spread[f"rest {name}"]
        found[name] = estimate(value, gaps, "the level or all other cases have none")
        if value is not None and name in JUDGED:
            found[name]["p"] = two_sided(value, gaps)
    return found


def two_sided(value: float, found: Floats) -> float | None:
    """The chance of a difference as large where there is none, by the spread of its resamples (normal); None where
    fewer than nine in ten have a value, or all are the same."""
    defined = found[np.isfinite(found)]
    spread = float(defined.std()) if len(defined) >= 0.9 * len(found) and len(defined) > 1 else 0.0
    return 2 * NormalDist().cdf(-abs(value) / spread) if spread > 0 else None


def unequal(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The levels that the model serves otherwise than the rest, beyond chance.

    Each level is compared by what is JUDGED; of all these comparisons together the chance to name one where none
    differs is at most NOT_BY_CHANCE (Holm 1979, Scand J Stat 6:65).

    Returns:
        `compared`, how many comparisons there were, and `found`: `column`, `level`, `metric`, `difference`, and
        `worse`, whether the level is ranked worse, or merely served otherwise; the worse ones first.
    """
    tests = [
        (float(p), row, metric)
        for row in rows
        for metric in JUDGED
        if row["difference"] is not None and (p := row["difference"][metric].get("p")) is not None
    ]
    found = []
    for rank, (p, row, metric) in enumerate(sorted(tests, key=lambda test: test[0])):
        if p > NOT_BY_CHANCE / (len(tests) - rank):
            break
        gap = row["difference"][metric]
        about = {"column": row["column"], "level": row["level"], "metric": metric}
        found.append({**about, "difference": gap, "worse": bool(JUDGED[metric] and gap["value"] < 0)})
    return {"compared": len(tests), "found": sorted(found, key=lambda one: not one["worse"])}


def _counts(label: NDArray[Any]) -> tuple[int, int]:
    return len(label), int(label.sum())


def _hide_counts(rows: list[dict[str, Any]], patients: list[tuple[int, int, int]]) -> None:
    """Counts of 1 to 10 patients hidden, and what would give them away.

    Args:
        rows: of the levels.
        patients: how many there are of each, with the outcome, and without.
    """
    every = [row["cases"] for row in rows] + [row["positives"] for row in rows]
    every += [row["cases"] - row["positives"] for row in rows]
    shown = publishable_counts(every, [people for kind in zip(*patients, strict=True) for people in kind])
    for index, row in enumerate(rows):
        row["cases"], row["positives"] = shown[index], shown[len(rows) + index]
        if row["reason"] is None and HIDDEN in (shown[index + len(rows)], shown[index + 2 * len(rows)]):
            row["prevalence"] = row["mean_probability"] = None
            for figures in (row["metrics"], row["difference"] or {}):  # with the Brier score it says the share
                figures["scaled_brier"] = {"value": None, "low": None, "high": None, "reason": HIDDEN_REASON}


def few_together(levels: NDArray[Any], subject: NDArray[Any]) -> NDArray[Any]:
    """Levels of fewer than LEAST_NAMED patients as one: a rare name may say who it was."""
    names, place = np.unique(levels, return_inverse=True)
    patients = np.bincount(np.unique(np.stack([place, subject]), axis=1)[0], minlength=len(names))
    names = np.where((patients < LEAST_NAMED) & (names != MISSING), RARE, names)
    return np.asarray(names[place])


def too_small(cases: int, positives: int) -> str | None:
    """Why a level of so many cases is not measured; None where it is."""
    if cases < FEW_CASES:
        return f"fewer than {FEW_CASES} cases"
    if positives < FEW_OUTCOMES:
        return f"fewer than {FEW_OUTCOMES} cases with the outcome"
    if cases - positives < FEW_OUTCOMES:
        return f"fewer than {FEW_OUTCOMES} cases without the outcome"
    return None
