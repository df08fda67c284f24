"""The train stage: cases to tensors, a network, its calibration and its measure, and the bundle that holds them."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.encode.apply import encode_cases, in_training_order, tensors_options
from medspark.encode.fit.fit import fit_statistics
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.evaluate.censoring import Truth, joined
from medspark.evaluate.evaluation import evaluate_cases
from medspark.evaluate.truth import Floats, Reading
from medspark.runs.progress import Progress
from medspark.schemas import (
    CASE_ID,
    LABEL,
    LOGIT,
    MISSING_SHARE,
    PROBABILITY,
    SPLIT,
    SUBJECT_ID,
    TEST,
    TRAIN,
    UNUSED,
    VALID,
    quoted,
)
from medspark.score.worker.calibration import TargetCalibrations, apply_calibrations
from medspark.score.worker.uncertainty import Uncertainty
from medspark.task.event_task import EventTask
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task
from medspark.train.baselines import fit_baselines
from medspark.train.batches import load_split, split_files
from medspark.train.calibrate import Learned, fit_calibrations, levelled
from medspark.train.checkpoints import Checkpoints
from medspark.train.distil import distil, write_soft_labels
from medspark.train.distribute.barrier import learning_of
from medspark.train.export import keras_logits
from medspark.train.fit import Fitted, Learn, fit_network, held_out_logit
from medspark.train.networks.student import student_settings
from medspark.train.pretrain import Excerpts, write_excerpts
from medspark.train.steps import predicted_at_once
from medspark.train.uncertainty import HeldOut, LearnedFrom, Served, held_out_reliance, stand_beside

ROWS_PER_FILE = 500_000
SPLITS = (TRAIN, VALID, TEST)
TEACHER = "teacher"
"""Its name beside the baselines."""


class Histories(NamedTuple):
    """What encoders are pretrained on."""

    records: DataFrame
    scratch: str
    """A folder of this machine for their tensors."""


class Trained(NamedTuple):
    """All that a training run makes before the bundle is written."""

    statistics: Statistics
    fitted: Fitted
    """The network that is served."""
    calibration: TargetCalibrations
    predictions: pd.DataFrame
    metrics: dict[str, Any]
    served: Served
    """The fitted network as the bundle keeps it."""
    uncertainty: Uncertainty
    teacher: Fitted | None = None
    """The network that it was distilled from, where the task asks for a student."""


def write_tensors(cases: DataFrame, statistics: Statistics, path: str) -> str:
    """Encode the cases into Parquet, one folder a split, shuffled by a hash of the case."""
    cases = cases.where(F.col(SPLIT) != UNUSED)
    files = 1 + cases.count() // ROWS_PER_FILE
    tensors = in_training_order(encode_cases(cases, statistics), files)
    tensors.write.mode("overwrite").partitionBy(SPLIT).options(**tensors_options(statistics)).parquet(path)
    return path


def fit_and_encode(cases: DataFrame, task: Task, path: str) -> tuple[Statistics, str]:
    """Statistics of the training split, and the tensors' folder of all cases."""
    shapes = task.image_shapes() if isinstance(task, TableTask) else {}
    statistics = fit_statistics(cases, task.features, shapes, task.privacy.names_of_few)
    return statistics, write_tensors(cases, statistics, path)


def train_network(
    cases: DataFrame,
    task: Task,
    tensors_path: str,
    progress: Progress,
    with_baselines: bool = True,
    histories: Histories | None = None,
    checkpoints: Checkpoints | None = None,
    here: Callable[[str], str] | None = None,
) -> Trained:
    """Fit statistics, network, calibration and baselines, and evaluate on the held-out patients.

    Args:
        cases: of all splits.
        task: what is asked for.
        tensors_path: where the tensors are written.
        progress: told after each epoch.
        with_baselines: whether the baselines are fitted too.
        histories: what encoders are pretrained on, where the task says so.
        checkpoints: what to go on from, and what to leave.
        here: brings the tensors to this machine, where they are elsewhere; their folder.

    Raises:
        InputError: a split lacks cases or an outcome.
    """
    statistics, table = fit_and_encode(cases, task, tensors_path)
    excerpts = _excerpts(histories, task, statistics)
    who, groups = learning_of(cases.sparkSession.sparkContext, task.training), subgroups_of(cases, task)
    place = here(table) if here is not None else table
    return learn(place, statistics, task, progress, groups, with_baselines, excerpts, checkpoints, who)


