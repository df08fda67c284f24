"""The held-out test set as metrics.json: performance with intervals, baselines, thresholds and subgroups.

What is written here leaves the hospital with the bundle, so counts of 1 to 10 patients are hidden here and
not in the report, and so is every number they could be worked out from.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medspark.errors import InputError, did_you_mean
from medspark.evaluate.comparison import paired_differences
from medspark.evaluate.curves import curves
from medspark.evaluate.metrics import at_thresholds, interval_of, performance, resampled
from medspark.privacy.small_cells import distinct, publishable_counts, publishable_thresholds
from medspark.schemas import CASE_ID, LABEL, PROBABILITY, SUBJECT_ID
from medspark.task.tasks import Task
from medspark.task.training import LEAST_NAMED

MISSING: Final = "missing"

RARE: Final = "rarer levels"

FEW_CASES: Final = 50

FEW_OUTCOMES: Final = 5

Estimates = dict[str, dict[str, float | None]]
"""By metric its value, low and high."""


def evaluate(
    frame: pd.DataFrame, task: Task, baselines: Mapping[str, NDArray[Any]], weight: NDArray[Any] | None = None
) -> dict[str, Any]:
    """JSON-able metrics of the test split.

    Args:
        frame: one row per case with `case_id`, `subject_id`, `boolean_value` (no nulls), `probability`, and
            every column of `task.report.subgroups` (null is the level "missing").
        baselines: by name, probabilities (n,) in the order of `frame`.
        weight: (n,) of each case in every figure but the counts; 1 where there is none.

    Returns:
        `test`: counts, `metrics` as name → value, low, high (95 %, resampling patients), `curves` and
        `thresholds`;
        `baselines`: by name, `metrics`, and `difference`, the network's less theirs on the same patients;
        `subgroups`: one dict per column and level, `metrics` None with a `reason` where the level is too small;
        `intervals`: how they were made.

    Raises:
        InputError: a column is absent, the label has nulls, or a baseline has another length.
    """
    _check(frame, task, baselines)
    label, risk = frame[LABEL].to_numpy(dtype=np.int8), frame[PROBABILITY].to_numpy(dtype=np.float64)
    cases = _Cases(label, risk, pd.factorize(frame[SUBJECT_ID])[0], np.ones(len(frame)) if weight is None else weight)
    subgroups = [row for column in task.report.subgroups for row in _subgroup_rows(frame[column], column, cases, task)]
    own = cases.resampled(task)
    metrics = _with_intervals(performance(label, risk, cases.weight), own)
    return {
        "test": {
            "cases": len(frame),
            "subjects": int(frame[SUBJECT_ID].nunique()),
            "positives": int(label.sum()),
            "prevalence": float(np.average(label, weights=cases.weight)) if len(label) else None,
            "mean_probability": float(np.average(risk, weights=cases.weight)) if len(risk) else None,
            "metrics": metrics,
            "curves": curves(label, risk, cases.weight, cases.subject),
            "thresholds": publishable_thresholds(
                at_thresholds(label, risk, task.risk_bands, cases.weight, cases.subject)
            ),
        },
        "baselines": {
            name: _beside(cases._replace(risk=np.asarray(values)), task, own, metrics)
            for name, values in baselines.items()
        },
        "subgroups": subgroups,
        "intervals": {
            "level": 0.95,
            "resamples": task.report.bootstrap,
            "unit": "subject",
            "method": "percentile",
        },
    }


class _Cases(NamedTuple):
    """What n cases are measured by, (n,) each."""

    label: NDArray[Any]
    risk: NDArray[Any]
    subject: NDArray[Any]
    weight: NDArray[Any]

    def part(self, rows: NDArray[Any]) -> "_Cases":
        return _Cases(*(values[rows] for values in self))

    def resampled(self, task: Task) -> dict[str, NDArray[Any]]:
        return resampled(self.label, self.risk, self.subject, task.report.bootstrap, task.training.seed, self.weight)


def _check(frame: pd.DataFrame, task: Task, baselines: Mapping[str, NDArray[Any]]) -> None:
    needed = [CASE_ID, SUBJECT_ID, LABEL, PROBABILITY, *task.report.subgroups]
    for column in needed:
        if column not in frame:
            hint = did_you_mean(column, map(str, frame.columns))
            raise InputError(f"evaluation: expected the column {column!r}, received {list(frame.columns)}.{hint}")
    unknown = int(frame[LABEL].isna().sum())
    if unknown:
        raise InputError(f"evaluation: expected an outcome for each test case, received none for {unknown}")
    for name, values in baselines.items():
        if len(values) != len(frame):
            raise InputError(f"evaluation: expected {len(frame)} risks of {name!r}, received {len(values)}")


def _estimates(cases: _Cases, task: Task) -> Estimates:
    return _with_intervals(performance(cases.label, cases.risk, cases.weight), cases.resampled(task))


def _with_intervals(values: dict[str, float | None], found: dict[str, NDArray[Any]]) -> Estimates:
    spans = {name: interval_of(found[name]) or (None, None) for name in values}
    return {name: {"value": value, "low": spans[name][0], "high": spans[name][1]} for name, value in values.items()}


def _beside(cases: _Cases, task: Task, own: dict[str, NDArray[Any]], metrics: Estimates) -> dict[str, Any]:
    """A baseline's metrics, and how far the network is from it on the same patients."""
    values = performance(cases.label, cases.risk, cases.weight)
    found = cases.resampled(task)
    network = {name: one["value"] for name, one in metrics.items()}
    return {
        "metrics": _with_intervals(values, found),
        "difference": paired_differences(network, values, own, found),
    }


