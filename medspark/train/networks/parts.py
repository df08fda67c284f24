"""What the parts of all networks are made of."""

import math
from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np

from medspark.encode.inputs import Input
from medspark.encode.marks import Mark, Role, mark_name
from medspark.task.training import Network

Tensors = dict[str, Any]
"""Keras's, by the input's name, each (n, width)."""

Part = Callable[[Tensors, Input, Network, int], Any]
"""From the tensors, the input that the part is for, the settings and a seed to a vector a case, (n, numbers), or one of
each member, (n, members, numbers)."""

NEVER: Final = -1e9
"""Added to the score of what is masked: its share of the attention is 0."""

LAYERS: Final = {"small": (64, 32), "medium": (256, 128), "large": (512, 256, 128)}
"""Widths of the hidden layers by the task's `size`, unless it has `hidden`."""


def id_vectors(ids: Any, size: int, width: int, name: str | None = None) -> Any:
    """A vector of `width` numbers for each of `size` ids, (n, ids, width).

    They start at 0, and only training cases that have an id move its vector: one that no training case has says
    nothing. What reads them has weights that start elsewhere, so that vectors learn and grow apart.
    """
    return keras.layers.Embedding(size, width, embeddings_initializer="zeros", name=name)(ids)


def marked(found: Any, one: str, of: int | str, role: Role = "embedded", at: int = 0) -> Any:
    """The same numbers, with a mark by which explanations find what has become of the input `one`."""
    return keras.layers.Identity(name=mark_name(Mark(role, one, at), of))(found)


def presence(ids: Any) -> Any:
    """1 where there is an id and 0 where there is padding, (n, width, 1)."""
    return keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(ids, 0), -1), "float32")


def hidden_layers(network: Network) -> tuple[int, ...]:
    """Widths of the hidden layers; a grid's convolutions are as wide as the last."""
    return network.hidden or LAYERS[network.size]


def smooth(hidden: Any) -> Any:
    """An activation that is smooth, and whose gradient LiteRT has as well."""
    return keras.activations.silu(hidden)


def of_members(read: Any, members: int, width: int, seed: int) -> Any:
    """What all members see, (n, steps, k), as each one's own, (n, steps, members, width)."""
    init = keras.initializers.RandomNormal(stddev=math.sqrt(2 / (int(read.shape[-1]) + width)), seed=seed)
    hidden = keras.layers.Dense(members * width, kernel_initializer=init)(read)
    return keras.layers.Reshape((int(read.shape[1]), members, width))(hidden)


def each_own(hidden: Any, width: int, seed: int) -> Any:
    """A layer of each member on each step, (n, steps, members, k) to (n, steps, members, width)."""
    steps, members, into = map(int, hidden.shape[1:])
    init = keras.initializers.RandomNormal(stddev=math.sqrt(2 / (into + width)), seed=seed)
    return keras.layers.EinsumDense("bsmi,mio->bsmo", (steps, members, width), bias_axes="mo", kernel_initializer=init)(
        hidden
    )


def pooled(states: Any, present: Any, one: str, seed: int) -> Any:
    """What attention over the steps picks, and the newest step: (n, steps, members, k) to (n, members, 2k).

    Each of the k numbers has its own attention.

    Args:
        states: of the steps, the newest last.
        present: (n, steps, 1, 1), 1 where there is a step and 0 where there is none: what the state says there is
            nothing to anyone, and a case without any step is all zeros.
        one: the input that the steps are of.
        seed: of the weights.
    """
    steps, _, wide = map(int, states.shape[1:])
    scores = each_own(states, wide, seed) + (1.0 - present) * NEVER
    there = marked(present, one, seed, "present")
    share = keras.ops.softmax(scores, axis=1) * there
    newest = (np.arange(steps) == steps - 1).astype(np.float32).reshape(1, steps, 1, 1)
    picked = keras.ops.sum(share * states, axis=1)
    last = keras.ops.sum(states * (there * newest), axis=1)
    return keras.layers.Concatenate()([picked, last])
