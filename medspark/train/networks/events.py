"""The parts of a history: sequences and grids."""

from typing import Any, Final

import keras

from medspark.encode.inputs import Input, size_of
from medspark.encode.kinds.events import NUMBERS_PREFIX, TIMES_PREFIX, TOKENS_PREFIX
from medspark.task.training import Network
from medspark.train.networks.parts import Tensors, embedding_table, hidden_layers, presence

KERNEL: Final = 3
"""Steps of a grid that a convolution sees at once."""

NEVER: Final = -1e9
"""Added to the score of padding: its share of the attention is 0."""


def sequence(tensors: Tensors, tokens: Input, network: Network, seed: int) -> Any:
    """Attention over the events: each is its code's vector and what its time and number say, passed through a layer.

    Each of the vector's numbers has its own attention. Events don't look at one another: that would take the square
    of a sequence's length in memory for every case that is scored.
    """
    width, name = 4 * network.embedding, tokens.name.removeprefix(TOKENS_PREFIX)
    init = keras.initializers.GlorotUniform
    numbers = [keras.ops.expand_dims(tensors[prefix + name], -1) for prefix in (TIMES_PREFIX, NUMBERS_PREFIX)]
    when = keras.layers.Dense(width, kernel_initializer=init(seed=seed + 1))(keras.ops.concatenate(numbers, axis=-1))
    events = embedding_table(tokens, width, seed)(tensors[tokens.name]) + when
    events = keras.layers.Dense(width, activation="gelu", kernel_initializer=init(seed=seed + 2))(events)
    present = presence(tensors[tokens.name])
    scores = keras.layers.Dense(width, kernel_initializer=init(seed=seed + 3))(events) + (1.0 - present) * NEVER
    return keras.ops.sum(keras.ops.softmax(scores, axis=1) * present * events, axis=1)


def grid(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    """Two convolutions over the steps, then the mean and the largest of each filter."""
    columns = 2 * size_of(found)
    hidden = keras.layers.Reshape((found.width // columns, columns))(tensors[found.name])
    for at in range(2):
        init = keras.initializers.GlorotUniform(seed=seed + 1 + at)
        hidden = keras.layers.Conv1D(
            hidden_layers(network)[-1], KERNEL, padding="same", activation="gelu", kernel_initializer=init
        )(hidden)
    pooled = [keras.layers.GlobalAveragePooling1D()(hidden), keras.layers.GlobalMaxPooling1D()(hidden)]
    return keras.layers.Concatenate()(pooled)