def _subgroup_rows(values: "pd.Series[Any]", column: str, every: _Cases, task: Task) -> list[dict[str, Any]]:
    levels = values.astype(object).where(values.notna(), MISSING).astype(str).to_numpy()
    if not task.privacy.names_of_few:
        levels = _few_together(levels, every.subject)
    positive = every.label == 1
    names = sorted(set(levels), key=lambda level: (level == MISSING, level))
    rows: list[dict[str, Any]] = []
    patients: dict[str, list[int]] = {"cases": [], "positives": [], "negatives": []}
    for level in names:
        inside = levels == level
        cases, positives = int(inside.sum()), int(every.label[inside].sum())
        reason = _too_small(cases, positives)
        for key, part in (("cases", inside), ("positives", inside & positive), ("negatives", inside & ~positive)):
            patients[key].append(distinct(every.subject, part))
        estimates = None if reason else _estimates(every.part(inside), task)
        rows.append(
            {
                "column": column,
                "level": level,
                "cases": cases,
                "positives": positives,
                "negatives": cases - positives,
                "metrics": estimates,
                "reason": reason,
            }
        )
    counts = publishable_counts(
        [row[key] for key in patients for row in rows], [people for found in patients.values() for people in found]
    )
    for index, row in enumerate(rows):
        row["cases"], row["positives"] = counts[index], counts[len(rows) + index]
        del row["negatives"]
    return rows


def _few_together(levels: NDArray[Any], subject: NDArray[Any]) -> NDArray[Any]:
    """Levels of fewer than LEAST_NAMED patients as one: a rare name may say who it was."""
    names, place = np.unique(levels, return_inverse=True)
    patients = np.bincount(np.unique(np.stack([place, subject]), axis=1)[0], minlength=len(names))
    names = np.where((patients < LEAST_NAMED) & (names != MISSING), RARE, names)
    return np.asarray(names[place])


def _too_small(cases: int, positives: int) -> str | None:
    if cases < FEW_CASES:
        return f"fewer than {FEW_CASES} cases"
    if positives < FEW_OUTCOMES:
        return f"fewer than {FEW_OUTCOMES} cases with the outcome"
    if cases - positives < FEW_OUTCOMES:
        return f"fewer than {FEW_OUTCOMES} cases without the outcome"
    return None
