"""The parts of a table: categories and bags of codes."""

from typing import Any

import keras

from medspark.task.training import Network
from medspark.train.networks.parts import Inputs, embedding_table, presence


def categories(inputs: Inputs, name: str, size: int, network: Network, seed: int) -> Any:
    return keras.layers.Flatten()(embedding_table(size, network.embedding, seed)(inputs[name]))


def bag(inputs: Inputs, name: str, size: int, network: Network, seed: int) -> Any:
    """A bag of codes says more than one category does, so its vectors are wider."""
    vectors = embedding_table(size, 4 * network.embedding, seed)(inputs[name])
    return keras.ops.sum(vectors * presence(inputs[name]), axis=1)
