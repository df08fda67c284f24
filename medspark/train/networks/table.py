"""The parts of a table: numbers, categories and bags of codes."""

from typing import Any

import keras

from medspark.encode.inputs import Input, size_of
from medspark.task.training import Network
from medspark.train.networks.parts import Tensors, id_vectors, marked, presence


def numbers(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    """As they are: they were scaled when they were encoded."""
    return marked(tensors[found.name], found.name, seed)


def categories(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    vectors = id_vectors(tensors[found.name], size_of(found), network.embedding)
    return keras.layers.Flatten()(marked(vectors, found.name, seed))


def codes(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    """A bag of codes says more than one category does, so its vectors are wider."""
    vectors = id_vectors(tensors[found.name], size_of(found), 4 * network.embedding)
    return keras.ops.sum(marked(vectors * presence(tensors[found.name]), found.name, seed), axis=1)
