"""Keras networks, built from the kinds of the features. Each gives one logit a case."""

from collections.abc import Callable
from typing import Any, Final

import keras

from medspark.encode.statistics import (
    CATEGORIES,
    CODES_PREFIX,
    GRID_PREFIX,
    NUMBERS_PREFIX,
    NUMERIC,
    TIMES_PREFIX,
    TOKENS_PREFIX,
    Statistics,
    dtype_of,
)
from medspark.task.training import Network

LAYERS: Final = {"small": (64, 32), "medium": (256, 128), "large": (512, 256, 128)}
"""Widths of the hidden layers by the task's `size`, unless it has `hidden`."""
KERNEL: Final = 3
"""Steps of a grid that a convolution sees at once."""
NEVER: Final = -1e9
"""Added to the score of padding: its share of the attention is 0."""

Inputs = dict[str, Any]


def build_network(statistics: Statistics, network: Network, l2: float, seed: int) -> Any:
    """A network with an input for each kind of feature and `members` logits, (n, members).

    Categories and codes get learned vectors; a case's codes are summed, the empty ones left out. Of a sequence the
    attention picks the events that matter, of a grid two convolutions find its shapes. The members share their
    inputs and nothing else: trained together, each gets the gradients it would get alone.
    """
    widths, sizes = statistics.widths(), statistics.sizes()
    inputs = {name: keras.Input((width,), dtype=dtype_of(name), name=name) for name, width in widths.items()}
    logits = [_member(inputs, sizes, network, l2, seed * 1000 + member) for member in range(network.members)]
    output = keras.layers.Concatenate(name="logits")(logits) if len(logits) > 1 else logits[0]
    return keras.Model(inputs, output, name="members")


def hidden_layers(network: Network) -> tuple[int, ...]:
    """Widths of the hidden layers; a grid's convolutions are as wide as the last."""
    return network.hidden or LAYERS[network.size]


def serving_network(members: Any) -> Any:
    """The network that is kept: the mean of the members' logits, (n, 1)."""
    if members.output.shape[-1] == 1:
        return members
    mean = keras.ops.mean(members.output, axis=1, keepdims=True)
    return keras.Model(members.input, mean, name="mean_logit")


def _member(inputs: Inputs, sizes: dict[str, int], network: Network, l2: float, seed: int) -> Any:
    parts = [inputs[NUMERIC]] if NUMERIC in inputs else []
    for name, size in sizes.items():
        if name in inputs:
            parts.append(_part_of(name)(inputs, name, size, network, seed))
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    return _head(hidden, network, l2, seed)


Part = Callable[[Inputs, str, int, Network, int], Any]
"""From the inputs, an input's name, its size, the settings and a seed to a vector a case, (n, width)."""


def _part_of(name: str) -> Part:
    parts = {CATEGORIES: _categories, CODES_PREFIX: _bag, TOKENS_PREFIX: _sequence, GRID_PREFIX: _grid}
    return next(part for prefix, part in parts.items() if name.startswith(prefix))


def _categories(inputs: Inputs, name: str, size: int, network: Network, seed: int) -> Any:
    return keras.layers.Flatten()(_table(size, network.embedding, seed)(inputs[name]))


def _bag(inputs: Inputs, name: str, size: int, network: Network, seed: int) -> Any:
    """A bag of codes says more than one category does, so its vectors are wider."""
    vectors = _table(size, 4 * network.embedding, seed)(inputs[name])
    return keras.ops.sum(vectors * _present(inputs[name]), axis=1)


def _sequence(inputs: Inputs, name: str, size: int, network: Network, seed: int) -> Any:
    """Attention over the events: each is its code's vector and what its time and number say, passed through a layer.

    Each of the vector's numbers has its own attention. Events don't look at one another: that would take the square
    of a sequence's length in memory for every case that is scored.
    """
    width, sequence = 4 * network.embedding, name.removeprefix(TOKENS_PREFIX)
    init = keras.initializers.GlorotUniform
    numbers = [keras.ops.expand_dims(inputs[prefix + sequence], -1) for prefix in (TIMES_PREFIX, NUMBERS_PREFIX)]
    when = keras.layers.Dense(width, kernel_initializer=init(seed=seed + 1))(keras.ops.concatenate(numbers, axis=-1))
    events = _table(size, width, seed)(inputs[name]) + when
    events = keras.layers.Dense(width, activation="gelu", kernel_initializer=init(seed=seed + 2))(events)
    present = _present(inputs[name])
    scores = keras.layers.Dense(width, kernel_initializer=init(seed=seed + 3))(events) + (1.0 - present) * NEVER
    return keras.ops.sum(keras.ops.softmax(scores, axis=1) * present * events, axis=1)


def _grid(inputs: Inputs, name: str, size: int, network: Network, seed: int) -> Any:
    """Two convolutions over the steps, then the mean and the largest of each filter."""
    steps = inputs[name].shape[1] // (2 * size)
    hidden = keras.layers.Reshape((steps, 2 * size))(inputs[name])
    for at in range(2):
        init = keras.initializers.GlorotUniform(seed=seed + 1 + at)
        hidden = keras.layers.Conv1D(
            hidden_layers(network)[-1], KERNEL, padding="same", activation="gelu", kernel_initializer=init
        )(hidden)
    pooled = [keras.layers.GlobalAveragePooling1D()(hidden), keras.layers.GlobalMaxPooling1D()(hidden)]
    return keras.layers.Concatenate()(pooled)


def _table(size: int, width: int, seed: int) -> Any:
    init = keras.initializers.RandomNormal(stddev=0.05, seed=seed)
    return keras.layers.Embedding(size, width, embeddings_initializer=init)


def _present(ids: Any) -> Any:
    """1 where there is an id and 0 where there is padding, (n, width, 1)."""
    return keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(ids, 0), -1), "float32")


def _head(hidden: Any, network: Network, l2: float, seed: int) -> Any:
    init = keras.initializers.GlorotUniform
    for at, width in enumerate(hidden_layers(network)):
        hidden = keras.layers.Dense(
            width,
            activation="gelu",
            kernel_initializer=init(seed=seed + 100 * at),
            kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
        )(hidden)
        hidden = keras.layers.Dropout(network.dropout, seed=seed + 100 * at)(hidden)
    return keras.layers.Dense(1, kernel_initializer=init(seed=seed))(hidden)
