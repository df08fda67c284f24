"""Train the network's members, each without one fold of the patients, and keep the epoch that is best on those.

What a member says of the fold that it was not trained on is an honest prediction. Together the members so judge every
patient of the training and validation splits: far more than a validation split alone, for when to stop and for the
calibration. A network of one or two members watches the validation split instead.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.special import expit, softmax

from medspark.encode.inputs import Input
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.evaluate.censoring import Truth, joined
from medspark.evaluate.metrics import performance
from medspark.evaluate.truth import Floats, Reading, reading_of, truth_of
from medspark.runs.progress import Progress
from medspark.task.outcome import Targets
from medspark.task.tasks import Task
from medspark.task.training import StopOn, Training
from medspark.train.batches import Batch, Folds, batches, dataset, fold_of, read_labels, window_of, windows
from medspark.train.boosted import taught_files
from medspark.train.checkpoints import Checkpoint, Kept
from medspark.train.linear import Cases, cases_drawn, draw_to_lines
from medspark.train.loop import Lessons, Row, learn_steps
from medspark.train.losses import cross_entropy, distilled_loss, levels_of, loss_of, positive_weights, shares_of
from medspark.train.networks.build import build_network, serving_network
from medspark.train.pretrain import Excerpts, History, pretrain
from medspark.train.steps import predicted_at_once, schedule
from medspark.train.trees import TAUGHT


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
    lines: float = 0.0
    """The share of logistic regressions in what members say, 0 where they were not drawn towards any."""
    taught: bool = False
    """Whether members, of a student those of its teacher, learned what gradient boosting says and not the outcomes."""


def fit_network(
    train: list[Path],
    valid: list[Path],
    statistics: Statistics,
    task: Task,
    progress: Progress,
    excerpts: Mapping[str, Excerpts] | None = None,
    checkpoint: Checkpoint | None = None,
    learn: "Learn | None" = None,
    heard: Checkpoint | None = None,
) -> Fitted:
    """Fit on Parquet files of tensors; the same seed and files give the same network on the same machine.

    Args:
        train: the training split's files.
        valid: the validation split's.
        statistics: of the features.
        task: its network and training.
        progress: told while it learns.
        excerpts: of histories, where encoders are pretrained.
        checkpoint: what to go on from, and what to leave.
        learn: who learns; where nobody is named, this process does.
        heard: what trees say of these files, where it is kept elsewhere than beside the checkpoint.

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
    heard = heard or (checkpoint and checkpoint.beside("taught"))
    with taught_files(learned, inputs, reading, folds, task.network, training, heard) as (files, said):
        untold = said is not None and task.network.dropout is None
        network = task.network.model_copy(update={"dropout": 0.0}) if untold else task.network
        members = build_network(statistics, network, training.l2, training.seed, sample, targets.kind, level)
        pretrained = _pretrained(members, excerpts or {}, training, checkpoint)
        material = Material(files, learned if folds else valid, inputs, reading, folds, truth, said)
        history = (learn or learn_from)(members, material, targets, training, progress, checkpoint, False)
    lines = _draw_to_lines(members, material, task)
    return Fitted(serving_network(members), members, folds, history, reading, pretrained, lines, said is not None)


def _draw_to_lines(members: Any, material: "Material", task: Task) -> float:
    """By cases of which each has a member that did not learn from it; the share of the logistic regressions."""
    folds, inputs, training, kind = material.folds, material.inputs, task.training, task.outcome.targets.kind
    if folds is None or not training.is_plain or kind == "horizons" or task.network.kind != "tabular":
        return 0.0
    tensors, truth, subject = next(windows(material.watched, inputs, material.reading, None, window_of(training)))
    count = cases_drawn(inputs, len(subject))
    if not count:
        return 0.0
    cases = Cases(tensors, truth, fold_of(subject, folds)).first(count)
    logits = members.predict(cases.tensors, batch_size=predicted_at_once(inputs), verbose=0)
    logit = held_out_logit(np.asarray(logits, np.float64), subject[:count], folds)
    return draw_to_lines(members, inputs, cases, logit, kind)


class Material(NamedTuple):
    """What members learn from, and what they are watched by."""

    learned: list[Path]
    watched: list[Path]
    """Cases that the member that is asked does not learn from."""
    inputs: list[Input]
    reading: Reading
    folds: Folds | None
    truth: Truth
    """Of the cases that are learned from."""
    said: Input | None = None
    """The column of `learned` with what each member is taught of a case, where they are taught."""


Learn = Callable[[Any, Material, Targets, Training, Progress, Checkpoint | None, bool], list[Row]]
"""What learns: `learn_from`, or workers of a cluster who do the same together."""


def learn_from(
    members: Any,
    material: Material,
    targets: Targets,
    training: Training,
    progress: Progress,
    checkpoint: Checkpoint | None,
    from_start: bool = False,
) -> list[Row]:
    """Let members learn as a task's training says; they end with the weights of their best epoch.

    Args:
        from_start: whether the weights that they come with may be the best.

    Returns:
        The history, one row an epoch.
    """
    lessons = lessons_of(members, material, targets, training)._replace(from_start=from_start)
    return learn_steps(members, lessons, progress, checkpoint)