def learn(
    table: str,
    statistics: Statistics,
    task: Task,
    progress: Progress,
    subgroups: pd.DataFrame,
    with_baselines: bool = True,
    excerpts: dict[str, Excerpts] | None = None,
    checkpoints: Checkpoints | None = None,
    who: Learn | None = None,
) -> Trained:
    """What `train_network` does once there are tensors; no Spark needed.

    Args:
        table: the tensors' folder on this machine, one folder a split.
        subgroups: of the test split's cases, by `case_id` the columns of the task's subgroups as text.
        excerpts: of histories, where encoders are pretrained.
        checkpoints: what to go on from, and what to leave.
        who: learns the network; where nobody is named, this process does.
    """
    fitted, teacher = _fit(table, statistics, task, progress, excerpts, checkpoints, who)
    parts = {split: predict_split(fitted, table, split, statistics) for split in SPLITS}
    calibration = calibrated(fitted, parts, task)
    learned = (TRAIN, VALID) if fitted.folds else (TRAIN,)
    others = {} if teacher is None else {TEACHER: risks_of(teacher, table, statistics, task)}
    if with_baselines and len(parts[TEST].logit):
        others |= _baselines(table, learned, statistics, task, fitted.reading)
    found = LearnedFrom(table, statistics, fitted, teacher is not None)
    return judged(found, parts, calibration, task, subgroups, others)._replace(teacher=teacher)


def judged(
    learned: LearnedFrom,
    parts: Mapping[str, "Predicted"],
    calibration: TargetCalibrations,
    task: Task,
    subgroups: pd.DataFrame,
    others: Mapping[str, Floats],
    served: Served | None = None,
) -> Trained:
    """A fitted and calibrated network, measured on the test split.

    Args:
        learned: the network.
        parts: of every split what it says.
        calibration: of its logits.
        task: what is asked for.
        subgroups: as `learn` has them.
        others: by name the risks (n, k) that other models give the test split.
        served: the network as a bundle kept it, where it is one.
    """
    statistics, fitted = learned.statistics, learned.fitted
    predictions = pd.concat(
        [_predictions(part, split, calibration) for split, part in parts.items()], ignore_index=True
    )
    if not len(parts[TEST].logit):
        raise InputError("the test split has no case with a known outcome: nothing can be evaluated")
    test = predictions[predictions[SPLIT] == TEST].reset_index(drop=True)
    frame = test.merge(subgroups, on=CASE_ID, how="left", validate="one_to_one", sort=False)
    metrics = evaluate_cases(frame, task, parts[TEST].truth, apply_calibrations(calibration, parts[TEST].logit), others)
    found = watched(fitted, parts)
    held_out = HeldOut(apply_calibrations(calibration, found.logit), found.truth, found.missing)
    kept, uncertainty = stand_beside(learned, held_out, task, served)
    metrics["reliance"] = held_out_reliance(learned, kept, uncertainty, frame, task)
    if fitted.lines:
        metrics["lines"] = fitted.lines
    if fitted.taught:
        metrics["taught"] = "boosting"
    return Trained(statistics, fitted, calibration, predictions, metrics, kept, uncertainty)


def _fit(
    table: str,
    statistics: Statistics,
    task: Task,
    progress: Progress,
    excerpts: dict[str, Excerpts] | None,
    checkpoints: Checkpoints | None,
    who: Learn | None,
) -> tuple[Fitted, Fitted | None]:
    """The network that is served, and the teacher it was distilled from, where the task asks for a student."""
    train, valid, targets = split_files(table, TRAIN), split_files(table, VALID), task.outcome.targets
    settings = None
    if task.network.student is not None:  # before the teacher learns: it may be that none is small enough
        settings = student_settings(statistics, task.network, targets.kind, len(targets.names))
    read = [*train, *valid, *(file for one in (excerpts or {}).values() for file in one.files)]
    checkpoint = checkpoints.of("network", task, statistics, read) if checkpoints else None
    fitted = fit_network(train, valid, statistics, task, progress, excerpts, checkpoint, who)
    if settings is None:
        return fitted, None
    with tempfile.TemporaryDirectory(dir=table.removeprefix("file:"), prefix=".soft-labels-") as folder:
        files = write_soft_labels(fitted, [*train, *valid], statistics, Path(folder))
        checkpoint = checkpoints.of("student", task, statistics, files) if checkpoints else None
        return distil(fitted, files, statistics, task, settings, progress, checkpoint), fitted


def watched(fitted: Fitted, parts: Mapping[str, "Predicted"]) -> "Predicted":
    """The cases that the network, or the member that is asked, was not trained on."""
    if not fitted.folds:
        return parts[VALID]
    both = (parts[TRAIN], parts[VALID])
    keys = pd.concat([part.keys for part in both], ignore_index=True)
    logit, missing = np.concatenate([part.logit for part in both]), np.concatenate([part.missing for part in both])
    learned = Learned(*map(np.concatenate, zip(*(part.learned for part in both if part.learned), strict=True)))
    return Predicted(keys, logit, joined([part.truth for part in both]), missing, learned)


def calibrated(
    fitted: Fitted, parts: Mapping[str, "Predicted"], task: Task, old: TargetCalibrations | None = None
) -> TargetCalibrations:
    """The calibration of a network's logits, by the cases that it was not trained on; `old` is the one in use."""
    cases = watched(fitted, parts)
    found = fit_calibrations(task.outcome.targets, task.training.calibration, cases.logit, cases.truth, old)
    if old is not None or cases.learned is None:
        return found
    return levelled(found, cases.logit, cases.learned, cases.truth)


