"""Folds, and trials of settings, as Spark tasks beside the same work one after the other in one process.

    python benchmarks/tuning.py [--patients N] [--folds K] [--trials N] [--epochs E]

One after the other a fit may use every core, as TensorFlow sees fit; as tasks each has one, and as many run at a time
as there are cores.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.sql import DataFrame

from medspark.schemas import CASES
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.open_run import open_run
from medspark.store.tables import read_table
from medspark.synth.write import write_hospital
from medspark.task.load import load_task
from medspark.task.tasks import Task
from medspark.task.tuning import Between, Tuning
from medspark.train.folds import measure, parts_of
from medspark.train.spark_tasks import in_tasks
from medspark.train.train_network import fit_and_encode
from medspark.train.trials import Search, open_study, search_of, try_one

NO_RACE = {"training.learning_rate": Between(low=1e-3, high=4e-3, log=True)}
"""Settings of which none is so bad that a trial is given up early."""


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def both(context: SparkContext, do: Callable[[Any], object], items: Sequence[Any]) -> tuple[float, float]:
    """Seconds one after the other, and as tasks; what both import the first time is not counted."""
    do(items[0])
    in_tasks(context, "warm", do, items[:2])
    return seconds(lambda: [do(item) for item in items]), seconds(lambda: in_tasks(context, "tasks", do, items))


def made(folder: Path, patients: int, folds: int, epochs: int) -> tuple[DataFrame, Task]:
    """The cases of the shipped task on a synthetic hospital."""
    os.environ["MEDSPARK_SYNTH"] = str(folder / "hospital")
    run = open_run(str(folder / "store"), quiet=True)
    write_hospital(run.spark, str(folder / "hospital"), patients, 0, parts=("flat",))
    task = load_task("conf/tasks/readmission-synthetic.yaml")
    training = task.training.model_copy(update={"epochs": epochs, "patience": epochs})
    split = task.split.model_copy(update={"folds": folds})
    task = task.model_copy(update={"training": training, "split": split, "tuning": Tuning(space=NO_RACE)})
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    return read_table(run.spark, run.store, CASES), frozen


def search_in(cases: DataFrame, task: Task, folder: Path) -> Search:
    search = search_of(folder / "journals", task, *fit_and_encode(cases, task, str(folder / "tensors")))
    open_study(search)
    return search


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases, task = made(folder, asked.patients, asked.folds, asked.epochs)
        context = cases.sparkSession.sparkContext
        parts = parts_of(cases, task, str(folder / "parts"))
        search = search_in(cases, task, folder)
        work = {"folds": (measure, parts), "trials": (partial(try_one, search), range(asked.trials))}
        print(f"{cases.count():,} cases, {asked.epochs} epochs, {context.defaultParallelism} cores")
        for what, (do, items) in work.items():
            one, other = both(context, do, items)
            ratio = f"{other / one:.2f}"
            print(f"{len(items):>3} {what:<7} one after the other {one:6.1f} s, as tasks {other:6.1f} s: {ratio}")


if __name__ == "__main__":
    main()
