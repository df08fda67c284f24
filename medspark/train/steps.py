"""How long a network learns: steps are what count, so few cases get small batches and many epochs."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from medspark.encode.inputs import Input, pixels_of, rows_at_once
from medspark.task.training import Training

STEPS: Final = 2_500
"""Aimed at, where the task says no epochs."""
LEAST_EPOCHS, MOST_EPOCHS = 12, 150
BATCHES: Final = ((10_000, 128), (50_000, 256), (200_000, 512), (1_000_000, 1024))
"""Up to so many cases batches of such a size, where the task says none."""
LARGEST: Final = 4096
PREDICTED: Final = 8192
"""Cases at a time at most, where nothing is learned."""
PAIRS: Final = 2**25
"""Of events, in all the cases that are predicted at a time: some arrays have a number or more for each pair."""


class Schedule(NamedTuple):
    batch_size: int
    epochs: int
    steps: int
    """In all epochs."""


def schedule(training: Training, cases: int, steps: int = STEPS) -> Schedule:
    """The batch size and the most epochs for so many cases, where the task says none by the steps that are aimed at.

    >>> schedule(Training(), 800), schedule(Training(), 80_000)
    (Schedule(batch_size=128, epochs=150, steps=1050), Schedule(batch_size=512, epochs=16, steps=2512))
    >>> schedule(Training(batch_size=100, epochs=3), 1_000)
    Schedule(batch_size=100, epochs=3, steps=30)
    """
    batch_size = training.batch_size or next((size for most, size in BATCHES if cases <= most), LARGEST)
    an_epoch = max(1, -(-cases // batch_size))
    epochs = training.epochs or min(MOST_EPOCHS, max(LEAST_EPOCHS, -(-steps // an_epoch)))
    return Schedule(batch_size, epochs, epochs * an_epoch)


def predicted_at_once(inputs: Sequence[Input]) -> int:
    """How many cases are predicted at a time: fewer where each has many events or pixels.

    >>> tokens = Input("tokens_past", 256, "int32", 90, part="sequence")
    >>> predicted_at_once([tokens]), predicted_at_once([tokens._replace(width=16)]), predicted_at_once([])
    (512, 8192, 8192)
    """
    longest = max((one.width for one in inputs if one.part == "sequence"), default=1)
    most = 1024 if any(one.part == "grid" for one in inputs) else PREDICTED
    return rows_at_once(max(16, min(most, PAIRS // longest**2)), pixels_of(inputs))
