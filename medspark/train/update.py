"""A bundle's network brought up to date: it goes on learning, or its head does, or only its calibration is fitted anew.

Statistics and vocabularies stay the bundle's, and so do the division into folds and the distances by which a case is
strange: nothing that an input means moves. Each epoch is judged on cases that were not learned from, the bundle's own
weights among them: where no epoch is better, they stay.
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from medspark.bundles.bundle import CALIBRATION, KERAS, STATISTICS, UNCERTAINTY, Bundle
from medspark.bundles.network_file import open_network
from medspark.encode.statistics import Statistics, from_json
from medspark.errors import BundleError
from medspark.evaluate.challenge import Row, challenged
from medspark.evaluate.logistic import Floats
from medspark.evaluate.subgroups import Cases, Drawing
from medspark.evaluate.truth import reading_of, truth_of
from medspark.runs.progress import Progress
from medspark.schemas import CASE_ID, SUBJECT_ID, TEST, TRAIN, VALID
from medspark.score.worker.calibration import TargetCalibrations, apply_calibrations
from medspark.score.worker.uncertainty import Uncertainty
from medspark.task.tasks import Task
from medspark.task.updating import Updating
from medspark.train.batches import Folds, read_labels, split_files
from medspark.train.bounded import Step, step_within
from medspark.train.checkpoints import Checkpoints
from medspark.train.fit import Fitted, Learn, Material, learn_from
from medspark.train.loop import Row as EpochRow
from medspark.train.train_network import SPLITS, Predicted, Trained, calibrated, judged, predict_split
from medspark.train.uncertainty import LearnedFrom, Served

How = Literal["weights", "head", "calibration"]
"""What an update changes beside the calibration."""
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
    checkpoints: Checkpoints | None = None
    """What to go on from, and what to leave; of this bundle and way alone."""
    learn: Learn = learn_from
    """Who learns."""
    promoted: Bundle | None = None
    """Of an update of each night the bundle that a person promoted last: the step is bounded, and is judged beside that
    one too."""


class Rows(NamedTuple):
    """A bundle and the challenger on the same held-out cases."""

    recent: list[Row]
    """The new ones."""
    before: list[Row]
    """The old ones; none where there are none."""


class Updated(NamedTuple):
    trained: Trained
    champion: Rows
    step: Step | None = None
    """How far an update of each night went."""
    promoted: Rows | None = None
    """Beside the bundle that a person promoted last, where it is not the champion."""


def update_network(bundle: Bundle, task: Task, given: Given, how: How, progress: Progress) -> Updated:
    """The challenger that an update makes of a bundle, beside the champion, which the bundle is.

    Args:
        bundle: verified.
        task: its network, seed, features and targets are the bundle's.
        given: the cases.
        how: what is changed.
        progress: told while it learns.

    Raises:
        BundleError: the network is not built as medspark builds one.
        InputError: the new cases lack an outcome.
    """
    statistics = from_json(bundle.read_text(STATISTICS))
    kept, fitted = opened(bundle, task, given.table)
    before = given.before if given.before and split_files(given.before, TEST) else None
    places = [given.table, *([before] if before else [])]
    champion = _saying(bundle, fitted, places, statistics)
    step = None
    if how != "calibration":
        weights = fitted.members.get_weights()
        fitted = fitted._replace(history=go_on(fitted, statistics, task, given, how, progress))
        if given.promoted is not None:
            risks = partial(_risks, fitted, champion.calibration, places, statistics)
            step = step_within(fitted.members, weights, risks, (task.updating or Updating()).step)
    parts = {split: predict_split(fitted, given.table, split, statistics) for split in SPLITS}
    calibration = champion.calibration if step else calibrated(fitted, parts, task, champion.calibration)
    learned = LearnedFrom(given.table, statistics, fitted, task.network.student is not None)
    others = {CHAMPION: apply_calibrations(champion.calibration, champion.parts[0].logit)}
    trained = judged(learned, parts, calibration, task, given.subgroups, others, kept)
    old = [predict_split(fitted, place, TEST, statistics) for place in places[1:]]
    challenger = Saying(calibration, [parts[TEST], *old])
    beside = None
    if given.promoted is not None and given.promoted.bundle_id != bundle.bundle_id:
        promoted = _saying(given.promoted, opened(given.promoted, task, given.table)[1], places, statistics)
        beside = _rows(promoted, challenger, task, given.subgroups)
    return Updated(trained, _rows(champion, challenger, task, given.subgroups), step, beside)


class Saying(NamedTuple):
    """What a network says of held-out cases, the new ones first."""

    calibration: TargetCalibrations
    parts: list[Predicted]


def _saying(bundle: Bundle, fitted: Fitted, places: list[str], statistics: Statistics) -> Saying:
    calibration = TargetCalibrations.from_dict(bundle.read_json(CALIBRATION))
    return Saying(calibration, [predict_split(fitted, place, TEST, statistics) for place in places])


def _risks(fitted: Fitted, calibration: TargetCalibrations, places: list[str], statistics: Statistics) -> Floats:
    """Of all held-out cases (n, k)."""
    parts = [predict_split(fitted, place, TEST, statistics) for place in places]
    return np.concatenate([apply_calibrations(calibration, part.logit) for part in parts])


def _rows(one: Saying, challenger: Saying, task: Task, groups: pd.DataFrame) -> Rows:
    compare = partial(_compared, old=one.calibration, new=challenger.calibration, task=task, groups=groups)
    recent, *before = (compare(*pair) for pair in zip(one.parts, challenger.parts, strict=True))
    return Rows(recent, before[0] if before else [])


def opened(bundle: Bundle, task: Task, table: str) -> tuple[Served, Fitted]:
    """A bundle's network as it is kept, and within it, of the same weights, its members and their mean.

    Raises:
        BundleError: it has no members whose mean it gives.
    """
    network = open_network(bundle.path / KERAS)
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
) -> list[EpochRow]:
    """Let a network learn from the new cases and the rehearsed ones, by a share of training's rate; one row an epoch.

    The first row, of epoch 0, is of the weights that it came with.
    """
    settings, targets, reading = task.updating or Updating(), task.outcome.targets, fitted.reading
    training = task.training.model_copy(update={"learning_rate": task.training.learning_rate * settings.rate})
    places = [place for place in (given.table, given.before) if place]
    train, valid = ([file for place in places for file in split_files(place, split)] for split in (TRAIN, VALID))
    learned = [*train, *valid] if fitted.folds else train
    truth = truth_of(read_labels(learned, reading), reading)
    inputs, watched_by = statistics.inputs(), learned if fitted.folds else valid
    material = Material(learned, watched_by, inputs, reading, fitted.folds, truth)
    keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    _let_learn(fitted.members, head_of(fitted.members) if how == "head" else fitted.members.layers)
    checkpoint = None
    if given.checkpoints is not None:
        checkpoint = given.checkpoints.of("network", task, statistics, [*train, *valid])
    history = given.learn(fitted.members, material, targets, training, progress, checkpoint, True)
    _let_learn(fitted.members, fitted.members.layers)  # a network is kept with what may learn in it
    return history


def _let_learn(members: Any, some: list[Any]) -> None:
    """These layers of a network, and no other."""
    for layer in members.layers:
        layer.trainable = any(layer is one for one in some)


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
    drawing = Drawing(task.report.bootstrap, task.training.seed)
    return challenged(cases, risk[1], columns, drawing, task.privacy.names_of_few)
