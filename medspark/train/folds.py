"""Cross-validation by patient."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.cases.split import hold_out_fold
from medspark.encode.statistics import from_json, to_json
from medspark.errors import InputError
from medspark.evaluate.metrics import performance
from medspark.evaluate.report.format import number
from medspark.schemas import CASE_ID, FOLD, LABEL, PROBABILITY, SPLIT, TEST
from medspark.task.tasks import Task
from medspark.task.training import Report
from medspark.train.checkpoints import Checkpoints
from medspark.train.spark_tasks import in_tasks
from medspark.train.train_network import fit_and_encode, learn

Tell = Callable[[str], None]


class Part(NamedTuple):
    """A fold held out, as its own task gets it."""

    table: str
    """Tensors of all patients, below a folder that every worker sees."""
    statistics: str
    """Fitted without the fold, as JSON."""
    task: Task
    checkpoints: str | None
    """The folder of those of this fold."""


def cross_validate(
    cases: DataFrame, task: Task, scratch: str, tell: Tell, checkpoints: Path | None = None
) -> dict[str, Any]:
    """Train once for each fold, with statistics fitted without it, and measure on the fold held out; each in a Spark
    task of its own.

    Args:
        scratch: a folder that every worker sees.
        checkpoints: another, of what to go on from, and what to leave.

    Returns:
        The number of folds, and for each metric the mean and standard deviation over them.
    """
    parts = parts_of(cases, task, scratch, checkpoints)
    found = in_tasks(cases.sparkSession.sparkContext, "folds", measure, parts)
    for fold, measured in enumerate(found):
        tell(f"  fold {fold + 1} of {len(parts)}: AUROC {number(measured['auroc'])}")
    return {"folds": len(parts), "metrics": over_folds(found)}


def parts_of(cases: DataFrame, task: Task, scratch: str, checkpoints: Path | None = None) -> list[Part]:
    """Each fold held out, encoded; the arguments are those of `cross_validate`."""
    folds = task.split.folds
    if folds is None:
        raise InputError("the task has no split.folds: state how many parts to cross-validate on, such as 5")
    lean = task.model_copy(update={"report": Report(bootstrap=2)})  # nobody reads a fold's intervals and subgroups
    parts = []
    for fold in range(folds):
        held_out = cases.withColumn(SPLIT, hold_out_fold(F.col(FOLD), fold, folds))
        statistics, table = fit_and_encode(held_out, task, f"{scratch}/fold{fold}")
        kept = None if checkpoints is None else str(checkpoints / f"fold{fold}")
        parts.append(Part(table, to_json(statistics), lean, kept))
    return parts


def measure(part: Part) -> dict[str, float | None]:
    """A network that learned without a fold, measured on it."""
    nobody = pd.DataFrame({CASE_ID: pd.Series([], dtype=str)})
    statistics = from_json(part.statistics)
    checkpoints = None if part.checkpoints is None else Checkpoints(Path(part.checkpoints))
    trained = learn(
        part.table, statistics, part.task, lambda _: None, nobody, with_baselines=False, checkpoints=checkpoints
    )
    test = trained.predictions[trained.predictions[SPLIT] == TEST].dropna(subset=LABEL)
    return performance(test[LABEL].to_numpy(np.int8), test[PROBABILITY].to_numpy())


def over_folds(found: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Of each metric the mean and standard deviation over the folds that have it; None where too few have.

    >>> over_folds([{"auroc": 0.5, "brier": 0.1}, {"auroc": None, "brier": 0.1}])
    {'auroc': {'mean': 0.5, 'sd': None}, 'brier': {'mean': 0.1, 'sd': 0.0}}
    """
    summary: dict[str, dict[str, float | None]] = {}
    for name in found[0]:
        values = [value for result in found if (value := result[name]) is not None]
        mean = float(np.mean(values)) if values else None
        summary[name] = {"mean": mean, "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None}
    return summary
