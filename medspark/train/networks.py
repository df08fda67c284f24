"""Keras networks, built from the kinds of the features. Each gives one logit a case."""

from typing import Any, Final

import keras

from medspark.encode.statistics import CATEGORIES, CODES_PREFIX, NUMERIC, Statistics
from medspark.learning import Network

LAYERS: Final = {"small": (64, 32), "medium": (256, 128), "large": (512, 256, 128)}
"""Widths of the hidden layers by the task's `size`."""


def build_network(statistics: Statistics, network: Network, l2: float, seed: int) -> Any:
    """A network with an input for each kind of feature and `members` logits, (n, members).

    Categories and codes get learned vectors; a case's codes are summed, the empty ones left out. The members share
    their inputs and nothing else: trained together, each gets the gradients it would get alone.
    """
    widths, sizes = statistics.widths(), statistics.sizes()
    inputs = {
        name: keras.Input((width,), dtype="float32" if name == NUMERIC else "int32", name=name)
        for name, width in widths.items()
    }
    logits = [_member(inputs, sizes, network, l2, seed * 1000 + member) for member in range(network.members)]
    output = keras.layers.Concatenate(name="logits")(logits) if len(logits) > 1 else logits[0]
    return keras.Model(inputs, output, name="members")


def serving_network(members: Any) -> Any:
    """The network that is kept: the mean of the members' logits, (n, 1)."""
    if members.output.shape[-1] == 1:
        return members
    mean = keras.ops.mean(members.output, axis=1, keepdims=True)
    return keras.Model(members.input, mean, name="mean_logit")


def _member(inputs: dict[str, Any], sizes: dict[str, int], network: Network, l2: float, seed: int) -> Any:
    init = keras.initializers
    parts = [inputs[NUMERIC]] if NUMERIC in inputs else []
    for name, size in sizes.items():
        if name not in inputs:
            continue
        table = keras.layers.Embedding(
            size, _vector_width(name, network), embeddings_initializer=init.RandomNormal(stddev=0.05, seed=seed)
        )
        vectors = table(inputs[name])
        if name == CATEGORIES:
            parts.append(keras.layers.Flatten()(vectors))
        elif name.startswith(CODES_PREFIX):
            present = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(inputs[name], 0), -1), "float32")
            parts.append(keras.ops.sum(vectors * present, axis=1))
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for at, width in enumerate(LAYERS[network.size]):
        hidden = keras.layers.Dense(
            width,
            activation="gelu",
            kernel_initializer=init.GlorotUniform(seed=seed + 100 * at),
            kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
        )(hidden)
        hidden = keras.layers.Dropout(network.dropout, seed=seed + 100 * at)(hidden)
    return keras.layers.Dense(1, kernel_initializer=init.GlorotUniform(seed=seed))(hidden)


def _vector_width(name: str, network: Network) -> int:
    """A bag of codes says more than one category does, so its vectors are wider."""
    return network.embedding if name == CATEGORIES else 4 * network.embedding
