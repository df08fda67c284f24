"""How good risks are, as metrics.json: performance with intervals, baselines, decisions, thresholds and subgroups.

The only evaluation there is: training measures its held-out patients by it, `medspark evaluate` other data, and
whoever has the outcomes of scores that were given does so too.

What is written here leaves the hospital with the bundle, so counts of 1 to 10 patients are hidden here and
not in the report, and so is every number they could be worked out from.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medspark.errors import InputError, did_you_mean
from medspark.evaluate.bootstrap import Resamples, Sample, over_resamples, sample_of
from medspark.evaluate.censoring import Truth
from medspark.evaluate.comparison import paired_differences
from medspark.evaluate.curves import curves
from medspark.evaluate.decisions import alerts, decision_curve, decision_figures
from medspark.evaluate.logistic import Floats
from medspark.evaluate.metrics import at_thresholds, checked, measure_of
from medspark.evaluate.subgroups import Cases, Drawing, estimates, subgroup_rows, unequal
from medspark.evaluate.targets import evaluate_targets
from medspark.privacy.small_cells import publishable_thresholds
from medspark.schemas import CASE_ID, LABEL, PROBABILITY, SUBJECT_ID
from medspark.task.tasks import Task

AT_ONCE: Final = min(4, os.cpu_count() or 1)
"""Bootstraps that run beside each other; each holds some hundred megabytes."""

SPREAD = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the risks."""


def evaluate_cases(
    frame: pd.DataFrame, task: Task, truth: Truth, risk: Floats, others: Mapping[str, Floats]
) -> dict[str, Any]:
    """The headline's figures, by `evaluate`, and where there are several targets those of each.

    Args:
        frame: one row per case: `case_id`, `subject_id`, `boolean_value` (null where the headline is not known),
            `probability` and the columns of the task's subgroups.
        task: what was asked for.
        truth: what is known of the cases, labels and weights (n, k).
        risk: the network's probabilities (n, k).
        others: by name the probabilities (n, k) of other models.
    """
    targets = task.outcome.targets
    known = frame[LABEL].notna().to_numpy()
    beside = {name: other[known, targets.headline] for name, other in others.items()}
    weight = truth.weight[known, targets.headline]
    metrics = evaluate(frame[known].reset_index(drop=True), task, beside, weight)
    if targets.kind != "binary":
        metrics["outcomes"] = evaluate_targets(task, truth, risk, frame[SUBJECT_ID].to_numpy(), others)
    return metrics


def evaluate(
    frame: pd.DataFrame, task: Task, baselines: Mapping[str, NDArray[Any]], weight: NDArray[Any] | None = None
) -> dict[str, Any]:
    """JSON-able metrics of some cases, such as the test split.

    Args:
        frame: one row per case with `case_id`, `subject_id`, `boolean_value` (no nulls), `probability`, and
            every column of `task.report.subgroups` (null is the level "missing").
        baselines: by name, probabilities (n,) in the order of `frame`.
        weight: (n,) of each case in every figure but the counts; 1 where there is none.

    Returns:
        `test`: counts, `metrics` as name → value, low, high (95 %, resampling patients) and a `reason` where one is
        None, `risks` (their quantiles), `curves`, `thresholds`, `alerts` and `decision_curve`;
        `baselines`: by name, `metrics`, `decision_curve`, and `difference`, the network's less theirs on the same
        patients;
        `subgroups`: one dict per column and level, `metrics` None with a `reason` where the level is too small;
        `fairness`: which levels are served otherwise than the rest, beyond chance;
        `intervals`: how they were made.

    Raises:
        InputError: a column is absent, the label has nulls, or a baseline has another length.
    """
    _check(frame, task, baselines)
    label, risk = checked(frame[LABEL].to_numpy(dtype=np.int8), frame[PROBABILITY].to_numpy(dtype=np.float64))
    own_weight = np.ones(len(frame)) if weight is None else np.asarray(weight, np.float64)
    cases = Cases(label, risk, pd.factorize(frame[SUBJECT_ID])[0], own_weight)
    drawing = Drawing(task.report.bootstrap, task.training.seed)
    others = [cases._replace(risk=checked(label, np.asarray(values))[1]) for values in baselines.values()]
    with ThreadPoolExecutor(AT_ONCE) as pool:  # numpy's loops hold no lock
        of_columns = [
            pool.submit(subgroup_rows, frame[column], column, cases, drawing, task.privacy.names_of_few)
            for column in task.report.subgroups
        ]
        model, *measured = pool.map(lambda one: _measured(one, drawing), [cases, *others])
        subgroups = [row for rows in of_columns for row in rows.result()]
    return {
        "test": {**_counts(frame, cases), **_of_model(cases, model, task)},
        "baselines": {name: _beside(one, model) for name, one in zip(baselines, measured, strict=True)},
        "subgroups": subgroups,
        "fairness": unequal(subgroups),
        "intervals": {
            "level": 0.95,
            "resamples": task.report.bootstrap,
            "unit": "subject",
            "method": "percentile",
        },
    }


class _Measured(NamedTuple):
    metrics: dict[str, dict[str, Any]]
    spread: dict[str, Floats]
    """Of each resample the METRICS and the `decision_figures`."""
    exact: Sample


def _measured(cases: Cases, drawing: Drawing) -> _Measured:
    sample = sample_of(cases.label, cases.risk, cases.subject, cases.weight)
    exact = sample_of(cases.label, cases.risk, cases.subject, cases.weight, exact=True)
    if not len(cases.label):
        raise InputError("evaluation: expected cases with a known outcome, received none")
    measure = measure_of(sample)

    def figures(drawn: Resamples) -> dict[str, Floats]:
        return {**measure(drawn.positive[:, 0], drawn.negative[:, 0]), **decision_figures(sample.risk, drawn)}

    spread = over_resamples(sample, drawing.resamples, drawing.seed, figures)
    return _Measured(estimates(cases, spread), spread, exact)


def _counts(frame: pd.DataFrame, cases: Cases) -> dict[str, Any]:
    return {
        "cases": len(frame),
        "subjects": int(frame[SUBJECT_ID].nunique()),
        "positives": int(cases.label.sum()),
        "prevalence": float(np.average(cases.label, weights=cases.weight)),
        "mean_probability": float(np.average(cases.risk, weights=cases.weight)),
        "risks": {f"{level:g}": float(np.quantile(cases.risk, level)) for level in SPREAD},
    }


def _of_model(cases: Cases, model: _Measured, task: Task) -> dict[str, Any]:
    return {
        "metrics": model.metrics,
        "curves": curves(cases.label, cases.risk, cases.weight, cases.subject),
        "thresholds": publishable_thresholds(_bands(cases, task)),
        "alerts": alerts(model.exact, model.spread),
        "decision_curve": decision_curve(model.exact, model.spread),
    }


def _bands(cases: Cases, task: Task) -> list[dict[str, Any]]:
    """Of each band also how many alerts flagging from its start gives: a patient may have several cases."""
    patients = len(np.unique(cases.subject))
    rows = at_thresholds(cases.label, cases.risk, task.risk_bands, cases.weight, cases.subject)
    return [{**row, "alerts_per_100_patients": 100 * row["flagged"] / patients} for row in rows]


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


def _beside(other: _Measured, network: _Measured) -> dict[str, Any]:
    """A baseline's metrics, and how far the network is from it on the same patients."""
    its_own, networks = ({name: one["value"] for name, one in one.metrics.items()} for one in (other, network))
    return {
        "metrics": other.metrics,
        "difference": paired_differences(networks, its_own, network.spread, other.spread),
        "decision_curve": decision_curve(other.exact)["value"],
    }
