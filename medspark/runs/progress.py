"""How far training is, as it is told while it runs."""

from collections.abc import Callable
from typing import NamedTuple


class Told(NamedTuple):
    """What is known after a step."""

    epoch: int
    """From 1."""
    epochs: int
    """The most there may be."""
    step: int
    """Steps done in this epoch."""
    steps: int
    """In an epoch."""
    examples_per_second: float
    """Of this process, the watched cases' time counted in; 0 before the first step."""
    seconds_left: float
    """Until the last epoch there may be; training that stops early takes less."""
    loss: float
    """On what is learned from, the mean of this epoch so far."""
    valid_loss: float | None
    """On cases not trained on, after the epoch before."""
    ended: bool
    """Whether the epoch has ended, and `valid_loss` is of this one."""


Progress = Callable[[Told], None]


def in_words(told: Told) -> str:
    """One line for a person.

    >>> in_words(Told(3, 20, 10, 40, 12345.6, 75.0, 0.51, 0.5432, False))
    'epoch 3 of 20, 12,346 examples/s, at most 1:15 left, loss 0.5100, validation loss 0.5432'
    """
    minutes, seconds = divmod(round(told.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    valid = "" if told.valid_loss is None else f", validation loss {told.valid_loss:.4f}"
    return (
        f"epoch {told.epoch} of {told.epochs}, {told.examples_per_second:,.0f} examples/s, at most {left} left, "
        f"loss {told.loss:.4f}{valid}"
    )
