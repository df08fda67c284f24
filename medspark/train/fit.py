"""Train the network on the training split, watch the validation split, and keep the best epoch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.task.tasks import Task
from medspark.task.training import Training
from medspark.train.batches import count_labelled, dataset
from medspark.train.networks.build import build_network, serving_network

Progress = Callable[[int, dict[str, float]], None]
"""Called after each epoch with its number from 1 and its losses."""


class Fitted(NamedTuple):
    """The network that is kept and how it got there, one row an epoch."""

    network: Any
    history: list[dict[str, float]]


def fit_network(train: list[Path], valid: list[Path], statistics: Statistics, task: Task, progress: Progress) -> Fitted:
    """Fit on Parquet files of tensors; the same seed and files give the same network on the same machine.

    Raises:
        InputError: a split has no case with a known outcome, or the training split has one outcome only.
    """
    training, inputs = task.training, statistics.inputs()
    cases, positives = _require_both_outcomes(train, valid)
    keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    members = build_network(statistics, task.network, training.l2, training.seed)
    steps = -(-cases // training.batch_size)
    members.compile(
        optimizer=_optimizer(training, steps), loss=_loss(training), metrics=[mean_logit_loss], jit_compile=False
    )
    weight = (cases - positives) / positives if training.class_weight == "balanced" else 1.0
    history = members.fit(
        dataset(train, inputs, training.batch_size, weight, training.seed),
        validation_data=dataset(valid, inputs, 8192, weight, None),
        epochs=training.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(
                monitor="val_mean_logit_loss", mode="min", patience=training.patience, restore_best_weights=True
            ),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress(epoch + 1, logs)),
        ],
        verbose=0,
    )
    epochs = zip(history.history["mean_logit_loss"], history.history["val_mean_logit_loss"], strict=True)
    rows = [{"epoch": at + 1, "loss": loss, "valid_loss": valid_loss} for at, (loss, valid_loss) in enumerate(epochs)]
    return Fitted(serving_network(members), rows)


def _require_both_outcomes(train: list[Path], valid: list[Path]) -> tuple[int, int]:
    cases, positives = count_labelled(train)
    watched, _ = count_labelled(valid)
    if not cases or not watched:
        raise InputError(
            f"expected cases with a known outcome in train and valid, received {cases} and {watched}. "
            "Is there enough data for the task's split?"
        )
    if positives in (0, cases):
        raise InputError(f"expected both outcomes in the training split, received {positives} of {cases} with it")
    return cases, positives


def mean_logit_loss(label: Any, logits: Any) -> Any:
    """Cross-entropy of the mean logit, the one that is served; early stopping watches it."""
    mean = keras.ops.mean(logits, axis=-1, keepdims=True)
    return keras.losses.binary_crossentropy(label, mean, from_logits=True)


def _loss(training: Training) -> Callable[[Any, Any], Any]:
    """Each member's own loss, averaged over the members, so that each learns as if alone."""
    of_logits: dict[str, Callable[[Any, Any], Any]] = {
        "cross_entropy": lambda label, logit: keras.losses.binary_crossentropy(label, logit, from_logits=True),
        "focal": lambda label, logit: keras.losses.binary_focal_crossentropy(label, logit, from_logits=True),
    }

    def loss(label: Any, logits: Any) -> Any:
        # Both losses average over the last axis, so every member's logit meets the one label
        return of_logits[training.loss](keras.ops.broadcast_to(label, keras.ops.shape(logits)), logits)

    return loss


def _optimizer(training: Training, steps: int) -> Any:
    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(training.learning_rate, steps * training.epochs)
    match training.optimizer:
        case "adamw":
            return keras.optimizers.AdamW(rate, weight_decay=training.weight_decay)
        case "adam":
            return keras.optimizers.Adam(rate)
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
