"""Train the network's members, each without one fold of the patients, and keep the epoch that is best on those.

What a member says of the fold that it was not trained on is an honest prediction. Together the members so judge every
patient of the training and validation splits: far more than a validation split alone, for when to stop and for the
calibration. A network of one or two members watches the validation split instead.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.evaluate.censoring import Truth, joined
from medspark.evaluate.truth import Floats, Reading, reading_of, truth_of
from medspark.task.outcome import Kind, Targets
from medspark.task.tasks import Task
from medspark.task.training import Training
from medspark.train.batches import Batch, Folds, batches, dataset, fold_of, read_labels, windows
from medspark.train.losses import cross_entropy, levels_of, loss_of, positive_weights, shares_of
from medspark.train.networks.build import build_network, serving_network
from medspark.train.pretrain import Excerpts, History, pretrain
from medspark.train.schedule import predicted_at_once, schedule

Progress = Callable[[int, int, float], None]
"""Called after each epoch with its number from 1, the most there may be, and its loss on cases not trained on."""


class Fitted(NamedTuple):
    """The network that is kept and how it got there, one row an epoch."""

    network: Any
    members: Any
    """The same with each member's logits, (n, members, k)."""
    folds: Folds | None
    """Which fold each patient of the training and validation splits is in; None where members share no folds."""
    history: list[dict[str, float]]
    reading: Reading
    """How labels are read, by what the cases learned from say."""
    pretrained: dict[str, History]
    """Of each sequence's encoder one row an epoch; empty without pretraining."""


def fit_network(
    train: list[Path],
    valid: list[Path],
    statistics: Statistics,
    task: Task,
    progress: Progress,
    excerpts: Mapping[str, Excerpts] | None = None,
) -> Fitted:
    """Fit on Parquet files of tensors; the same seed and files give the same network on the same machine.

    Args:
        train: the training split's files.
        valid: the validation split's.
        statistics: of the features.
        task: its network and training.
        progress: told after each epoch.
        excerpts: of histories, where encoders are pretrained.

    Raises:
        InputError: a split has no case with a known outcome, or the training split has one outcome only.
    """
    training, inputs, targets = task.training, statistics.inputs(), task.outcome.targets
    folds = Folds(task.network.members, training.seed) if task.network.cross_fitted else None
    learned = [*train, *valid] if folds else train
    reading = reading_of(task.outcome, read_labels(learned, reading_of(task.outcome)))
    truth, shares = _require_both_outcomes(train, valid, folds is not None, reading, targets)
    keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    sample, _, _ = next(windows(train, inputs, reading, np.random.default_rng(training.seed)))
    level = levels_of(targets.kind, shares)
    members = build_network(statistics, task.network, training.l2, training.seed, sample, targets.kind, level)
    pretrained = {}
    if training.pretrain is not None and excerpts:
        pretrained = pretrain(members, excerpts, training.pretrain, training.seed)
    plan = schedule(training, int(truth.weight.any(axis=1).sum()))
    loss = loss_of(training, targets.kind, positive_weights(training, targets.kind, shares), folds)
    members.compile(optimizer=optimizer_of(training, plan.steps), loss=loss, jit_compile=False)
    watched = partial(batches, learned if folds else valid, inputs, reading, predicted_at_once(inputs), None)
    watch = partial(watched_loss, found=watched, kind=targets.kind, folds=folds)
    best = Best(watch, training.patience, partial(_tell, progress, plan.epochs))
    members.fit(
        dataset(learned, inputs, reading, plan.batch_size, training.seed, folds),
        epochs=plan.epochs,
        callbacks=[best],
        verbose=0,
    )
    members.set_weights(best.weights)
    return Fitted(serving_network(members), members, folds, best.history, reading, pretrained)


def _tell(progress: Progress, epochs: int, row: dict[str, float]) -> None:
    progress(int(row["epoch"]), epochs, row["valid_loss"])


class Best(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights of the epoch with the least loss on cases not trained on; stops where none gets better."""

    def __init__(self, watch: Callable[[Any], float], patience: int, tell: Callable[[dict[str, float]], None]) -> None:
        super().__init__()
        self.watch, self.patience, self.tell = watch, patience, tell
        self.weights: list[npt.NDArray[Any]] = []
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = self.watch(self.model)
        before = min((row["valid_loss"] for row in self.history), default=np.inf)
        self.history.append({"epoch": epoch + 1, "loss": (logs or {})["loss"], "valid_loss": loss})
        self.tell(self.history[-1])
        if loss < before or not self.weights:
            self.weights = self.model.get_weights()
        best = int(np.argmin([row["valid_loss"] for row in self.history]))
        if epoch - best >= self.patience:
            self.model.stop_training = True


def watched_loss(members: Any, found: Callable[[], Iterator[Batch]], kind: Kind, folds: Folds | None) -> float:
    """The mean cross-entropy of what members say of cases that they were not trained on."""
    total, cases = 0.0, 0
    for tensors, truth, subject in found():
        logit = held_out_logit(np.asarray(members.predict_on_batch(tensors), np.float64), subject, folds)
        total += cross_entropy(kind, logit, truth)
        cases += len(subject)
    return total / cases


def held_out_logit(logits: Floats, subject: npt.NDArray[Any], folds: Folds | None) -> Floats:
    """Of the members' logits (n, members, k) those of the member that did not learn from the patient, (n, k).

    The mean of all where no member learned from any.
    """
    if folds is None:
        return np.asarray(logits.mean(axis=1))
    return logits[np.arange(len(logits)), fold_of(subject, folds)]


def _require_both_outcomes(
    train: list[Path], valid: list[Path], both_learned: bool, reading: Reading, targets: Targets
) -> tuple[Truth, Floats]:
    """What is known of the cases that members learn from, and of each target the share that has it."""
    found = truth_of(read_labels(train, reading), reading)
    watched = truth_of(read_labels(valid, reading), reading)
    cases, others = int(found.weight.any(axis=1).sum()), int(watched.weight.any(axis=1).sum())
    if not cases or not others:
        raise InputError(
            f"expected cases with a known outcome in train and valid, received {cases} and {others}. "
            "Is there enough data for the task's split?"
        )
    learned = joined([found, watched]) if both_learned else found
    return learned, shares_of(targets.kind, targets.names, learned)


def optimizer_of(training: Training, steps: int) -> Any:
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
