"""Keras networks, built from the kinds of the features. Each gives one logit a case."""

from typing import Any

import keras

from medspark.encode.statistics import (
    CATEGORIES,
    CODES_PREFIX,
    GRID_PREFIX,
    NUMERIC,
    TOKENS_PREFIX,
    Statistics,
    dtype_of,
)
from medspark.task.training import Network
from medspark.train.networks.events import grid, sequence
from medspark.train.networks.parts import Inputs, Part, hidden_layers
from medspark.train.networks.table import bag, categories


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


def _part_of(name: str) -> Part:
    parts = {CATEGORIES: categories, CODES_PREFIX: bag, TOKENS_PREFIX: sequence, GRID_PREFIX: grid}
    return next(part for prefix, part in parts.items() if name.startswith(prefix))


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
