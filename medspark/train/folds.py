"""Cross-validation by patient: once or several times, with the search for settings within it where one is asked for.

Nested, each fold has a search of its own among the patients that are not in it, so that what is measured on it is what
the search is worth, and no choice was made by those it is measured on (Varma and Simon 2006).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.cases.split import assign_fold, hold_out_fold
from medspark.encode.statistics import from_json, to_json
from medspark.errors import InputError
from medspark.evaluate.metrics import performance
from medspark.evaluate.report.format import number
from medspark.schemas import CASE_ID, FOLD, LABEL, PROBABILITY, SPLIT, SUBJECT_ID, TEST
from medspark.task.tasks import Task
from medspark.task.training import Report
from medspark.task.tuning import with_settings
from medspark.train.checkpoints import Checkpoints
from medspark.train.spark_tasks import in_tasks
from medspark.train.train_network import fit_and_encode, learn
from medspark.train.trials import search_of, try_all

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
    journals: str | None = None
    """Where settings are searched for without the fold, the folder of the searches' journals."""


class Measured(NamedTuple):
    """What came of a fold."""

    metrics: dict[str, float | None]
    """On the fold held out."""
    searched: dict[str, Any] | None
    """The summary of its own search."""


def cross_validate(
    cases: DataFrame,
    task: Task,
    scratch: str,
    tell: Tell,
    checkpoints: Path | None = None,
    journals: Path | None = None,
) -> dict[str, Any]:
    """Train once for each fold, with statistics fitted without it, and measure on the fold held out; each in a Spark
    task of its own.

    Args:
        scratch: a folder that every worker sees.
        checkpoints: another, of what to go on from, and what to leave.
        journals: another, of the searches' journals, where settings are searched for anew without each fold.

    Returns:
        The numbers of folds and of divisions into them, and for each metric the mean and standard deviation over all;
        of searches also `tried`, the settings in all, and those `chosen` without each fold.
    """
    parts = parts_of(cases, task, scratch, checkpoints, journals)
    found = in_tasks(cases.sparkSession.sparkContext, "folds", measure, parts)
    for fold, measured in enumerate(found):
        tell(f"  fold {fold + 1} of {len(parts)}: AUROC {number(measured.metrics['auroc'])}")
    repeats = task.split.repeats or 1
    told = {"folds": len(parts) // repeats, "repeats": repeats, "metrics": over_folds([one.metrics for one in found])}
    searches = [one.searched for one in found if one.searched is not None]
    if searches:
        told["tried"] = sum(len(one["tried"]) for one in searches)
        told["chosen"] = [one["settings"] for one in searches]
    return told


def require_folds(task: Task) -> int:
    """How many parts the task cross-validates on.

    Raises:
        InputError: it does not say.
    """
    if task.split.folds is None:
        raise InputError("the task has no split.folds: state how many parts to cross-validate on, such as 5")
    return task.split.folds


def parts_of(
    cases: DataFrame, task: Task, scratch: str, checkpoints: Path | None = None, journals: Path | None = None
) -> list[Part]:
    """Each fold held out, encoded; the arguments are those of `cross_validate`."""
    split, folds = task.split, require_folds(task)
    lean = task.model_copy(update={"report": Report(bootstrap=2)})  # nobody reads a fold's intervals and subgroups
    parts = []
    for repeat in range(split.repeats or 1):
        drawn = F.col(FOLD) if repeat == 0 else assign_fold(F.col(SUBJECT_ID), split, repeat)
        for fold in range(folds):
            held_out = cases.withColumn(SPLIT, hold_out_fold(drawn, fold, folds))
            name = f"fold{repeat * folds + fold}"
            statistics, table = fit_and_encode(held_out, task, f"{scratch}/{name}")
            kept = None if checkpoints is None else str(checkpoints / name)
            parts.append(Part(table, to_json(statistics), lean, kept, None if journals is None else str(journals)))
    return parts


def measure(part: Part) -> Measured:
    """A network that learned without a fold, measured on it."""
    nobody = pd.DataFrame({CASE_ID: pd.Series([], dtype=str)})
    statistics, task, searched = from_json(part.statistics), part.task, None
    if part.journals is not None:
        searched = try_all(search_of(Path(part.journals), task, statistics, part.table))
        task = with_settings(task, searched["settings"])
    checkpoints = None if part.checkpoints is None else Checkpoints(Path(part.checkpoints))
    trained = learn(part.table, statistics, task, lambda _: None, nobody, with_baselines=False, checkpoints=checkpoints)
    test = trained.predictions[trained.predictions[SPLIT] == TEST].dropna(subset=LABEL)
    return Measured(performance(test[LABEL].to_numpy(np.int8), test[PROBABILITY].to_numpy()), searched)


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
