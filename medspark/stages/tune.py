"""The tune stage: settings tried on `cases`, and the best one trained to a bundle."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from medspark.encode.statistics import to_json
from medspark.runs.lock import alone
from medspark.runs.run import Run, local_path
from medspark.runs.scratch import scratch
from medspark.schemas import CASES, TRAIN, VALID
from medspark.stages.features import observed_as_cases, require_cases
from medspark.stages.train import UNWATCHED, Watched, train_stage
from medspark.store.tables import read_table
from medspark.task.tasks import Task
from medspark.task.tuning import Tuning, in_yaml, with_settings
from medspark.train.batches import split_files
from medspark.train.checkpoints import digest_of
from medspark.train.distribute.barrier import require_workers
from medspark.train.spark_tasks import in_tasks
from medspark.train.train_network import fit_and_encode
from medspark.train.trials import Search, ended, open_study, prepare, rows_of, summary, try_one

TUNING = "tuning"
"""The journals of a store's trials, which the same command goes on with."""
SECONDS_BETWEEN_LOOKS = 1.0


@alone
def tune_stage(run: Run, task: Task, watched: Watched = UNWATCHED) -> Path:
    """Try the settings of the task's `tuning` and train the best, with the task's members, to a bundle.

    Trials are judged on patients that they were not trained on; the test split is looked at once, for the bundle.

    Raises:
        InputError: no trial came to an end; or as `train_stage`.
        GateError: as `train_stage`.
    """
    task = observed_as_cases(run, task)
    require_cases(run, task)
    require_workers(run.context, task.training.workers)
    with run.receipt.timed("tune"):
        tuning = _searched(run, task)
    run.receipt.counts["tune"] = tuning
    for line in in_yaml(tuning["settings"]):
        run.say(f"  chosen      {line}")
    return train_stage(run, with_settings(task, tuning["settings"]), watched=watched, tuning=tuning)


def _searched(run: Run, task: Task) -> dict[str, Any]:
    store = local_path(run.store)
    cases = read_table(run.spark, run.store, CASES)
    with scratch(run, "tuning") as aside:
        statistics, table = fit_and_encode(cases, task, aside)
        train, valid = split_files(table, TRAIN), split_files(table, VALID)
        asked = task.tuning or Tuning()
        any_number = task.model_copy(update={"tuning": asked.model_copy(update={"trials": 2})})
        name = digest_of(any_number, statistics, [*train, *valid])
        folder = store / TUNING
        folder.mkdir(exist_ok=True, mode=0o700)
        files = (tuple(map(str, some)) for some in (train, valid))
        search = Search(str(folder / f"{name[:16]}.log"), name, task, to_json(statistics), *files)
        study = open_study(search)
        made, left = len(study.trials), prepare(study, task)
        if left < asked.trials:
            run.say(f"  {len(ended(study))} trials were there already")
        with _told(run, search, asked.trials):
            in_tasks(run.context, "trials", partial(try_one, search), range(made, made + left))
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
