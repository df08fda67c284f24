"""The held-out test set as metrics.json: performance with intervals, baselines, thresholds and subgroups.

What is written here leaves the hospital with the bundle, so counts of 1 to 10 patients are hidden here and
not in the report, and so is every number they could be worked out from.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medspark.errors import InputError, did_you_mean
from medspark.evaluate.metrics import SMALL, at_thresholds, curves, intervals, performance
from medspark.schemas import CASE_ID, LABEL, PROBABILITY, SUBJECT_ID
from medspark.task.table_task import Task

MISSING: Final = "missing"
FEW_CASES: Final = 50
FEW_OUTCOMES: Final = 5
HIDDEN: Final = f"<{SMALL}"
_CELLS: Final = ("tp", "fp", "fn", "tn", "positives")


def evaluate(frame: pd.DataFrame, task: Task, baselines: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """JSON-able metrics of the test split.

    Args:
        frame: one row per case with `case_id`, `subject_id`, `boolean_value` (no nulls), `probability`, and
            every column of `task.report.subgroups` (null is the level "missing").
        baselines: by name, probabilities (n,) in the order of `frame`.

    Returns:
        `test`: counts, `metrics` as name → value, low, high (95 %, resampling patients), `curves` and
        `thresholds`;
        `baselines`: by name, `metrics`; `subgroups`: one dict per column and level, `metrics` None with a
        `reason` where the level is too small; `intervals`: how they were made.

    Raises:
        InputError: a column is absent, the label has nulls, or a baseline has another length.
    """
    _check(frame, task, baselines)
    label, risk = frame[LABEL].to_numpy(dtype=np.int8), frame[PROBABILITY].to_numpy(dtype=np.float64)
    subject = pd.factorize(frame[SUBJECT_ID])[0]
    subgroups = [
        row
        for column in task.report.subgroups
        for row in _subgroup_rows(frame[column], column, label, risk, subject, task)
    ]
    return {
        "test": {
            "cases": len(frame),
            "subjects": int(frame[SUBJECT_ID].nunique()),
            "positives": int(label.sum()),
            "prevalence": float(label.mean()) if len(label) else None,
            "mean_probability": float(risk.mean()) if len(risk) else None,
            "metrics": _estimates(label, risk, subject, task),
            "curves": curves(label, risk),
            "thresholds": publishable_thresholds(at_thresholds(label, risk, task.risk_bands)),
        },
        "baselines": {
            name: {"metrics": _estimates(label, np.asarray(values), subject, task)}
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


def _estimates(
    label: NDArray[Any], risk: NDArray[Any], subject: NDArray[Any], task: Task
) -> dict[str, dict[str, float | None]]:
    spans = intervals(label, risk, subject, task.report.bootstrap, task.training.seed)
    return {
        name: dict(zip(("value", "low", "high"), (value, *(spans[name] or (None, None))), strict=True))
        for name, value in performance(label, risk).items()
    }


# ---------------------------------------------------------------- subgroups


def _subgroup_rows(
    values: "pd.Series[Any]",
    column: str,
    label: NDArray[Any],
    risk: NDArray[Any],
    subject: NDArray[Any],
    task: Task,
) -> list[dict[str, Any]]:
    levels = values.astype(object).where(values.notna(), MISSING).astype(str).to_numpy()
    names = sorted(set(levels), key=lambda level: (level == MISSING, level))
    rows = []
    for level in names:
        inside = levels == level
        cases, positives = int(inside.sum()), int(label[inside].sum())
        reason = _too_small(cases, positives)
        estimates = None if reason else _estimates(label[inside], risk[inside], subject[inside], task)
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
    counts = publishable_counts([row[key] for key in ("cases", "positives", "negatives") for row in rows])
    for index, row in enumerate(rows):
        row["cases"], row["positives"] = counts[index], counts[len(rows) + index]
        del row["negatives"]
    return rows


def _too_small(cases: int, positives: int) -> str | None:
    if cases < FEW_CASES:
        return f"fewer than {FEW_CASES} cases"
    if positives < FEW_OUTCOMES:
        return f"fewer than {FEW_OUTCOMES} cases with the outcome"
    if cases - positives < FEW_OUTCOMES:
        return f"fewer than {FEW_OUTCOMES} cases without the outcome"
    return None


def publishable_counts(counts: Sequence[int]) -> list[int | str]:
    """Counts that may add up to one another, to be shown together.

    Those of 1 to 10 become "<11", and then all the others are rounded to tens ("~120"), or a total would
    give the hidden one away.
    """
    small = any(map(_is_small, counts))

    def shown(count: int) -> int | str:
        if _is_small(count):
            return HIDDEN
        return f"~{(count + 5) // 10 * 10}" if small and count else count

    return [shown(count) for count in counts]


def _is_small(count: int) -> bool:
    return 0 < count < SMALL


# ---------------------------------------------------------------- thresholds


def publishable_thresholds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `at_thresholds` without small cells, and without tp, fp, fn and tn.

    A row that shows, or gives away, a count of 1 to 10 keeps its band and limits only; the band below it
    then loses its own counts, or the difference between its neighbours would give the hidden one away.
    """
    hidden = [_gives_away(row) for row in rows]
    published = []
    for row, gone, above in zip(rows, hidden, [*hidden[1:], False], strict=False):
        keep = {"band", "from", "to"} if gone else set(row)
        keep -= {"n", "observed"} if above else set()
        reason = f"a count below {SMALL} is not shown" if gone or above else None
        published.append(
            {key: row[key] if key in keep else None for key in row if key not in _CELLS} | {"reason": reason}
        )
    return published


def _gives_away(row: Mapping[str, Any]) -> bool:
    counts = (
        row["tp"],
        row["fp"],
        row["fn"],
        row["tn"],
        row["n"],
        row["positives"],
        row["n"] - row["positives"],
    )
    return any(map(_is_small, counts))
