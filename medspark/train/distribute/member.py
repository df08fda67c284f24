"""One of the members that train a network together: it learns from its share of each batch, in a barrier task.

A step is Keras' own but for one thing: the gradients of a member's share, weighted by the share, are summed over all
members before the optimiser gets them. All members start from the same state and apply the same sums, so their weights
are the same bits at each step. Only the first keeps checkpoints and tells how far training is.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from medspark.errors import InputError
from medspark.runs.progress import Progress
from medspark.task.outcome import Targets
from medspark.task.training import Training
from medspark.train.batches import given, signature, streamed, window_of
from medspark.train.checkpoints import Checkpoint, Kept
from medspark.train.distribute.ring import Ring
from medspark.train.distribute.rows import Rows, of_rows
from medspark.train.distribute.shares import Own, Shares, own_batches, own_cases
from medspark.train.fit import Material, lessons_of, watched_row
from medspark.train.loop import Lessons, Row, learn_steps
from medspark.train.steps import predicted_at_once

Variables = list[npt.NDArray[Any]]


class Place(NamedTuple):
    """Where a checkpoint lies, as `Checkpoint` says, without whom it tells."""

    path: Path
    digest: str
    every_seconds: float


class Common(NamedTuple):
    """What all members are given."""

    network: dict[str, Any]
    """Its layers, as Keras' configuration."""
    variables: Variables
    material: Material
    targets: Targets
    training: Training
    checkpoint: Place | None
    from_start: bool


class Learned(NamedTuple):
    """What a member ends with."""

    history: list[Row]
    variables: Variables
    """Of the first member; the others' are the same, which `digest` shows."""
    digest: str
    """SHA-256 of the variables."""


class FirstCheckpoint(Checkpoint):
    """The checkpoint that the first member keeps, and all go on from."""

    ring: Ring

    def read(self) -> Kept | None:
        return self.ring.from_first(super().read() if self.ring.member == 0 else None)

    def is_due(self) -> bool:
        return self.ring.member == 0 and super().is_due()

    def write(self, kept: Kept) -> None:
        if self.ring.member == 0:
            super().write(kept)


def learn_as_member(common: Common, ring: Ring, progress: Progress, say: Callable[[str], None]) -> Learned:
    """Learn with the others; each ends with the same weights.

    Args:
        common: the same for all.
        ring: to the others.
        progress: told while it learns, by the first member.
        say: told in words what it went on from, by the first member.

    Raises:
        InputError: on all members alike.
        Exception: of TensorFlow's, where another member is lost.
    """
    training, material = common.training, common.material
    keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    model, rows = _network(common)
    lessons = lessons_of(model, material, common.targets, training)
    lessons = _of_share(lessons, common, ring)._replace(from_start=common.from_start)
    model.train_step = partial(_step, model, rows, ring)
    checkpoint = None if common.checkpoint is None else _checkpoint(common.checkpoint, ring, say)
    history = learn_steps(model, lessons, progress if ring.member == 0 else lambda _: None, checkpoint)
    variables = [np.asarray(one) for one in model.variables]
    found = hashlib.sha256()
    for array in variables:
        found.update(array.tobytes())
    return Learned(history, variables if ring.member == 0 else [], found.hexdigest())


def _network(common: Common) -> tuple[Any, Rows]:
    rows = Rows()
    model = of_rows(keras.Model.from_config(common.network), rows)
    for variable, array in zip(model.variables, common.variables, strict=True):
        variable.assign(array)
    return model, rows


def _checkpoint(place: Place, ring: Ring, say: Callable[[str], None]) -> Checkpoint:
    found = FirstCheckpoint(*place, say if ring.member == 0 else lambda _: None)
    found.ring = ring
    return found


