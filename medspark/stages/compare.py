"""The compare stage: several bundles on the same held-out patients, side by side with what each costs."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundles.bundle import KERAS, LITERT, METRICS, STATISTICS, Bundle
from medspark.encode.statistics import from_json
from medspark.encode.worker.encoder import encode
from medspark.errors import InputError, TaskError
from medspark.evaluate.evaluation import evaluate_cases
from medspark.evaluate.logistic import Floats
from medspark.evaluate.report.compared import Costs, render_beside, sentences_of
from medspark.evaluate.report.format import NONE, performance_lines
from medspark.runs.lock import alone
from medspark.runs.run import Run
from medspark.runs.tables import require_publishable
from medspark.schemas import CASE_ID, CASES, LABEL, PROBABILITY, SPLIT, SUBJECT_ID, TEST, quoted
from medspark.score.by_spark import predict_cases
from medspark.score.serve import serve
from medspark.score.ship import ship
from medspark.score.speed import TIMED, rows_per_second, to_time
from medspark.score.worker.predict import Served, columns_read
from medspark.stages.evaluate import known_of
from medspark.stages.features import require_cases
from medspark.store.files import write_text
from medspark.store.tables import read_table
from medspark.task.tasks import Task

COMPARISONS = "comparisons"
BESIDE = "comparison.html"
_WIDTHS, _DIGITS = (12, 10, 10, 10, 12), (0, 2, 0, 0, 0)
"""Of the columns of costs on the console."""


@alone
def compare_stage(run: Run, bundles: Sequence[Bundle]) -> str:
    """Bundles to `comparisons/RUN_ID`: metrics.json and comparison.html.

    They are measured on the test patients of the store's `cases`: all must have been made from cases of the same rules,
    so that none has learned from these patients.

    Args:
        bundles: two or more, verified; the others are compared with the first.

    Returns:
        The folder of what was written.

    Raises:
        TaskError: there are fewer than two bundles, or one is of another outcome or division of the patients.
        InputError: the store's cases are of other rules than a bundle's, or no case has a score of each.
    """
    _require_alike(bundles)
    for bundle in bundles:
        require_cases(run, bundle.task)
    task, names = bundles[0].task, _names(bundles)
    cases = read_table(run.spark, run.store, CASES).where(F.col(SPLIT) == TEST).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        with run.receipt.timed("compare"), run.progress("compare"):
            served = {name: serve(bundle, "auto") for name, bundle in zip(names, bundles, strict=True)}
            metrics = _measured(run, cases, task, served)
            costs = [_costs(name, bundle, served[name], cases) for name, bundle in zip(names, bundles, strict=True)]
    finally:
        cases.unpersist()
    about = f"{metrics['test']['cases']:,} cases of the test patients of {task.task}, the same for all"
    folder = f"{run.store}/{COMPARISONS}/{run.version}"
    texts = {
        METRICS: json.dumps({**metrics, "costs": [one._asdict() for one in costs]}, indent=1),
        BESIDE: render_beside(task.title, about, costs, metrics),
    }
    require_publishable(run)
    for name, text in texts.items():
        write_text(run.context, f"{folder}/{name}", text)
        run.receipt.outputs[name] = f"{folder}/{name}"
    _tell(run, costs, metrics)
    return folder


def _require_alike(bundles: Sequence[Bundle]) -> None:
    if len(bundles) < 2:
        raise TaskError("compare", [f"expected two bundles or more, received {len(bundles)}"])
    first, problems = bundles[0], []
    for bundle in bundles[1:]:
        if bundle.bundle_id == first.bundle_id:
            problems.append(f"{bundle.bundle_id}: expected another bundle than the first, received the same")
        if bundle.task.outcome.targets != first.task.outcome.targets:
            problems.append(f"{bundle.bundle_id}: expected the outcome of {first.bundle_id}, received another")
        if bundle.task.split != first.task.split:
            problems.append(f"{bundle.bundle_id}: its patients are divided otherwise than those of {first.bundle_id}")
    if problems:
        raise TaskError("compare", problems)


def _names(bundles: Sequence[Bundle]) -> list[str]:
    """Of each what its network is, and the beginning of its id."""
    sizes = [str(bundle.task.network.hidden or bundle.task.network.size) for bundle in bundles]
    return [f"{size} {bundle.bundle_id[:8]}" for size, bundle in zip(sizes, bundles, strict=True)]


def _measured(run: Run, cases: DataFrame, task: Task, served: dict[str, Served]) -> dict[str, Any]:
    """What `evaluate_cases` says of the first, the others as its baselines."""
    targets = task.outcome.targets
    known, truth = known_of(cases, task)
    keys: pd.DataFrame = known.select([CASE_ID, SUBJECT_ID, LABEL, *task.report.subgroups]).to_pandas()
    columns = list(targets.columns or (PROBABILITY,))
    risks = {name: _risks(run, cases, one, columns, keys) for name, one in served.items()}
    scored = [np.isfinite(risk).all(axis=1) for risk in risks.values()]
    kept = np.all([(truth.weight > 0).any(axis=1), *scored], axis=0)
    if not kept.any():
        raise InputError(f"no test case has a known outcome and a score of each bundle: of {len(keys)} cases")
    for name, those in zip(served, scored, strict=True):
        if not those.all():
            run.say(f"  unscored    {int((~those).sum()):>12,}  cases by {name}: compared are those that all score")
    (first, risk), *others = ((name, risk[kept]) for name, risk in risks.items())
    frame = keys[kept].reset_index(drop=True).assign(**{PROBABILITY: risk[:, targets.headline]})
    return {**evaluate_cases(frame, task, truth.take(kept), risk, dict(others)), "first": first}


def _risks(run: Run, cases: DataFrame, served: Served, columns: list[str], keys: pd.DataFrame) -> Floats:
    """(n, k) in the order of the keys, NaN without a score."""
    found = predict_cases(cases, ship(run.context, served)).select(CASE_ID, *map(quoted, columns))
    merged = keys[[CASE_ID]].merge(found.toPandas(), on=CASE_ID, how="left", validate="one_to_one", sort=False)
    return merged[columns].to_numpy(np.float64)


def _costs(name: str, bundle: Bundle, served: Served, cases: DataFrame) -> Costs:
    manifest, network = bundle.manifest, LITERT if LITERT in bundle.manifest["files"] else KERAS
    statistics = from_json(bundle.read_text(STATISTICS))
    sample = cases.select(*map(quoted, columns_read(served))).limit(TIMED).toArrow()
    rows = to_time(encode(sample.combine_chunks().to_batches()[0], statistics))
    return Costs(
        name,
        manifest.get("engine", {}).get("parameters"),
        round((bundle.path / network).stat().st_size / 1e6, 3),
        manifest.get("seconds", {}).get("train"),
        manifest.get("peak_mb"),
        rows_per_second(bundle.path / LITERT, rows),
    )


def _tell(run: Run, costs: Sequence[Costs], metrics: dict[str, Any]) -> None:
    others = {name: one["metrics"] for name, one in metrics["baselines"].items()}
    for line in performance_lines("test patients", {costs[0].name: metrics["test"]["metrics"], **others}):
        run.say(line)
    run.say(f"  {'cost':<22}{'weights':>12}{'file MB':>10}{'train s':>10}{'peak MB':>10}{'rows/s':>12}")
    for one in costs:
        numbers = (one.weights, one.file_mb, one.train_seconds, one.train_peak_mb, one.rows_per_second)
        told = [
            NONE if value is None else f"{value:,.{digits}f}" for value, digits in zip(numbers, _DIGITS, strict=True)
        ]
        run.say(f"  {one.name:<22}" + "".join(f"{text:>{width}}" for text, width in zip(told, _WIDTHS, strict=True)))
    for text in sentences_of(costs, metrics):
        run.say(f"  {text}")
    run.receipt.counts["compare"] = {"cases": metrics["test"]["cases"], "costs": [one._asdict() for one in costs]}
