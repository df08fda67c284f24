"""Train the network's members, each without one fold of the patients, and keep the epoch that is best on those.

What a member says of the fold that it was not trained on is an honest prediction. Together the members so judge every
patient of the training and validation splits: far more than a validation split alone, for when to stop and for the
calibration. A network of one or two members watches the validation split instead.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from medspark.encode.inputs import pixels_of, rows_at_once
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.task.tasks import Task
from medspark.task.training import Training
from medspark.train.batches import Batch, Folds, batches, count_labelled, dataset, fold_of, windows
from medspark.train.export import PREDICTED
from medspark.train.networks.build import build_network, serving_network
from medspark.train.schedule import schedule

Progress = Callable[[int, int, float], None]
"""Called after each epoch with its number from 1, the most there may be, and its loss on cases not trained on."""


class Fitted(NamedTuple):
    """The network that is kept and how it got there, one row an epoch."""

    network: Any
    members: Any
    """The same with each member's logit, (n, members)."""
    folds: Folds | None
    """Which fold each patient of the training and validation splits is in; None where members share no folds."""
    history: list[dict[str, float]]


def fit_network(train: list[Path], valid: list[Path], statistics: Statistics, task: Task, progress: Progress) -> Fitted:
    """Fit on Parquet files of tensors; the same seed and files give the same network on the same machine.

    Raises:
        InputError: a split has no case with a known outcome, or the training split has one outcome only.
    """
    training, inputs = task.training, statistics.inputs()
    folds = Folds(task.network.members, training.seed) if task.network.cross_fitted else None
    learned = [*train, *valid] if folds else train
    cases, positives = _require_both_outcomes(train, valid, folds)
    keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    sample, _, _ = next(windows(train, inputs, np.random.default_rng(training.seed)))
    level = float(np.log(positives / (cases - positives)))
    members = build_network(statistics, task.network, training.l2, training.seed, sample, level)
    plan = schedule(training, cases)
    members.compile(optimizer=_optimizer(training, plan.steps), loss=_loss(training, folds), jit_compile=False)
    weight = (cases - positives) / positives if training.class_weight == "balanced" else 1.0
    watched = partial(batches, learned if folds else valid, inputs, rows_at_once(PREDICTED, pixels_of(inputs)), None)
    best = _Best(watched, folds, training.patience, partial(_tell, progress, plan.epochs))
    members.fit(
        dataset(learned, inputs, plan.batch_size, weight, training.seed, folds),
        epochs=plan.epochs,
        callbacks=[best],
        verbose=0,
    )
    members.set_weights(best.weights)
    return Fitted(serving_network(members), members, folds, best.history)


def _tell(progress: Progress, epochs: int, row: dict[str, float]) -> None:
    progress(int(row["epoch"]), epochs, row["valid_loss"])


class _Best(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights of the epoch with the least loss on cases not trained on; stops where none gets better."""

    def __init__(
        self,
        watched: Callable[[], Iterator[Batch]],
        folds: Folds | None,
        patience: int,
        tell: Callable[[dict[str, float]], None],
    ) -> None:
        super().__init__()
        self.watched, self.folds, self.patience, self.tell = watched, folds, patience, tell
        self.weights: list[npt.NDArray[Any]] = []
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = watched_loss(self.model, self.watched(), self.folds)
        before = min((row["valid_loss"] for row in self.history), default=np.inf)
        self.history.append({"epoch": epoch + 1, "loss": (logs or {})["loss"], "valid_loss": loss})
        self.tell(self.history[-1])
        if loss < before or not self.weights:
            self.weights = self.model.get_weights()
        best = int(np.argmin([row["valid_loss"] for row in self.history]))
        if epoch - best >= self.patience:
            self.model.stop_training = True


def watched_loss(members: Any, found: Iterator[Batch], folds: Folds | None) -> float:
    """The mean cross-entropy of what members say of cases that they were not trained on."""
    total, cases = 0.0, 0
    for tensors, label, subject in found:
        logit = held_out_logit(np.asarray(members.predict_on_batch(tensors), np.float64), subject, folds)
        total += float(np.sum(np.logaddexp(0.0, logit) - label * logit))
        cases += len(label)
    return total / cases


def held_out_logit(
    logits: npt.NDArray[np.float64], subject: npt.NDArray[Any], folds: Folds | None
) -> npt.NDArray[np.float64]:
    """Of the members' logits (n, members) the one of the member that did not learn from the patient, (n,).

    The mean of all where no member learned from any.
    """
    if folds is None:
        return np.asarray(logits.mean(axis=1))
    return logits[np.arange(len(logits)), fold_of(subject, folds)]


def _require_both_outcomes(train: list[Path], valid: list[Path], folds: Folds | None) -> tuple[int, int]:
    """Cases with a known outcome that members learn from, and those of them that have it."""
    cases, positives = count_labelled(train)
    watched, with_it = count_labelled(valid)
    if not cases or not watched:
        raise InputError(
            f"expected cases with a known outcome in train and valid, received {cases} and {watched}. "
            "Is there enough data for the task's split?"
        )
    if positives in (0, cases):
        raise InputError(f"expected both outcomes in the training split, received {positives} of {cases} with it")
    return (cases + watched, positives + with_it) if folds else (cases, positives)


def _loss(training: Training, folds: Folds | None) -> Callable[[Any, Any], Any]:
    """Each member's own loss on the cases that are not of its fold, averaged over the members, so that each learns as
    if alone. What is compared with the logits (n, members) is (n, 2): the label and the fold."""
    of_logits: dict[str, Callable[..., Any]] = {
        "cross_entropy": keras.losses.binary_crossentropy,
        "focal": keras.losses.binary_focal_crossentropy,
    }
    one = of_logits[training.loss]

    def loss(truth: Any, logits: Any) -> Any:
        label = keras.ops.broadcast_to(truth[:, :1], keras.ops.shape(logits))
        each = one(label[..., None], logits[..., None], from_logits=True)  # over the last axis, of one
        if folds is None:
            return keras.ops.mean(each, axis=-1)
        learned = keras.ops.cast(truth[:, 1:] != keras.ops.arange(folds.parts, dtype="float32"), each.dtype)
        return keras.ops.sum(each * learned, axis=-1) / (folds.parts - 1)

    return loss


def _optimizer(training: Training, steps: int) -> Any:
    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            training.learning_rate / 10, steps, warmup_target=training.learning_rate, warmup_steps=min(50, steps // 4)
        )
    match training.optimizer:
        case "adamw":
            optimizer = keras.optimizers.AdamW(rate, weight_decay=training.weight_decay)
            optimizer.exclude_from_weight_decay(var_names=["bias"])
            return optimizer
        case "adam":
            return keras.optimizers.Adam(rate)
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