def lessons_of(members: Any, material: Material, targets: Targets, training: Training) -> Lessons:
    """What members learn; they are compiled for it."""
    inputs, reading, folds = material.inputs, material.reading, material.folds
    plan = schedule(training, int(material.truth.weight.any(axis=1).sum()))
    shares = shares_of(targets.kind, targets.names, material.truth)
    weights = positive_weights(training, targets.kind, shares)
    loss = loss_of(training, targets.kind, weights, folds)
    if folds is not None and material.said is not None:
        loss = distilled_loss(training, targets.kind, weights, folds.parts, TAUGHT)
    members.compile(optimizer=optimizer_of(training, plan.steps), loss=loss, jit_compile=False)
    window = window_of(training)
    watched = partial(batches, material.watched, inputs, reading, predicted_at_once(inputs), None, window)
    watch = partial(watched_row, found=watched, targets=targets, folds=folds, metric=training.stop_on)
    found = dataset(material.learned, inputs, reading, plan.batch_size, training.seed, folds, material.said, window)
    better = by_metric(training.stop_on)
    return Lessons("network", found, plan, watch, better, training.patience, training.ema)


def _pretrained(
    members: Any, excerpts: Mapping[str, Excerpts], training: Training, checkpoint: Checkpoint | None
) -> dict[str, History]:
    """Pretrain the encoders, or give them what a run that died had learned when it had."""
    if training.pretrain is None or not excerpts:
        return {}
    beside = None if checkpoint is None else checkpoint.beside("pretrained")
    kept = None if beside is None else beside.read()
    if kept is not None:
        for variable, array in zip(members.variables, kept.arrays["variables"], strict=True):
            variable.assign(array)
        return dict(kept.about["history"])
    found = pretrain(members, excerpts, training.pretrain, training.seed)
    if beside is not None:
        beside.write(Kept({"history": found}, {"variables": [np.asarray(one) for one in members.variables]}))
    return found


class Seen(NamedTuple):
    """What members say of cases that they were not trained on."""

    loss: float
    """The sum of their cross-entropies."""
    cases: int
    said: list[tuple[Floats, Truth]]
    """Logits and truths; none where no metric asks for them."""


def _alone(seen: Seen) -> list[Seen]:
    return [seen]


def watched_row(
    members: Any,
    found: Callable[[], Iterator[Batch]],
    targets: Targets,
    folds: Folds | None,
    metric: StopOn | None,
    gather: Callable[[Seen], list[Seen]] = _alone,
) -> dict[str, float]:
    """`valid_loss`, the mean cross-entropy of what members say of cases that they were not trained on, and the metric.

    Args:
        gather: what all see who look at a part of the cases each.

    Raises:
        InputError: the metric does not exist for these cases.
    """
    parts = gather(_seen(members, found, targets, folds, metric is not None))
    row = {"valid_loss": sum(part.loss for part in parts) / sum(part.cases for part in parts)}
    if metric is None:
        return row
    return row | {f"valid_{metric}": _metric(metric, [one for part in parts for one in part.said], targets)}


def _seen(
    members: Any, found: Callable[[], Iterator[Batch]], targets: Targets, folds: Folds | None, keep: bool
) -> Seen:
    total, cases = 0.0, 0
    said: list[tuple[Floats, Truth]] = []
    for tensors, truth, subject in found():
        logit = held_out_logit(np.asarray(members.predict_on_batch(tensors), np.float64), subject, folds)
        total += cross_entropy(targets.kind, logit, truth)
        cases += len(subject)
        if keep:
            said.append((logit, truth))
    return Seen(total, cases, said)


def _metric(name: StopOn, said: list[tuple[Floats, Truth]], targets: Targets) -> float:
    """Of the headline's risk, on the cases of which it is known."""
    logit = np.concatenate([one for one, _ in said])
    truth = joined([one for _, one in said])
    risk = softmax(logit, axis=1) if targets.kind == "classes" else expit(logit)
    label, weight = truth.label[:, targets.headline], truth.weight[:, targets.headline]
    known = weight > 0
    found = performance(label[known].astype(np.int8), risk[known, targets.headline], weight[known])[name]
    if found is None:
        raise InputError(
            f"training.stop_on: expected cases with and without the outcome to tell the {name} of, received "
            f"{int(known.sum())} with {int(label[known].sum())}"
        )
    return found


def by_metric(metric: StopOn | None) -> Callable[[dict[str, float]], float]:
    """What of a row of the history is to be small.

    >>> by_metric("auroc")({"valid_loss": 0.4, "valid_auroc": 0.8}), by_metric(None)({"valid_loss": 0.4})
    (-0.8, 0.4)
    """
    if metric is None:
        return itemgetter("valid_loss")
    sign = 1.0 if metric == "brier" else -1.0
    return lambda row: sign * row[f"valid_{metric}"]


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
    """The optimiser for so many steps in all, with its schedule and the clipping of gradients.

    Raises:
        InputError: the warm-up is no shorter than training.
    """
    rate, clip = _rate(training, steps), training.clip_norm
    match training.optimizer:
        case "adamw":
            optimizer = keras.optimizers.AdamW(rate, weight_decay=training.weight_decay, global_clipnorm=clip)
            optimizer.exclude_from_weight_decay(var_names=["bias"])
            return optimizer
        case "adam":
            return keras.optimizers.Adam(rate, global_clipnorm=clip)
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, global_clipnorm=clip)


def _rate(training: Training, steps: int) -> Any:
    """A tenth of the rate up to the whole in the warm-up; then down to 0 by a cosine, or as it is."""
    warmup = training.warmup
    if training.schedule == "constant" and warmup is None:
        return training.learning_rate
    if warmup is not None and warmup >= steps:
        raise InputError(f"training.warmup: expected fewer than the {steps} steps of training, received {warmup}")
    rising = min(50, steps // 4) if warmup is None else warmup
    return keras.optimizers.schedules.CosineDecay(
        training.learning_rate / 10,
        max(1, steps if warmup is None else steps - rising),
        alpha=0.0 if training.schedule == "cosine" else 1.0,
        warmup_target=training.learning_rate,
        warmup_steps=rising,
    )
