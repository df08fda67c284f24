"""The part of a gene sequence: dilated convolutions over its letters, and what they find pooled."""

from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np

from medspark.encode.inputs import Input
from medspark.encode.kinds.genes import GENE_PREFIX, LETTERS, REVERSE_PREFIX, bases_of
from medspark.task.training import Network
from medspark.train.networks.parts import Tensors, hidden_layers, marked, presence

KERNEL: Final = 7
"""Letters that a filter sees at once."""
DILATIONS: Final = (1, 2)
PLACES: Final = 16
"""Ways to weigh the places: a full layer over all of them has many times the weights and learns no more."""
POOLED_DROPOUT: Final = 0.5
"""Of what is pooled, wherever there is dropout at all."""
NEVER: Final = -1e9
"""Added where there is no letter: no largest is there."""

BASES: Final = np.array([bases_of(letter_id) for letter_id in range(len(LETTERS))], np.float32)
"""(16, 4): of each id the probabilities of A, C, G and T."""


def gene(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    """A vector a case, (n, numbers): where both strands are read, the sum and the largest of what each gives.

    Both pass through the same weights, and the sum and the largest of two do not depend on their order: a sequence and
    its reverse complement get the same vector to the bit.
    """
    read = _reader(network, found.width, seed)
    strands = [read(name, ids) for name, ids in strands_of(tensors, found).items()]
    if len(strands) == 1:
        return strands[0]
    return keras.ops.concatenate([strands[0] + strands[1], keras.ops.maximum(*strands)], axis=-1)


def strands_of(tensors: Tensors, found: Input) -> dict[str, Any]:
    """The ids of the strand, and of the other one where both are read, each (n, length), by the input's name."""
    reverse = REVERSE_PREFIX + found.name.removeprefix(GENE_PREFIX)
    return {name: tensors[name] for name in (found.name, reverse) if name in tensors}


def bases(ids: Any, one: str, of: int | str) -> Any:
    """The probabilities of A, C, G and T at each place of the input `one`, (n, length, 4)."""
    return marked(keras.ops.take(BASES, ids, axis=0), one, of)


def _reader(network: Network, length: int, seed: int) -> Callable[[str, Any], Any]:
    """A function from an input's name and its ids (n, length) to a vector a case; called again it has the same weights.

    What the convolutions find is pooled in three ways: weighed by its place, for windows that lie alike around
    something, and the largest and the mean wherever it stands.
    """
    width = max(8, hidden_layers(network)[-1] // 2)
    dilations = [1, *(dilation for dilation in DILATIONS if dilation < length)]
    convolutions = [
        keras.layers.Conv1D(
            width, KERNEL, padding="same", dilation_rate=dilation, kernel_initializer=_glorot(seed + 1 + at)
        )
        for at, dilation in enumerate(dilations)
    ]
    drops = [keras.layers.Dropout(network.dropout_rate, seed=seed + 1 + at) for at in range(len(dilations))]
    places = keras.layers.Dense(PLACES, use_bias=False, kernel_initializer=_glorot(seed))
    pooled = keras.layers.Dropout(POOLED_DROPOUT if network.dropout_rate else 0.0, seed=seed)

    def read(one: str, ids: Any) -> Any:
        present = presence(ids)
        there = marked(present, one, seed, "present")
        hidden = convolutions[0](bases(ids, one, seed))
        for drop, convolution in zip(drops[1:], convolutions[1:], strict=True):
            hidden = hidden + convolution(drop(keras.ops.silu(hidden) * there))
        hidden = keras.ops.silu(hidden) * there
        placed = keras.ops.reshape(places(keras.ops.transpose(hidden, (0, 2, 1))), (-1, PLACES * width))
        share = keras.ops.mean(present, axis=1)
        largest = keras.ops.max(hidden + (1.0 - present) * NEVER, axis=1) * keras.ops.max(present, axis=1)
        mean = keras.ops.mean(hidden, axis=1) / keras.ops.maximum(share, 1.0 / length)
        found = pooled(keras.ops.concatenate([placed, largest, mean], axis=-1))
        return keras.ops.concatenate([found, keras.ops.mean(there, axis=1)], axis=-1)

    return read


def _glorot(seed: int) -> Any:
    return keras.initializers.GlorotUniform(seed=seed)
