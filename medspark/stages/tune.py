"""The tune stage: settings tried on `cases`, and the best one trained to a bundle."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from medspark.runs.lock import alone
from medspark.runs.run import Run, local_path
from medspark.runs.scratch import scratch
from medspark.schemas import CASES
from medspark.stages.features import observed_as_cases
from medspark.stages.train import UNWATCHED, Watched, require_trainable, train_stage
from medspark.store.tables import read_table
from medspark.task.tasks import Task
from medspark.task.tuning import Tuning, in_yaml, with_settings
from medspark.train.checkpoints import CHECKPOINTS, Checkpoints
from medspark.train.folds import cross_validate
from medspark.train.spark_tasks import in_tasks
from medspark.train.train_network import fit_and_encode
from medspark.train.trials import Search, ended, open_study, prepare, rows_of, search_of, summary, teach, try_one

TUNING = "tuning"
"""The journals of a store's trials, which the same command goes on with."""
SECONDS_BETWEEN_LOOKS = 1.0


@alone
def tune_stage(run: Run, task: Task, watched: Watched = UNWATCHED, with_folds: bool = False) -> Path:
    """Try the settings of the task's `tuning` and train the best, with the task's members, to a bundle.

    Trials are judged on patients that they were not trained on; the test split is looked at once, for the bundle.

    Args:
        watched: where else training is watched from.
        with_folds: whether the search is cross-validated too: done anew without each of the task's folds.

    Raises:
        InputError: no trial came to an end; or as `train_stage`.
        GateError: as `train_stage`.
    """
    task = observed_as_cases(run, task)
    require_trainable(run, task, with_folds)
    with run.receipt.timed("tune"):
        tuning = _searched(run, task)
    run.receipt.counts["tune"] = tuning
    for line in in_yaml(tuning["settings"]):
        run.say(f"  chosen      {line}")
    found = {"tuning": tuning} | ({"cross_validation": _nested(run, task)} if with_folds else {})
    bundle = train_stage(run, with_settings(task, tuning["settings"]), watched=watched, found=found)
    _checkpoints_of_folds(run).delete()
    return bundle


def _nested(run: Run, task: Task) -> dict[str, Any]:
    """What the search is worth: of the task as it is, since what was chosen by all patients knows every fold."""
    cases, store = read_table(run.spark, run.store, CASES), local_path(run.store)
    with run.receipt.timed("folds"), scratch(run, "folds") as folder:
        return cross_validate(cases, task, folder, run.say, _checkpoints_of_folds(run).folder, store / TUNING)


def _checkpoints_of_folds(run: Run) -> Checkpoints:
    return Checkpoints(local_path(run.store) / CHECKPOINTS).below("tune-folds")


def _searched(run: Run, task: Task) -> dict[str, Any]:
    store = local_path(run.store)
    cases = read_table(run.spark, run.store, CASES)
    with scratch(run, "tuning") as aside:
        search = search_of(store / TUNING, task, *fit_and_encode(cases, task, aside))
        study, trials = open_study(search), (task.tuning or Tuning()).trials
        left = prepare(study, task)
        if left < trials:
            run.say(f"  {len(ended(study))} trials were there already")
        if left:
            teach(search, run.say)
        with _told(run, search, trials):
            in_tasks(run.context, "trials", partial(try_one, search), range(left))
        return summary(open_study(search), task)


@contextmanager
def _told(run: Run, search: Search, trials: int) -> Iterator[None]:
    """Say of each trial what became of it, when it ends."""
    over, study = Event(), open_study(search)
    said = {row["trial"] for row in rows_of(ended(study), search.task)}

    def look() -> None:
        for row in rows_of(ended(study), search.task):
            if row["trial"] not in said:
                said.add(row["trial"])
                value = "" if row["value"] is None else f" {row['value']:.4f}"
                run.say(f"  trial {row['trial']:>3} of {trials}: {row['outcome']}{value} {row['error'] or ''}".rstrip())

    def watch() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            look()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        look()
