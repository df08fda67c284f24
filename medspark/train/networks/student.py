"""The small network that is served in place of the one that taught it."""

from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import keras

from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.task.outcome import Kind
from medspark.task.training import Network
from medspark.train.networks.build import build_network
from medspark.train.networks.parts import LAYERS

MOST_WEIGHTS: Final = {"small": 20_000, "medium": 100_000, "large": 500_000}
"""By the task's `student`."""
NARROWER: Final = (1, 2, 4, 8)
"""What the widths of a student's layers are divided by until its weights are few enough."""
THINNER: Final = (1.0, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1)
"""What the width of its vectors is multiplied by before."""
LEAST_WIDTH: Final = 4
FILTERS: Final = {"small": (8, 16, 16), "medium": (16, 32, 32), "large": (32, 64, 64)}
"""Of images."""
DROPOUT: Final = 0.1
"""Soft labels have less noise to learn by heart than outcomes."""


def student_settings(statistics: Statistics, teacher: Network, kind: Kind, targets: int) -> Network:
    """The widest plain network of one member that has no more weights than the task's `student` allows.

    Vectors of categories and codes get narrower before the hidden layers do: with a large vocabulary most weights are
    theirs.

    Raises:
        InputError: the narrowest has more.
    """
    assert teacher.student is not None, "the task asks for a student"
    most, least = MOST_WEIGHTS[teacher.student], None
    for settings in _from_the_widest(teacher):
        weights = build_network(statistics, settings, 0.0, 0, {}, kind, [0.0] * targets).count_params()
        if weights <= most:
            return settings
        least = weights if least is None else min(least, weights)
    larger = next((name for name, allowed in MOST_WEIGHTS.items() if allowed >= (least or 0)), None)
    hint = f"Say student: {larger}" if larger else "Raise at_least of codes and events, so that fewer have a vector"
    raise InputError(
        f"network.student: expected a network of at most {most:,} weights for these features, received {least:,} in "
        f"the narrowest one. {hint}"
    )


def _from_the_widest(teacher: Network) -> Iterator[Network]:
    assert teacher.student is not None, "the task asks for a student"
    vectors = dict.fromkeys(max(1, round(teacher.embedding * thinner)) for thinner in THINNER)
    for narrower, embedding in product(NARROWER, vectors):
        images = teacher.images.model_copy(
            update={"filters": _divided(FILTERS[teacher.student], narrower), "weights": None}
        )
        yield Network(
            kind="plain",
            hidden=_divided(LAYERS[teacher.student], narrower),
            embedding=embedding,
            dropout=DROPOUT,
            members=1,
            images=images,
        )


def _divided(widths: tuple[int, ...], by: int) -> tuple[int, ...]:
    return tuple(max(LEAST_WIDTH, width // by) for width in widths)


def students_network(
    statistics: Statistics, settings: Network, seed: int, count: int, kind: Kind, targets: int
) -> tuple[Any, Any]:
    """Students that learn side by side and share nothing: the network of all their logits, (n, count, k), and that of
    the last one, (n, 1, k)."""
    tensors = {one.name: keras.Input((one.width,), dtype=one.dtype, name=one.name) for one in statistics.inputs()}
    each = []
    for at in range(count):
        built = build_network(statistics, settings, 0.0, seed + at, {}, kind, [0.0] * targets)
        each.append(keras.Model(built.input, built.output, name=f"student_{at}"))
    logits = keras.ops.concatenate([one(tensors) for one in each], axis=1)
    return keras.Model(tensors, logits, name="students"), each[-1]
