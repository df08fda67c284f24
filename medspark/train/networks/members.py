"""A network of several members that learn side by side: each layer holds the weights of all of them.

The numbers enter twice, as they were scaled and as ramps between their training quantiles (the piecewise linear
encoding of Gorishniy et al. 2022, which TabM keeps: arXiv 2203.05556, 2410.24210), so that a first layer can bend where
a tree would cut. A linear path beside the hidden layers lets a member be a logistic regression where that is best.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import Input, size_of
from medspark.task.training import Network
from medspark.train.networks.events import grid, sequence
from medspark.train.networks.genes import bases, gene, strands_of
from medspark.train.networks.images import image
from medspark.train.networks.parts import Part, Tensors, hidden_layers, id_vectors, marked, presence

RAMPS: Final = 12
"""Of each number at most, between quantiles of the training cases."""
WIDEST: Final = 2_000
"""Numbers of an input that get ramps; of more the linear ones are enough, and thirteen times as many would not be."""
ACTIVATION: Final = "silu"
"""Smooth, and its gradient can be exported."""
HEAD: Final = "head"
"""The layer from the last hidden one to the logits."""


def straight_name(one: str) -> str:
    """The layer of the linear path of an input."""
    return f"straight_{one}"


def by_each(part: Part) -> Callable[[Tensors, Input, Network, int, int], Any]:
    """A part of which every member has its own, (n, members, k)."""

    def found(tensors: Tensors, one: Input, network: Network, seed: int, members: int) -> Any:
        return keras.ops.stack([part(tensors, one, network, seed + at) for at in range(members)], axis=1)

    return found


MANY: Final[dict[str, Callable[[Tensors, Input, Network, int, int], Any]]] = {
    "sequence": sequence,
    "grid": grid,
    "gene": by_each(gene),
    "image": by_each(image),
}
"""From the tensors, an input, the settings, a seed and the number of members to what the input says to each of them,
(n, members, k), or to all alike, (n, k)."""


class Ramps(NamedTuple):
    """Where each ramp rises from 0 to 1: (k,) the number's place in its input, the start and the length."""

    column: npt.NDArray[np.int32]
    start: npt.NDArray[np.float32]
    length: npt.NDArray[np.float32]


def ramps_of(numbers: npt.NDArray[Any]) -> Ramps:
    """Ramps between the quantiles of numbers (n, width); none of a number with fewer than three of them apart.

    >>> ramps = ramps_of(np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0]]))
    >>> set(ramps.column.tolist()), float(ramps.start[0]), round(float((ramps.start + ramps.length).max()), 5)
    ({0}, 0.0, 4.0)
    """
    found: list[tuple[int, float, float]] = []
    width = numbers.shape[1] if len(numbers) else 0
    for column in range(width if width <= WIDEST else 0):
        edges = np.unique(np.quantile(numbers[:, column], np.linspace(0, 1, RAMPS + 1), method="inverted_cdf"))
        edges = edges[np.insert(np.diff(edges) > 1e-6, 0, True)]
        if len(edges) > 2:
            found += [(column, low, high - low) for low, high in pairwise(edges)]
    columns, starts, lengths = zip(*found, strict=True) if found else ((), (), ())
    return Ramps(np.array(columns, np.int32), np.array(starts, np.float32), np.array(lengths, np.float32))


def members_network(
    inputs: list[Input],
    network: Network,
    l2: float,
    seed: int,
    sample: Mapping[str, npt.NDArray[Any]],
    start: Sequence[float],
) -> Any:
    """A network with the logits of all members, (n, members, k).

    Args:
        inputs: the network's.
        network: its settings.
        l2: a penalty on the weights of the hidden layers.
        seed: of its weights.
        sample: training cases, for the ramps.
        start: what members find of each of k targets before they learn.
    """
    tensors = {one.name: keras.Input((one.width,), dtype=one.dtype, name=one.name) for one in inputs}
    width, *deeper = hidden_layers(network)
    draw, outputs = _Draws(seed, l2), network.members * len(start)
    hidden, straight = [], []
    for one in inputs:
        if one.part == "numbers":
            numbers = _with_ramps(tensors[one.name], one.name, ramps_of(sample[one.name]))
            hidden.append(_shared(numbers, network.members, width, draw))
            straight.append(_line(one.name, outputs)(numbers))
        elif one.part in ("categories", "codes"):
            vectors = _vectors(tensors[one.name], one, network)
            hidden.append(_own(vectors, width, draw))
            straight.append(_straight(tensors[one.name], one, outputs))
        elif one.part is not None:
            found = MANY[one.part](tensors, one, network, seed * 1000, network.members)
            hidden.append(_to_each(found, network, width, draw))
            if one.part == "gene":
                straight.append(_straight_places(strands_of(tensors, one), _line(one.name, outputs)))
    total = keras.layers.Add()(hidden) if len(hidden) > 1 else hidden[0]
    logits = _head(total, deeper, network, draw, start)
    shape = keras.layers.Reshape((network.members, len(start)))
    logits = keras.layers.Add(name="logits")([logits, *map(shape, straight)]) if straight else logits
    return keras.Model(tensors, logits, name="members")


