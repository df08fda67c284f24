"""What the parts of all networks are made of."""

from collections.abc import Callable
from typing import Any, Final

import keras

from medspark.encode.inputs import Input, size_of
from medspark.task.training import Network

Tensors = dict[str, Any]
"""Keras's, by the input's name, each (n, width)."""

Part = Callable[[Tensors, Input, Network, int], Any]
"""From the tensors, the input that the part is for, the settings and a seed to a vector a case, (n, numbers)."""

LAYERS: Final = {"small": (64, 32), "medium": (256, 128), "large": (512, 256, 128)}
"""Widths of the hidden layers by the task's `size`, unless it has `hidden`."""


def embedding_table(found: Input, width: int, seed: int) -> Any:
    """A vector of `width` numbers for each id of an input."""
    init = keras.initializers.RandomNormal(stddev=0.05, seed=seed)
    return keras.layers.Embedding(size_of(found), width, embeddings_initializer=init)


def presence(ids: Any) -> Any:
    """1 where there is an id and 0 where there is padding, (n, width, 1)."""
    return keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(ids, 0), -1), "float32")


def hidden_layers(network: Network) -> tuple[int, ...]:
    """Widths of the hidden layers; a grid's convolutions are as wide as the last."""
    return network.hidden or LAYERS[network.size]
