"""Learning step by step: watched after each epoch, stopped where nothing gets better, gone on with after a death.

`Model.fit` forgets where it was within an epoch. Here a step is Keras' own training function, and all that the next one
depends on is kept in a checkpoint: weights, the optimiser's moments, the state of each dropout's seed, the running
loss, the place in the epoch's order, the best weights so far and the history.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from medspark.runs.progress import Progress, Told
from medspark.train.average import Average
from medspark.train.checkpoints import Checkpoint, Kept
from medspark.train.steps import Schedule

TOLD_EVERY = 0.25
"""Seconds between two words of progress."""

Row = dict[str, float]


class Lessons(NamedTuple):
    """What is learned, and how long at most."""

    fit: str
    """What learns, in a word."""
    dataset: Callable[[int, int], Iterable[Any]]
    """From the epoch, from 0, and the steps of it that are done, the batches that are left."""
    plan: Schedule
    watch: Callable[[Any], Row]
    """From the model what is measured on cases not trained on: `valid_loss`, and the metric that decides."""
    better: Callable[[Row], float]
    """From a row of the history what is to be small."""
    patience: int
    ema: float | None = None
    """How much of the average of weights stays at a step; without it there is none."""
    from_start: bool = False
    """Whether the weights that the model comes with may be the best: the history then begins with them, as epoch 0."""


@dataclass
class State:
    """Where learning is; `best` is empty until an epoch has ended."""

    epoch: int = 0
    step: int = 0
    history: list[Row] = field(default_factory=list)
    best: list[npt.NDArray[Any]] = field(default_factory=list)


def learn_steps(model: Any, lessons: Lessons, progress: Progress, checkpoint: Checkpoint | None) -> list[Row]:
    """Train a compiled model; it ends with the weights of its best epoch. Returns the history, one row an epoch."""
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    average = None if lessons.ema is None else Average(model, lessons.ema)
    state = State()
    kept = None if checkpoint is None else checkpoint.read()
    if checkpoint is not None and kept is not None:
        state = _go_on(model, average, kept)
        place = f"goes on in epoch {state.epoch + 1} after step {state.step}"
        checkpoint.say(f"the {lessons.fit} {'had learned' if _has_ended(state, lessons) else place}")
    elif lessons.from_start:
        start = lessons.watch(model)
        state.history, state.best = [{"epoch": 0, "loss": start["valid_loss"], **start}], model.get_weights()
    teller = _Teller(progress, lessons, state)
    while not _has_ended(state, lessons):
        _epoch(model, lessons, state, average, teller, checkpoint)
    if checkpoint is not None and (kept is None or kept.about["epoch"] != state.epoch):
        checkpoint.write(_kept(model, average, state))
    model.set_weights(state.best)
    return state.history


def _has_ended(state: State, lessons: Lessons) -> bool:
    if state.epoch >= lessons.plan.epochs:
        return True
    return bool(state.history) and len(state.history) - 1 - _best_of(state, lessons) >= lessons.patience


def _best_of(state: State, lessons: Lessons) -> int:
    """The place in the history of the best epoch; one whose measure is no number is not."""
    return int(np.argmin(np.nan_to_num([lessons.better(row) for row in state.history], nan=np.inf)))


def _epoch(
    model: Any,
    lessons: Lessons,
    state: State,
    average: Average | None,
    teller: "_Teller",
    checkpoint: Checkpoint | None,
) -> None:
    if not state.step:
        model.reset_metrics()
    for _ in _steps(model, lessons.dataset(state.epoch, state.step)):
        if average is not None:
            average.update()
        state.step += 1
        teller.tell(model, state, ended=False)
        if checkpoint is not None and checkpoint.is_due():
            checkpoint.write(_kept(model, average, state))
    loss = _loss(model)
    raw = average.take(model) if average is not None else None
    state.history.append({"epoch": state.epoch + 1, "loss": loss, **lessons.watch(model)})
    if _best_of(state, lessons) == len(state.history) - 1 or not state.best:
        state.best = model.get_weights()
    if average is not None and raw is not None:
        average.give_back(model, raw)
    teller.tell(model, state, ended=True)
    state.epoch, state.step = state.epoch + 1, 0


def _steps(model: Any, dataset: Iterable[Any]) -> Iterator[None]:
    """Learn from a batch at a time."""
    batches = iter(dataset)
    while True:
        try:
            model.train_function(batches)
        except (StopIteration, tf.errors.OutOfRangeError):
            return
        yield


def _loss(model: Any) -> float:
    return float(model.get_metrics_result()["loss"])


def _variables(model: Any) -> dict[str, list[Any]]:
    return {
        "weights": [*model.trainable_variables, *model.non_trainable_variables],
        "optimizer": list(model.optimizer.variables),
        "metrics": list(model.metrics_variables),
    }


def _kept(model: Any, average: Average | None, state: State) -> Kept:
    arrays = {name: [np.asarray(one) for one in of] for name, of in _variables(model).items()}
    arrays["best"] = state.best
    arrays["average"] = [] if average is None else [np.asarray(one) for one in average.variables]
    return Kept({"epoch": state.epoch, "step": state.step, "history": state.history}, arrays)


def _go_on(model: Any, average: Average | None, kept: Kept) -> State:
    """Give a model back what it had; where it was."""
    found = _variables(model)
    if average is not None:
        found["average"] = average.variables
    for name, variables in found.items():
        for variable, array in zip(variables, kept.arrays[name], strict=True):
            variable.assign(array)
    return State(kept.about["epoch"], kept.about["step"], kept.about["history"], kept.arrays["best"])


class _Teller:
    """Tells how far learning is, and how long it may take yet."""

    def __init__(self, progress: Progress, lessons: Lessons, state: State) -> None:
        self.progress, self.fit, self.plan = progress, lessons.fit, lessons.plan
        self.steps = max(1, self.plan.steps // self.plan.epochs)
        self.began, self.told = time.monotonic(), 0.0
        self.before = state.epoch * self.steps + state.step

    def tell(self, model: Any, state: State, ended: bool) -> None:
        now = time.monotonic()
        if not ended and now - self.told < TOLD_EVERY:
            return
        self.told = now
        done = state.epoch * self.steps + state.step
        seconds = max(now - self.began, 1e-9)
        a_second = (done - self.before) / seconds
        left = (self.plan.steps - done) / a_second if a_second else 0.0
        last = state.history[-1] if state.history else {}
        watched = {name: value for name, value in last.items() if name.startswith("valid_")}
        about = (self.fit, state.epoch + 1, self.plan.epochs, state.step, self.steps, a_second * self.plan.batch_size)
        self.progress(Told(*about, max(0.0, left), _loss(model), watched, ended))
