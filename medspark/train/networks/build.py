"""Keras networks, built from the kinds of the features. Each gives a case a logit for each target."""

from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import Input
from medspark.encode.statistics import Statistics
from medspark.task.outcome import Kind
from medspark.task.training import Network
from medspark.train.networks.events import grid, sequence
from medspark.train.networks.genes import gene
from medspark.train.networks.heads import rising, start_of
from medspark.train.networks.images import image
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
    "image": image,
}
"""What an input passes through, by what it says is its part."""


def build_network(
    statistics: Statistics,
    network: Network,
    l2: float,
    seed: int,
    sample: Mapping[str, npt.NDArray[Any]],
    kind: Kind = "binary",
    level: npt.ArrayLike = (0.0,),
) -> Any:
    """A network with an input for each kind of feature and the logits of k targets by `members`, (n, members, k).

    Categories and codes get learned vectors; a case's codes are summed, the empty ones left out. Of a sequence
    attention picks the events that matter, of a grid, a gene and an image convolutions find the shapes. The members
    share their inputs and nothing else, unless the task says an encoder that all share: each gets the gradients it
    would get alone.

    Args:
        statistics: of the features.
        network: its settings.
        l2: a penalty on the weights of hidden layers.
        seed: of its weights.
        sample: training cases' tensors, from which the tabular kind takes its ramps.
        kind: of the outcome; the logits of horizons rise from each to the next.
        level: (k,) the logits that the tabular kind starts from.
    """
    inputs, levels = statistics.inputs(), np.asarray(level, np.float64)
    if network.kind == "tabular":
        found = members_network(inputs, network, l2, seed, sample, start_of(levels, kind))
    else:
        found = _plain_network(inputs, network, l2, seed, len(levels))
    return keras.Model(found.input, rising(found.output, kind), name="members")


def serving_network(members: Any) -> Any:
    """The network that is kept: the mean of the members' logits, (n, k)."""
    return keras.Model(members.input, keras.ops.mean(members.output, axis=1), name="mean_logit")


def _plain_network(inputs: list[Input], network: Network, l2: float, seed: int, targets: int) -> Any:
    tensors = {one.name: keras.Input((one.width,), dtype=one.dtype, name=one.name) for one in inputs}
    each = [_member(tensors, inputs, network, l2, seed * 1000 + at, targets) for at in range(network.members)]
    return keras.Model(tensors, keras.ops.stack(each, axis=1), name="members")


def _member(tensors: Tensors, inputs: list[Input], network: Network, l2: float, seed: int, targets: int) -> Any:
    parts = [PARTS[one.part](tensors, one, network, seed) for one in inputs if one.part is not None]
    parts = [keras.layers.Flatten()(part) if len(part.shape) > 2 else part for part in parts]
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    return _head(hidden, network, l2, seed, targets)


def _head(hidden: Any, network: Network, l2: float, seed: int, targets: int) -> Any:
    init = keras.initializers.GlorotUniform
    for at, width in enumerate(hidden_layers(network)):
        hidden = keras.layers.Dense(
            width,
            activation="silu",
            kernel_initializer=init(seed=seed + 100 * at),
            kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
        )(hidden)
        hidden = keras.layers.Dropout(network.dropout_rate, seed=seed + 100 * at)(hidden)
    return keras.layers.Dense(targets, kernel_initializer=init(seed=seed))(hidden)
