"""What training makes small: the cross-entropy of each member's logits, where and as far as a target is known."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from medspark.errors import InputError
from medspark.evaluate.censoring import Truth
from medspark.evaluate.truth import Floats
from medspark.task.outcome import Kind
from medspark.task.training import Training
from medspark.train.batches import Folds


def loss_of(training: Training, kind: Kind, positive_weight: Floats, folds: Folds | None) -> Callable[[Any, Any], Any]:
    """Each member's own loss on the cases that are not of its fold, averaged over the members, so that each learns as
    if alone.

    What is compared with the logits (n, members, k) is (n, 1, 2 k + 1): labels, weights and the fold, as `dataset`
    gives them.

    Args:
        positive_weight: (k,) of a case with each target.
    """
    size = len(positive_weight)

    def loss(truth: Any, logits: Any) -> Any:
        of_member = _of_members(training, kind, truth, logits, positive_weight)
        if folds is None:
            return keras.ops.mean(of_member, axis=-1)
        return _learned(of_member, truth[:, :, 2 * size], folds.parts) / (folds.parts - 1)

    return loss


def distilled_loss(
    training: Training, kind: Kind, positive_weight: Floats, learners: int, soft: float
) -> Callable[[Any, Any], Any]:
    """The same mixed with the cross-entropy of each learner's logits with what its teacher says (distillation: Hinton
    et al. 2015, arXiv 1503.02531, at a temperature of 1).

    What is compared with the logits (n, learners, k) is (n, 1, 2 k + 1 + learners * k): what `loss_of` reads, and the
    teacher's logits for each learner. It speaks of every target, whether or not the outcome is known.

    Args:
        learners: members, or students; a case of the fold of one's number is left out by that one.
        soft: the share of the teacher's word in the loss.
    """
    size = len(positive_weight)
    said = _of_said_classes if kind == "classes" else _of_said_targets

    def loss(truth: Any, logits: Any) -> Any:
        each = said(keras.ops.reshape(truth[..., 2 * size + 1 :], (-1, learners, size)), logits)
        if soft < 1:
            each = (1 - soft) * _of_members(training, kind, truth, logits, positive_weight) + soft * each
        return _learned(each, truth[:, :, 2 * size], learners) / (learners - 1)

    return loss


def _of_members(training: Training, kind: Kind, truth: Any, logits: Any, positive_weight: Floats) -> Any:
    """(n, members), of the labels and weights that truth begins with."""
    size = len(positive_weight)
    each = _of_classes if kind == "classes" else _of_targets
    label = keras.ops.broadcast_to(truth[..., :size], keras.ops.shape(logits))
    return each(training, label, truth[..., size : 2 * size], logits, positive_weight)


def _smoothed(training: Training, label: Any, outcomes: int) -> Any:
    """Labels of which a share is spread evenly over so many outcomes (Szegedy et al. 2016, arXiv 1512.00567)."""
    spread = training.label_smoothing
    return label if spread is None else label * (1.0 - spread) + spread / outcomes


def _learned(of_member: Any, fold: Any, members: int) -> Any:
    """The sum (n,) over the members but the one that leaves out the case's fold."""
    learned = keras.ops.cast(fold != keras.ops.arange(members, dtype="float32"), of_member.dtype)
    return keras.ops.sum(of_member * learned, axis=-1)


def _of_said_targets(said: Any, logits: Any) -> Any:
    found = keras.losses.binary_crossentropy(keras.ops.sigmoid(said)[..., None], logits[..., None], from_logits=True)
    return keras.ops.mean(found, axis=-1)


def _of_said_classes(said: Any, logits: Any) -> Any:
    return keras.losses.categorical_crossentropy(keras.ops.softmax(said), logits, from_logits=True)


def _of_targets(training: Training, label: Any, weight: Any, logits: Any, positive_weight: Floats) -> Any:
    """(n, members): the mean over the targets, those that are not known as 0."""
    losses: dict[str, Callable[..., Any]] = {
        "cross_entropy": keras.losses.binary_crossentropy,
        "focal": keras.losses.binary_focal_crossentropy,
    }
    smoothed = _smoothed(training, label, 2)
    # over the last axis, of one
    found = losses[training.loss](smoothed[..., None], logits[..., None], from_logits=True)
    weight = weight * (1.0 + label * (positive_weight.astype(np.float32) - 1.0))
    return keras.ops.mean(found * weight, axis=-1)


def _of_classes(training: Training, label: Any, weight: Any, logits: Any, positive_weight: Floats) -> Any:
    """(n, members), of the one class that each case has."""
    losses: dict[str, Callable[..., Any]] = {
        "cross_entropy": keras.losses.categorical_crossentropy,
        "focal": keras.losses.categorical_focal_crossentropy,
    }
    found = losses[training.loss](_smoothed(training, label, len(positive_weight)), logits, from_logits=True)
    return found * weight[..., 0] * keras.ops.sum(label * positive_weight.astype(np.float32), axis=-1)


def cross_entropy(kind: Kind, logit: Floats, truth: Truth) -> float:
    """The sum over n cases of the cross-entropy of logits (n, k), the mean over their targets."""
    label = np.nan_to_num(truth.label)
    if kind == "classes":
        top = logit.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(logit - top).sum(axis=1))
        return float(np.sum(truth.weight[:, 0] * (total - (label * logit).sum(axis=1))))
    each = np.logaddexp(0.0, logit) - label * logit
    return float(np.sum((truth.weight * each).mean(axis=1)))


def positive_weights(training: Training, kind: Kind, shares: Floats) -> Floats:
    """(k,) what a case with each target weighs: balanced, so that all with it and all without weigh the same.

    Args:
        shares: (k,) of the cases with each target.
    """
    if training.class_weight != "balanced":
        return np.ones(len(shares))
    return 1 / (len(shares) * shares) if kind == "classes" else (1 - shares) / shares


def shares_of(kind: Kind, names: tuple[str, ...], truth: Truth) -> Floats:
    """(k,) the share of the cases learned from with each target, the unknown ones apart.

    Raises:
        InputError: a target has one outcome only.
    """
    label, weight = np.nan_to_num(truth.label), truth.weight
    known, positive = (weight > 0).sum(axis=0), (label * (weight > 0)).sum(axis=0)
    for name, cases, with_it in zip(names, known, positive, strict=True):
        if with_it in (0, cases):
            what = "it" if kind == "binary" else name
            raise InputError(
                f"expected both outcomes in the training split, received {with_it:.0f} of {cases} with {what}"
            )
    return np.asarray((label * weight).sum(axis=0) / weight.sum(axis=0))


def levels_of(kind: Kind, shares: Floats) -> npt.NDArray[np.float64]:
    """(k,) the logits that members start from: what they would say of everybody."""
    return np.log(shares) if kind == "classes" else np.log(shares / (1 - shares))
