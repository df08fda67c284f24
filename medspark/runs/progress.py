"""How far training is, as it is told while it runs."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Told(NamedTuple):
    """What is known after a step."""

    fit: str
    """What learns: the network, or its student."""
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
    watched: Mapping[str, float]
    """Of cases not trained on after the epoch before: `valid_loss`, and the metric that decides. Empty in the first."""
    ended: bool
    """Whether the epoch has ended, and `watched` is of this one."""


Progress = Callable[[Told], None]


def in_words(told: Told) -> str:
    """One line for a person.

    >>> in_words(Told("network", 3, 20, 10, 40, 12345.6, 75.0, 0.51, {"valid_loss": 0.5432}, False))
    'network, epoch 3 of 20, 12,346 examples/s, at most 1:15 left, loss 0.5100, valid loss 0.5432'
    """
    minutes, seconds = divmod(round(told.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    valid = "".join(f", {name.replace('_', ' ')} {value:.4f}" for name, value in told.watched.items())
    return (
        f"{told.fit}, epoch {told.epoch} of {told.epochs}, {told.examples_per_second:,.0f} examples/s, "
        f"at most {left} left, loss {told.loss:.4f}{valid}"
    )
