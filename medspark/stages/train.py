"""The train stage: `cases` to `tensors`, `predictions` and a bundle, on one machine's file system."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundles.bundle import BUNDLES, save_bundle
from medspark.cases.period import months_of
from medspark.cases.split import faults_of_splits
from medspark.cases.table import other_subgroups
from medspark.encode.strange import remarks_of
from medspark.errors import GateError, InputError
from medspark.evaluate.comparison import compared
from medspark.evaluate.report.format import performance_lines
from medspark.events.names import code_names
from medspark.runs.console import epoch_progress
from medspark.runs.lock import alone
from medspark.runs.process import peak_memory
from medspark.runs.receipt import now
from medspark.runs.run import Run, local_path
from medspark.runs.scratch import scratch
from medspark.runs.tables import making, publish_tables, require_publishable
from medspark.runs.workplace import brought, copied_here, workplace
from medspark.schemas import CASE_ID, CASES, PREDICTIONS, RECORDS, SPLIT, TENSORS, VALID, quoted
from medspark.stages.features import observed_as_cases, require_cases
from medspark.stages.records import current_records
from medspark.store.facts import CasesFacts, RecordsFacts, read_facts
from medspark.store.manifest import read_whole
from medspark.store.tables import read_table, table_path
from medspark.task.event_task import EventTask
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task
from medspark.train.checkpoints import CHECKPOINTS, Checkpoints
from medspark.train.distribute.barrier import require_workers
from medspark.train.fill_bundle import Made, fill_bundle
from medspark.train.folds import cross_validate, require_folds
from medspark.train.gates import require_gates
from medspark.train.tensorboard import event_files
from medspark.train.tracking import Tracking, telling, tracked
from medspark.train.train_network import Histories, Trained, train_network, write_predictions


class Watched(NamedTuple):
    """Where else training is watched from."""

    event_files: Path | None = None
    """A folder for TensorBoard."""
    mlflow: str | None = None
    """The address of a tracking server, or a folder."""


UNWATCHED = Watched()


@alone
def train_stage(
    run: Run,
    task: Task,
    with_folds: bool = False,
    watched: Watched = UNWATCHED,
    found: Mapping[str, Any] | None = None,
) -> Path:
    """`cases` to `tensors`, `predictions` and a bundle, whose path is returned.

    Args:
        with_folds: whether the task's folds are trained too.
        watched: where else it is watched from.
        found: what is known already, such as how the task's settings were chosen, for the bundle's metrics.

    Raises:
        InputError: a split lacks cases; folds are asked for that the task does not have; or the store is elsewhere, and
            folds or pretraining are asked for.
        GateError: the network is below the task's gates; no bundle is kept.
        TaskError: MLflow is asked for and does not track.
    """
    task = observed_as_cases(run, task)
    facts, here = require_trainable(run, task, with_folds), workplace(run)
    tracking_run = tracked(watched.mlflow, task, run.version, run.say)
    made = making(run, (TENSORS, PREDICTIONS), run.version)
    with tracking_run as tracking, peak_memory() as most, made, copied_here(run) as copied:
        checkpoints = Checkpoints(here / CHECKPOINTS, run.say).below(f"train-{task.network.size}")
        trained = _train(run, task, copied, with_folds, checkpoints, watched.event_files, tracking)
        peak_mb = most() if task.training.workers == 1 else None  # this process is not all that learned
        trained.metrics.update(found or {})
        _require_gates(trained, task, checkpoints)
        bundle = _bundled(run, task, facts, trained, peak_mb, copied(_tensors_of(run)))
        checkpoints.delete()
        if tracking is not None:
            tracking.finish(trained.metrics, bundle)
    run.receipt.bundle_id = bundle.name
    remarks = remarks_of(trained.statistics)
    run.receipt.counts["train"] = {
        "epochs": len(trained.fitted.history),
        "splits": asdict(facts)["splits"],
        "features_to_look_at": remarks,
    }
    for name, remark in remarks.items():
        run.say(f"  look at     {name}: {remark}")
    _tell(run, trained.metrics)
    return bundle


def require_trainable(run: Run, task: Task, with_folds: bool) -> CasesFacts:
    """The facts of the cases, where all is there that training will ask for, before anything is learned.

    Raises:
        InputError: as `train_stage`, or there are too few slots for the workers.
    """
    facts = require_cases(run, task, same_labels=True)
    if with_folds:
        require_folds(task)
    if with_folds or task.training.pretrain is not None:
        local_path(run.store)
    if faults := faults_of_splits(facts.splits, task):
        raise InputError("; ".join(faults))
    require_workers(run.context, task.training.workers)
    return facts


def _tensors_of(run: Run) -> str:
    return f"{run.store}/{TENSORS}/{run.version}"


def _bundled(run: Run, task: Task, facts: CasesFacts, trained: Trained, peak_mb: int | None, tensors: str) -> Path:
    """Write the bundle and publish the tables it came from; its folder on this machine."""
    here = workplace(run)
    with run.receipt.timed("bundle"), scratch(run, "bundle", here) as aside:
        predictions = here / PREDICTIONS / run.version
        write_predictions(trained.predictions, predictions)
        brought(run, predictions, PREDICTIONS)
        cases = read_table(run.spark, run.store, CASES)
        made = Made(
            task,
            tensors,
            facts,
            run.receipt.versions,
            run.receipt.seconds,
            run.version,
            created_at=now(),
            groups=other_groups(cases.where(F.col(SPLIT) != VALID), task),
            names=code_names(run.spark, task, trained.statistics) if isinstance(task, EventTask) else {},
            period=months_of(cases),
            peak_mb=peak_mb,
        )
        fill = partial(fill_bundle, trained=trained, made=made)
        bundle = save_bundle(here / BUNDLES, fill, partial(require_publishable, run), Path(aside))
        run.receipt.outputs["bundle"] = brought(run, bundle, BUNDLES)
    publish_tables(run, (TENSORS, PREDICTIONS), run.version)
    return bundle


def _require_gates(trained: Trained, task: Task, checkpoints: Checkpoints) -> None:
    try:
        require_gates(trained.metrics, task)
    except GateError:
        checkpoints.delete()
        raise


def _train(
    run: Run,
    task: Task,
    copied: Callable[[str], str],
    with_folds: bool,
    checkpoints: Checkpoints,
    event_files_to: Path | None,
    tracking: Tracking | None,
) -> Trained:
    cases = read_table(run.spark, run.store, CASES)
    bar = epoch_progress(run.terminal)
    with run.receipt.timed("train"), bar as shown, event_files(event_files_to, shown) as progress:
        pretrains = task.training.pretrain is not None
        with scratch(run, "histories") if pretrains else nullcontext() as folder:
            histories = Histories(_histories(run, task), folder) if folder is not None else None
            told = telling(tracking, progress)
            begun = partial(train_network, histories=histories, checkpoints=checkpoints, here=copied)
            trained = begun(cases, task, _tensors_of(run), told)
        if with_folds:
            with scratch(run, "folds") as folder:
                found = cross_validate(cases, task, folder, run.say, checkpoints.folder)
            trained.metrics["cross_validation"] = found
    return trained


def _histories(run: Run, task: Task) -> DataFrame:
    """The records, whose events that count encoders are pretrained on."""
    if not isinstance(task, EventTask):
        return read_whole(run.spark, run.store, RECORDS)
    facts = read_facts(run.context, table_path(run.context, run.store, RECORDS), RecordsFacts)
    return current_records(run, facts)


def other_groups(cases: DataFrame, task: Task) -> pd.DataFrame | None:
    """The subgroups that no feature reads, as text: what nights are counted by is else in the tensors."""
    names = other_subgroups(task) if isinstance(task, TableTask) else []
    if not names:
        return None
    levels = (F.col(quoted(name)).cast("string").alias(name) for name in names)
    found: pd.DataFrame = cases.select(CASE_ID, *levels).toPandas()
    return found


def _tell(run: Run, metrics: dict[str, Any]) -> None:
    rows = {"network": metrics["test"]["metrics"]}
    rows |= {name.replace("_", " "): found["metrics"] for name, found in metrics["baselines"].items()}
    for line in performance_lines("test patients", rows):
        run.say(line)
    for text in compared(metrics["baselines"]).values():
        run.say(f"  {text}")
