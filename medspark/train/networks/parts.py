"""What the parts of all networks are made of."""

from collections.abc import Callable
from typing import Any, Final

import keras

from medspark.task.training import Network

Inputs = dict[str, Any]

Part = Callable[[Inputs, str, int, Network, int], Any]
"""From the inputs, an input's name, its size, the settings and a seed to a vector a case, (n, width)."""


def embedding_table(size: int, width: int, seed: int) -> Any:
    init = keras.initializers.RandomNormal(stddev=0.05, seed=seed)
    return keras.layers.Embedding(size, width, embeddings_initializer=init)


def presence(ids: Any) -> Any:
    """1 where there is an id and 0 where there is padding, (n, width, 1)."""
    return keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(ids, 0), -1), "float32")


LAYERS: Final = {"small": (64, 32), "medium": (256, 128), "large": (512, 256, 128)}
"""Widths of the hidden layers by the task's `size`, unless it has `hidden`."""


def hidden_layers(network: Network) -> tuple[int, ...]:
    """Widths of the hidden layers; a grid's convolutions are as wide as the last."""
    return network.hidden or LAYERS[network.size]
