"""The parts of a history: sequences and grids.

Each gives every member a vector of its own, (n, members, numbers), from weights of its own that lie side by side in one
layer. A recurrent network or a Transformer is dear, and is one for all members: (n, numbers).
"""

from typing import Any, Final

import keras

from medspark.encode.inputs import Input, size_of
from medspark.encode.kinds.events import GRID_PREFIX, SINCE_PREFIX
from medspark.task.training import Network
from medspark.train.networks.encoders import encoder, event_vectors, inputs_of
from medspark.train.networks.parts import (
    Tensors,
    each_own,
    hidden_layers,
    marked,
    of_members,
    pooled,
    presence,
    smooth,
)

KERNEL: Final = 3
"""Steps of a grid that a convolution sees at once."""
MOST_CONVOLUTIONS: Final = 4
"""The steps that one sees lie three times as far apart as those of the one before: all of them see 81 steps."""


def sequence(tensors: Tensors, tokens: Input, network: Network, seed: int, members: int = 1) -> Any:
    """The events, encoded as the task says, and then what attention over them picks, and the newest one."""
    present = presence(tensors[tokens.name])
    if network.sequence == "attention":
        width = 4 * network.embedding
        vectors = smooth(event_vectors(tensors, tokens, width, seed, members))
        states = smooth(each_own(vectors, width, seed + 5))
    else:
        encode = encoder(tokens, network, seed)
        states = keras.ops.expand_dims(encode({name: tensors[name] for name in inputs_of(tokens)}), 2)
    found = pooled(states, keras.ops.expand_dims(present, -1), tokens.name, seed + 8)
    return found if network.sequence == "attention" else keras.layers.Flatten()(found)


def grid(tensors: Tensors, found: Input, network: Network, seed: int, members: int = 1) -> Any:
    """Convolutions over ever longer times, each beside what it reads, then what attention over the steps picks, and
    the newest step. A step sees those before it alone.

    They read each code's number, or the last one before it, whether there is one, and how long ago it was. Steps before
    the first number of any code are left out.
    """
    codes = size_of(found)
    steps, width = found.width // (2 * codes), hidden_layers(network)[-1] // 2 or 1
    since = keras.layers.Reshape((steps, codes))(tensors[SINCE_PREFIX + found.name.removeprefix(GRID_PREFIX)])
    carried, observed = keras.ops.split(keras.layers.Reshape((steps, 2 * codes))(tensors[found.name]), 2, axis=-1)
    read = marked(keras.layers.Concatenate()([carried, carried * observed, observed, since]), found.name, seed)
    hidden = smooth(of_members(read, members, width, seed))
    for at in range(MOST_CONVOLUTIONS):
        apart = KERNEL**at
        if at and apart * (KERNEL - 1) >= steps:
            break
        hidden = hidden + smooth(each_own(_before(hidden, apart), width, seed + 1 + at))
    started = keras.ops.max(1.0 - since, axis=-1, keepdims=True) > 0.0
    return pooled(hidden, keras.ops.cast(keras.ops.expand_dims(started, -1), "float32"), found.name, seed + 8)


def _before(hidden: Any, apart: int) -> Any:
    """Beside each step of (n, steps, members, k) those `apart` and twice as far before it, zeros before the first.

    By padding and splitting, whose gradients LiteRT has too; it has none of a slice or of a grouped convolution.
    """
    steps = int(hidden.shape[1])
    seen = [hidden]
    for back in range(apart, KERNEL * apart, apart):
        padded = keras.ops.pad(hidden, ((0, 0), (back, 0), (0, 0), (0, 0)))
        seen.append(keras.ops.split(padded, [steps], axis=1)[0])
    return keras.layers.Concatenate()(seen)
