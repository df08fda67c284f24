"""Cross-validation by patient."""

from collections.abc import Callable
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.cases.split import hold_out_fold
from medspark.errors import InputError
from medspark.evaluate.metrics import performance
from medspark.schemas import FOLD, LABEL, PROBABILITY, SPLIT, TEST
from medspark.task.tasks import Task
from medspark.train.train_network import Epochs, train_network

Tell = Callable[[str], None]


def cross_validate(cases: DataFrame, task: Task, scratch: str, tell: Tell, progress: Epochs) -> dict[str, Any]:
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
        trained = train_network(held_out, task, f"{scratch}/fold{fold}", progress, with_baselines=False)
        test = trained.predictions[trained.predictions[SPLIT] == TEST]
        found.append(performance(test[LABEL].to_numpy(), test[PROBABILITY].to_numpy()))
        tell(f"  fold {fold + 1} of {folds}: AUROC {found[-1]['auroc']:.3f}")
    summary = {}
    for name in found[0]:
        values = [value for result in found if (value := result[name]) is not None]
        summary[name] = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))} if values else None
    return {"folds": folds, "metrics": summary}
