"""Cross-validation by patient."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.cases.split import hold_out_fold
from medspark.errors import InputError
from medspark.evaluate.metrics import performance
from medspark.evaluate.report.format import number
from medspark.runs.progress import Progress
from medspark.schemas import FOLD, LABEL, PROBABILITY, SPLIT, TEST
from medspark.task.tasks import Task
from medspark.train.checkpoints import Checkpoints
from medspark.train.train_network import train_network

Tell = Callable[[str], None]


def cross_validate(
    cases: DataFrame, task: Task, scratch: str, tell: Tell, progress: Progress, checkpoints: Checkpoints | None = None
) -> dict[str, Any]:
    """Train once for each fold, with statistics fitted without it, and measure on the fold held out.

    Returns:
        The number of folds, and for each metric the mean and standard deviation over them.
    """
    folds = task.split.folds
    if folds is None:
        raise InputError("the task has no split.folds: state how many parts to cross-validate on, such as 5")
    found = []
    for fold in range(folds):
        held_out = cases.withColumn(SPLIT, hold_out_fold(F.col(FOLD), fold, folds))
        below = checkpoints.below(f"fold{fold}") if checkpoints else None
        place = f"{scratch}/fold{fold}"
        trained = train_network(held_out, task, place, progress, with_baselines=False, checkpoints=below)
        test = trained.predictions[trained.predictions[SPLIT] == TEST].dropna(subset=LABEL)
        found.append(performance(test[LABEL].to_numpy(np.int8), test[PROBABILITY].to_numpy()))
        tell(f"  fold {fold + 1} of {folds}: AUROC {number(found[-1]['auroc'])}")
    return {"folds": folds, "metrics": over_folds(found)}


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
