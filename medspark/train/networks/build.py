"""Keras networks, built from the kinds of the features. Each gives one logit a case."""

from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy.typing as npt

from medspark.encode.inputs import Input
from medspark.encode.statistics import Statistics
from medspark.task.training import Network
from medspark.train.networks.events import grid, sequence
from medspark.train.networks.genes import gene
from medspark.train.networks.members import members_network
from medspark.train.networks.parts import Part, Tensors, hidden_layers
from medspark.train.networks.table import categories, codes, numbers

PARTS: Final[dict[str, Part]] = {
    "numbers": numbers,
    "categories": categories,
    "codes": codes,
    "sequence": sequence,
    "grid": grid,
    "gene": gene,
}
"""What an input passes through, by what it says is its part."""


def build_network(
    statistics: Statistics,
    network: Network,
    l2: float,
    seed: int,
    sample: Mapping[str, npt.NDArray[Any]],
    level: float = 0.0,
) -> Any:
    """A network with an input for each kind of feature and `members` logits, (n, members).

    Categories and codes get learned vectors; a case's codes are summed, the empty ones left out. Of a sequence the
    attention picks the events that matter, of a grid two convolutions find its shapes, of a gene dilated ones. The
    members share their inputs and nothing else: trained together, each gets the gradients it would get alone.

    Args:
        statistics: of the features.
        network: its settings.
        l2: a penalty on the weights of hidden layers.
        seed: of its weights.
        sample: training cases' tensors, from which the tabular kind takes its ramps.
        level: the logit that the tabular kind starts from.
    """
    inputs = statistics.inputs()
    if network.kind == "tabular":
        return members_network(inputs, network, l2, seed, sample, level)
    tensors = {one.name: keras.Input((one.width,), dtype=one.dtype, name=one.name) for one in inputs}
    logits = [_member(tensors, inputs, network, l2, seed * 1000 + member) for member in range(network.members)]
    output = keras.layers.Concatenate(name="logits")(logits) if len(logits) > 1 else logits[0]
    return keras.Model(tensors, output, name="members")


def serving_network(members: Any) -> Any:
    """The network that is kept: the mean of the members' logits, (n, 1)."""
    if members.output.shape[-1] == 1:
        return members
    mean = keras.ops.mean(members.output, axis=1, keepdims=True)
    return keras.Model(members.input, mean, name="mean_logit")


def _member(tensors: Tensors, inputs: list[Input], network: Network, l2: float, seed: int) -> Any:
    parts = [PARTS[one.part](tensors, one, network, seed) for one in inputs if one.part is not None]
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    return _head(hidden, network, l2, seed)


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
