"""A bundle's network brought up to date: it goes on learning, or its head does, or only its calibration is fitted anew.

Statistics and vocabularies stay the bundle's, and so do the division into folds and the distances by which a case is
strange: nothing that an input means moves. Each epoch is judged on cases that were not learned from, the bundle's own
weights among them: where no epoch is better, they stay.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf

from medspark.bundles.bundle import CALIBRATION, KERAS, STATISTICS, UNCERTAINTY, Bundle
from medspark.encode.statistics import Statistics, from_json
from medspark.errors import BundleError
from medspark.evaluate.challenge import Row, challenged
from medspark.evaluate.logistic import Floats
from medspark.evaluate.subgroups import Cases, Drawing
from medspark.evaluate.truth import reading_of, truth_of
from medspark.schemas import CASE_ID, SUBJECT_ID, TEST, TRAIN, VALID
from medspark.score.worker.calibration import TargetCalibrations, apply_calibrations
from medspark.score.worker.uncertainty import Uncertainty
from medspark.task.outcome import Kind
from medspark.task.tasks import Task
from medspark.task.updating import Updating
from medspark.train.batches import Folds, batches, dataset, read_labels, split_files
from medspark.train.calibrate import fit_calibrations
from medspark.train.fit import Fitted, held_out_logit, optimizer_of
from medspark.train.losses import cross_entropy, loss_of, positive_weights, shares_of
from medspark.train.schedule import predicted_at_once, schedule
from medspark.train.train_network import SPLITS, Predicted, Trained, judged, predict_split, watched
from medspark.train.uncertainty import LearnedFrom, Served

How = Literal["weights", "head", "calibration"]
"""What an update changes beside the calibration."""
Progress = Callable[[int, int, float], None]
CHAMPION = "champion"
"""Its name beside the baselines."""


class Given(NamedTuple):
    """What an update learns from and is judged by."""

    table: str
    """Tensors of the new cases, one folder a split."""
    before: str | None
    """The same of old ones of the store: of train and valid those that are rehearsed, of test those of before."""
    subgroups: pd.DataFrame
    """Of the cases of both test splits, by `case_id`."""


class Updated(NamedTuple):
    trained: Trained
    recent: list[Row]
    """The champion and the challenger on the new cases of the test split."""
    before: list[Row]
    """The same on the old ones; none where there are none."""


def update_network(bundle: Bundle, task: Task, given: Given, how: How, progress: Progress) -> Updated:
    """The challenger that an update makes of a bundle, beside the champion, which the bundle is.

    Args:
        bundle: verified.
        task: its network, seed, features and targets are the bundle's.
        given: the cases.
        how: what is changed.
        progress: told after each epoch.

    Raises:
        BundleError: the network is not built as medspark builds one.
        InputError: the new cases lack an outcome.
    """
    statistics = from_json(bundle.read_text(STATISTICS))
    old = TargetCalibrations.from_dict(bundle.read_json(CALIBRATION))
    kept, fitted = opened(bundle, task, given.table)
    before = given.before if given.before and split_files(given.before, TEST) else None
    champion = {place: predict_split(fitted, place, TEST, statistics) for place in (given.table, before) if place}
    if how != "calibration":
        fitted = fitted._replace(history=go_on(fitted, statistics, task, given, how, progress))
    parts = {split: predict_split(fitted, given.table, split, statistics) for split in SPLITS}
    calibration = fit_calibrations(task.outcome.targets, task.training.calibration, *watched(fitted, parts))
    learned = LearnedFrom(given.table, statistics, fitted, task.network.student is not None)
    others = {CHAMPION: apply_calibrations(old, champion[given.table].logit)}
    trained = judged(learned, parts, calibration, task, given.subgroups, others, kept)
    compare = partial(_compared, old=old, new=calibration, task=task)
    recent = compare(champion[given.table], parts[TEST], groups=given.subgroups)
    if before is None:
        return Updated(trained, recent, [])
    then = compare(champion[before], predict_split(fitted, before, TEST, statistics), groups=given.subgroups)
    return Updated(trained, recent, then)


def opened(bundle: Bundle, task: Task, table: str) -> tuple[Served, Fitted]:
    """A bundle's network as it is kept, and within it, of the same weights, its members and their mean.

    Raises:
        BundleError: it has no members whose mean it gives.
    """
    network = keras.saving.load_model(bundle.path / KERAS, compile=False, safe_mode=True)
    uncertainty = None
    if UNCERTAINTY in bundle.manifest["files"]:
        uncertainty = Uncertainty.model_validate_json(bundle.read_text(UNCERTAINTY))
    beside = uncertainty.beside if uncertainty is not None else ()
    logit = _inputs_of(network.outputs[0])[0] if beside else network.outputs[0]
    found = _inputs_of(logit)
    if not found or len(found[0].shape) != 3 or found[0].shape[-1] != logit.shape[-1]:
        raise BundleError(f"{bundle.path}: expected a network that gives the mean of its members, received another")
    members = keras.Model(network.input, found[0], name="members")
    folds = None
    if task.network.cross_fitted and task.network.student is None:
        folds = Folds(task.network.members, task.training.seed)
    labels = read_labels([*split_files(table, TRAIN), *split_files(table, VALID)], reading_of(task.outcome))
    fitted = Fitted(keras.Model(network.input, logit), members, folds, [], reading_of(task.outcome, labels), {})
    return Served(network, beside), fitted


def _inputs_of(tensor: Any) -> list[Any]:
    """What a tensor of a network is made of."""
    operation = tensor._keras_history.operation
    return list(operation._inbound_nodes[tensor._keras_history.node_index].input_tensors)


def head_of(members: Any) -> list[Any]:
    """The layers with weights that are nearest to the logits: what follows them has none."""
    found: list[Any] = []
    seen: set[tuple[int, int]] = set()
    ahead = list(members.outputs)
    while ahead:
        tensor = ahead.pop()
        operation, node, _ = tensor._keras_history
        if (id(operation), node) in seen:  # a layer may be called several times
            continue
        seen.add((id(operation), node))
        if getattr(operation, "weights", None):
            found.append(operation)
        else:
            ahead += _inputs_of(tensor)
    return found


def go_on(
    fitted: Fitted, statistics: Statistics, task: Task, given: Given, how: How, progress: Progress
) -> list[dict[str, float]]:
    """Let a network learn from the new cases and the rehearsed ones, by a share of training's rate; one row an epoch.

    The first row, of epoch 0, is of the weights that it came with.
    """
    settings, targets, reading = task.updating or Updating(), task.outcome.targets, fitted.reading
    training = task.training.model_copy(update={"learning_rate": task.training.learning_rate * settings.rate})
    places = [place for place in (given.table, given.before) if place]
    train, valid = ([file for place in places for file in split_files(place, split)] for split in (TRAIN, VALID))
    files = [*train, *valid] if fitted.folds else train
    truth = truth_of(read_labels(files, reading), reading)
    shares = shares_of(targets.kind, targets.names, truth)
    keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    _let_learn(fitted.members, head_of(fitted.members) if how == "head" else fitted.members.layers)
    plan = schedule(training, int(truth.weight.any(axis=1).sum()))
    loss = loss_of(training, targets.kind, positive_weights(training, targets.kind, shares), fitted.folds)
    fitted.members.compile(optimizer=optimizer_of(training, plan.steps), loss=loss, jit_compile=False)
    watch = partial(_watch, files if fitted.folds else valid, statistics, fitted, targets.kind)
    best = _BestOfAll(watch, training.patience, fitted.members, lambda row: _tell(progress, plan.epochs, row))
    lessons = dataset(files, statistics.inputs(), reading, plan.batch_size, training.seed, fitted.folds)
    fitted.members.fit(lessons, epochs=plan.epochs, callbacks=[best], verbose=0)
    fitted.members.set_weights(best.weights)
    _let_learn(fitted.members, fitted.members.layers)  # a network is kept with what may learn in it
    return best.history


def _let_learn(members: Any, some: list[Any]) -> None:
    """These layers of a network, and no other."""
    for layer in members.layers:
        layer.trainable = any(layer is one for one in some)


def _watch(files: list[Path], statistics: Statistics, fitted: Fitted, kind: Kind) -> float:
    """The mean cross-entropy of what members say of cases that they were not trained on."""
    inputs, total, cases = statistics.inputs(), 0.0, 0
    for tensors, truth, subject in batches(files, inputs, fitted.reading, predicted_at_once(inputs), None):
        logits = np.asarray(fitted.members.predict_on_batch(tensors), np.float64)
        total += cross_entropy(kind, held_out_logit(logits, subject, fitted.folds), truth)
        cases += len(subject)
    return total / cases


def _tell(progress: Progress, epochs: int, row: dict[str, float]) -> None:
    progress(int(row["epoch"]), epochs, row["valid_loss"])


class _BestOfAll(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights with the least loss on cases not trained on, those of the beginning among them."""

    def __init__(
        self, watch: Callable[[], float], patience: int, members: Any, tell: Callable[[dict[str, float]], None]
    ) -> None:
        super().__init__()
        self.watch, self.patience, self.tell = watch, patience, tell
        start = watch()
        self.weights: list[npt.NDArray[Any]] = members.get_weights()
        self.history: list[dict[str, float]] = [{"epoch": 0, "loss": start, "valid_loss": start}]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = {"epoch": epoch + 1, "loss": (logs or {})["loss"], "valid_loss": self.watch()}
        if row["valid_loss"] < min(one["valid_loss"] for one in self.history):
            self.weights = self.model.get_weights()
        self.history.append(row)
        self.tell(row)
        best = int(np.argmin([one["valid_loss"] for one in self.history]))
        if len(self.history) - 1 - best >= self.patience:
            self.model.stop_training = True


def _compared(
    one: Predicted,
    other: Predicted,
    *,
    old: TargetCalibrations,
    new: TargetCalibrations,
    task: Task,
    groups: pd.DataFrame,
) -> list[Row]:
    """The champion's word on some cases beside the challenger's, of the headline where it is known."""
    at = task.outcome.targets.headline
    label, weight = one.truth.label[:, at], one.truth.weight[:, at]
    known = (weight > 0) & np.isfinite(label)
    risk: list[Floats] = [apply_calibrations(by, part.logit)[known, at] for by, part in ((old, one), (new, other))]
    subject = pd.factorize(one.keys[SUBJECT_ID])[0]
    cases = Cases(label[known] == 1, risk[0], subject[known], weight[known])
    rows = one.keys[[CASE_ID]].merge(groups, on=CASE_ID, how="left", validate="one_to_one", sort=False)[known]
    columns = {name: rows[name].reset_index(drop=True) for name in task.report.subgroups}
    return challenged(cases, risk[1], columns, Drawing(task.report.bootstrap, task.training.seed))
