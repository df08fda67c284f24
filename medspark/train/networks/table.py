"""The parts of a table: numbers, categories and bags of codes."""

from typing import Any

import keras

from medspark.encode.inputs import Input
from medspark.task.training import Network
from medspark.train.networks.parts import Tensors, embedding_table, presence


def numbers(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    """As they are: they were scaled when they were encoded."""
    return tensors[found.name]


def categories(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    return keras.layers.Flatten()(embedding_table(found, network.embedding, seed)(tensors[found.name]))


def codes(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    """A bag of codes says more than one category does, so its vectors are wider."""
    vectors = embedding_table(found, 4 * network.embedding, seed)(tensors[found.name])
    return keras.ops.sum(vectors * presence(tensors[found.name]), axis=1)