class _Draws:
    """Initial weights, another seed for each layer, and the penalty on them."""

    def __init__(self, seed: int, l2: float) -> None:
        self.seed = seed * 1000
        self.penalty = keras.regularizers.L2(l2) if l2 else None

    def __call__(self, into: int, out: int) -> Any:
        """Normal, as wide as Glorot's for one member: its own fans would count the members in."""
        self.seed += 1
        return keras.initializers.RandomNormal(stddev=math.sqrt(2 / (into + out)), seed=self.seed)


def _with_ramps(numbers: Any, name: str, ramps: Ramps) -> Any:
    """Numbers and beside them their ramps, each marked: a path that is straight on the ramps has no kinks."""
    straight = marked(numbers, name, "numbers")
    if not len(ramps.column):
        return straight
    each = keras.ops.take(numbers, ramps.column, axis=1)
    risen = keras.ops.clip((each - ramps.start) / ramps.length, 0.0, 1.0)
    return keras.layers.Concatenate()([straight, marked(risen, name, "ramps", "ramps")])


def _shared(numbers: Any, members: int, width: int, draw: _Draws) -> Any:
    """What all members see, (n, k), as each one's own (n, members, width)."""
    kernel = draw(int(numbers.shape[-1]), width)
    hidden = keras.layers.Dense(members * width, kernel_initializer=kernel, kernel_regularizer=draw.penalty)(numbers)
    return keras.layers.Reshape((members, width))(hidden)


def _own(each: Any, width: int, draw: _Draws) -> Any:
    """A layer of each member, (n, members, k) to (n, members, width)."""
    members, into = int(each.shape[1]), int(each.shape[2])
    kernel = draw(into, width)
    return keras.layers.EinsumDense(
        "bmi,mio->bmo", (members, width), bias_axes="mo", kernel_initializer=kernel, kernel_regularizer=draw.penalty
    )(each)


def _to_each(part: Any, network: Network, width: int, draw: _Draws) -> Any:
    """What a part says to each member, (n, members, k), or to all of them, (n, k), as (n, members, width)."""
    return _own(part, width, draw) if len(part.shape) == 3 else _shared(part, network.members, width, draw)


def _vectors(ids: Any, found: Input, network: Network) -> Any:
    """Each member's vectors of the ids, (n, members, numbers): of categories side by side, of a bag of codes summed."""
    wide = network.embedding * (4 if found.part == "codes" else 1)
    vectors = id_vectors(ids, size_of(found), network.members * wide)
    if found.part == "codes":
        vectors = marked(vectors * presence(ids), found.name, "vectors")
        return keras.layers.Reshape((network.members, wide))(keras.ops.sum(vectors, axis=1))
    vectors = marked(vectors, found.name, "vectors")
    each = keras.layers.Permute((2, 1, 3))(keras.layers.Reshape((found.width, network.members, wide))(vectors))
    return keras.layers.Reshape((network.members, found.width * wide))(each)


def _straight(ids: Any, found: Input, outputs: int) -> Any:
    """What each id adds to each member's logits, (n, outputs)."""
    added = id_vectors(ids, size_of(found), outputs, straight_name(found.name))
    added = added * presence(ids) if found.part == "codes" else added
    return keras.ops.sum(marked(added, found.name, "straight"), axis=1)


def _line(one: str, outputs: int) -> Any:
    return keras.layers.Dense(outputs, use_bias=False, kernel_initializer="zeros", name=straight_name(one))


def _straight_places(strands: dict[str, Any], added: Any) -> Any:
    """What each letter at its place adds to each member's logits, (n, outputs), of both strands where both are read."""
    found = [added(keras.layers.Flatten()(bases(ids, name, "straight"))) for name, ids in strands.items()]
    return found[0] if len(found) == 1 else found[0] + found[1]


def _head(hidden: Any, deeper: list[int], network: Network, draw: _Draws, start: Sequence[float]) -> Any:
    for width in deeper:
        hidden = _own(_active(hidden, network, draw), width, draw)
    kernel, members, targets = draw(int(hidden.shape[2]), 1), network.members, len(start)
    # LiteRT's converter fails on a last axis of 1
    of_one = keras.layers.EinsumDense("bmi,mi->bm", (members,), bias_axes="m", kernel_initializer=kernel, name=HEAD)
    of_each = keras.layers.EinsumDense(
        "bmi,mik->bmk", (members, targets), bias_axes="mk", kernel_initializer=kernel, name=HEAD
    )
    head = of_one if targets == 1 else of_each
    logits = head(_active(hidden, network, draw))
    head.bias.assign(np.resize(start, head.bias.shape))
    return keras.layers.Reshape((members, targets))(logits)


def _active(hidden: Any, network: Network, draw: _Draws) -> Any:
    return keras.layers.Dropout(network.dropout_rate, seed=draw.seed)(keras.activations.get(ACTIVATION)(hidden))