def _of_share(lessons: Lessons, common: Common, ring: Ring) -> Lessons:
    """The same lessons from a member's share of the cases, watched by all members together."""
    material, training = common.material, common.training
    inputs, reading, folds = material.inputs, material.reading, material.folds
    said = [] if material.said is None else [material.said]
    learned, watched = (
        Shares(files, read, reading, ring.member, ring.members, window_of(training))
        for files, read in ((material.learned, [*inputs, *said]), (material.watched, inputs))
    )
    learned_groups, watched_groups = learned.groups(), watched.groups()

    def found(epoch: int) -> Iterator[Own]:
        return own_batches(learned, learned_groups, lessons.plan.batch_size, [training.seed, epoch])

    def convert(own: Own) -> Any:
        counts = np.array([len(own.places), own.rows], np.int32)
        return *given(_one_at_least(own), folds, material.said), _places(own), counts

    of_share = (
        *signature(inputs, reading, material.said),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((2,), tf.int32),
    )
    cases = partial(own_cases, watched, watched_groups, predicted_at_once(inputs))
    metric = training.stop_on
    watch = partial(watched_row, found=cases, targets=common.targets, folds=folds, metric=metric, gather=ring.gather)
    dataset = streamed(found, convert, of_share)
    return lessons._replace(dataset=dataset, watch=lambda model: ring.from_first(watch(model)))


def _one_at_least(own: Own) -> Any:
    """A member's rows; where it has none one of zeros, which then counts for nothing."""
    if len(own.places):
        return own.batch
    tensors, truth, _ = own.batch
    zeros = {name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in tensors.items()}
    nothing = np.zeros((1, truth.label.shape[1]))
    return zeros, truth._replace(label=nothing, weight=nothing), np.array([""], object)


def _places(own: Own) -> npt.NDArray[np.int32]:
    return own.places.astype(np.int32) if len(own.places) else np.zeros(1, np.int32)


def _step(model: Any, rows: Rows, ring: Ring, data: Any) -> dict[str, Any]:
    """Keras' step, with gradients and loss of the whole batch: their means over its rows, and penalties once."""
    tensors, truth, rows.places, counts = data
    rows.whole = counts[1]
    share = tf.cast(counts[0], tf.float32) / tf.cast(counts[1], tf.float32)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(tensors, truth, model(tensors, training=True), training=True)
    of_each = zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True)
    pairs = [(one, weight) for one, weight in of_each if one is not None]
    gradients, of_all = _of_all_members([one for one, _ in pairs], loss, share, ring)
    model.metrics[0].update_state(of_all, sample_weight=counts[1])
    model.optimizer.apply_gradients(zip(gradients, (weight for _, weight in pairs), strict=True))
    return dict(model.get_metrics_result())


def _of_all_members(gradients: list[Any], loss: Any, share: Any, ring: Ring) -> tuple[list[Any], Any]:
    """The sums of gradients and of the loss over the members, each weighted by its share.

    Of learned vectors the gradients are those of each time that one was met: Keras' optimisers square them one by one,
    so they are put side by side as one worker has them, and not summed.
    """
    met = [one for one in gradients if isinstance(one, tf.IndexedSlices)]
    dense = [one for one in gradients if not isinstance(one, tf.IndexedSlices)]
    flat = tf.concat([*(tf.reshape(one, [-1]) for one in dense), tf.reshape(loss, [1])], 0) * share
    given = [flat, *(one.values * share for one in met), *(one.indices for one in met)]
    found = tf.numpy_function(ring.total_and_joined, given, [one.dtype for one in given])
    sizes = [one.shape.num_elements() for one in dense]
    *sums, of_all = tf.split(tf.ensure_shape(found[0], [sum(sizes) + 1]), [*sizes, 1])
    summed = iter([tf.reshape(one, like.shape) for one, like in zip(sums, dense, strict=True)])
    joined = iter(
        [
            tf.IndexedSlices(tf.ensure_shape(values, one.values.shape), tf.ensure_shape(at, [None]), one.dense_shape)
            for values, at, one in zip(found[1 : len(met) + 1], found[len(met) + 1 :], met, strict=True)
        ]
    )
    return [next(joined if isinstance(one, tf.IndexedSlices) else summed) for one in gradients], of_all[0]


def missing_files(material: Material) -> str | None:
    """The folder of tensors that this machine lacks."""
    lacking = (file for file in [*material.learned, *material.watched] if not file.is_file())
    return next((str(file.parent) for file in lacking), None)


def require_files(lacking: list[str | None]) -> None:
    """Every member sees the tensors.

    Raises:
        InputError: some do not.
    """
    if folder := next((one for one in lacking if one), None):
        raise InputError(
            f"training.workers: expected every worker to see the tensors in {folder}, received "
            f"{sum(map(bool, lacking))} of {len(lacking)} that do not. Put the store on a disk that all machines share"
        )