def risks_of(fitted: Fitted, table: str, statistics: Statistics, task: Task) -> Floats:
    """A network's own calibrated risks (n, k) of the test split."""
    parts = {split: predict_split(fitted, table, split, statistics) for split in SPLITS}
    calibration = calibrated(fitted, parts, task)
    return apply_calibrations(calibration, parts[TEST].logit)


def _excerpts(histories: Histories | None, task: Task, statistics: Statistics) -> dict[str, Excerpts] | None:
    if histories is None or task.training.pretrain is None or not isinstance(task, EventTask):
        return None
    return write_excerpts(histories.records, task, statistics, histories.scratch)


class Predicted(NamedTuple):
    """The logits (n, k) of a split's cases, and what is known of them."""

    keys: pd.DataFrame
    logit: Floats
    truth: Truth
    missing: Floats
    """(n,) the share of each case that is missing."""
    learned: Learned | None = None
    """What the members and the network say of them, of patients that they learned from."""


def predict_split(fitted: Fitted, table: str, split: str, statistics: Statistics) -> Predicted:
    """The logits of a split; of patients that members learned from, by the member that did not."""
    loaded = load_split(table, split, statistics.inputs(), fitted.reading, (CASE_ID, SUBJECT_ID, MISSING_SHARE))
    if loaded is None:
        none = np.empty((0, fitted.reading.size))
        return Predicted(pd.DataFrame({CASE_ID: [], SUBJECT_ID: []}), none, Truth(none, none), np.empty(0))
    keys: pd.DataFrame = loaded.keys.to_pandas()
    missing = keys.pop(MISSING_SHARE).to_numpy(np.float64)
    at_once = predicted_at_once(statistics.inputs())
    logit = keras_logits(fitted.network, loaded.tensors, at_once)
    if fitted.folds is not None and split != TEST:
        members = np.asarray(fitted.members.predict(loaded.tensors, batch_size=at_once, verbose=0), np.float64)
        held_out = held_out_logit(members, keys[SUBJECT_ID].to_numpy(), fitted.folds)
        return Predicted(keys, held_out, loaded.truth, missing, Learned(members, logit))
    return Predicted(keys, logit, loaded.truth, missing)


def _predictions(part: Predicted, split: str, calibration: TargetCalibrations) -> pd.DataFrame:
    """The rows of `predictions`: label, logit and probability of the headline, and each target's probability."""
    targets = calibration.targets
    risk = apply_calibrations(calibration, part.logit)
    frame = part.keys.copy()
    label = part.truth.label[:, targets.headline]
    frame[LABEL] = label.astype("int8") if np.isfinite(label).all() else pd.Series(label).astype("Int8")
    frame[LOGIT] = part.logit[:, targets.headline]
    frame[SPLIT] = split
    frame[PROBABILITY] = risk[:, targets.headline]
    for at, column in enumerate(targets.columns):
        frame[column] = risk[:, at]
    return frame


def _baselines(
    table: str, splits: tuple[str, ...], statistics: Statistics, task: Task, reading: Reading
) -> dict[str, Floats]:
    """The baselines' probabilities (n, k) on the test split, fitted on the splits that the network learned from."""
    inputs, seed = statistics.inputs(), task.training.seed
    parts = [part for split in splits if (part := load_split(table, split, inputs, reading)) is not None]
    tensors = {one.name: np.concatenate([part.tensors[one.name] for part in parts]) for one in inputs}
    truth = joined([part.truth for part in parts])
    test = load_split(table, TEST, inputs, reading)
    assert test is not None, "there are test cases"
    if reading.kind == "classes":
        models = fit_baselines(tensors, truth.label.argmax(axis=1), inputs, seed)
        return {name: model(test.tensors) for name, model in models.items()}
    found: dict[str, list[Floats]] = {}
    for at in range(reading.size):
        known = truth.weight[:, at] > 0
        label, weight = truth.label[known, at], truth.weight[known, at]
        of_known = tensors if known.all() else {name: array[known] for name, array in tensors.items()}
        models = fit_baselines(of_known, label, inputs, seed, weight if reading.kind == "horizons" else None)
        for name, model in models.items():
            found.setdefault(name, []).append(model(test.tensors))
    return {name: np.stack(risks, axis=1) for name, risks in found.items()}


def subgroups_of(cases: DataFrame, task: Task) -> pd.DataFrame:
    """The subgroup columns of the test split, as text."""
    columns = [F.col(quoted(name)).cast("string").alias(name) for name in task.report.subgroups]
    return cases.where(F.col(SPLIT) == TEST).select(CASE_ID, *columns).toPandas()


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """The training run's own predictions, every labelled case once."""
    path.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    pq.write_table(table, path / "part-0.parquet", compression="zstd", write_page_checksum=True)
