"""What a sequence's events become: a vector each, and then, by an encoder, one that knows the events before it.

An encoder is causal: of an event it says what the history up to it says. So it can be pretrained to foretell the next
event, and learn from a history of any length. What is before the first event is masked: it changes nothing.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import keras
import numpy as np

from medspark.encode.inputs import Input, size_of
from medspark.encode.kinds.events import (
    BINS,
    BINS_PREFIX,
    GAPS_PREFIX,
    NUMBERS_PREFIX,
    TIMES_PREFIX,
    TOKENS_PREFIX,
)
from medspark.task.training import Network
from medspark.train.networks.parts import Tensors, id_vectors, marked, of_members, smooth

PREFIX: Final = "encoder_"
"""Before the name of an encoder that members share: a network in the network."""
WAVES: Final = np.array([1.0, 2.0, 4.0, 8.0], np.float32) * np.float32(np.pi)
"""Of the sines and cosines of a time. It is a logarithm of hours, so they tell hours apart near the prediction and
months far from it; and a float32 holds their phase, as it would not hold that of the hours of decades."""


class _Size(NamedTuple):
    width: int
    layers: int


SIZES: Final = {"small": _Size(32, 1), "medium": _Size(64, 2), "large": _Size(256, 4)}
HEAD: Final = 16
"""Numbers of one head of the Transformer's attention."""


def inputs_of(tokens: Input) -> list[str]:
    """The names of a sequence's inputs: its codes', and what stands beside them."""
    name = tokens.name.removeprefix(TOKENS_PREFIX)
    return [tokens.name, *(prefix + name for prefix in (TIMES_PREFIX, NUMBERS_PREFIX, GAPS_PREFIX, BINS_PREFIX))]


def event_vectors(tensors: Tensors, tokens: Input, width: int, seed: int, members: int = 1) -> Any:
    """The events as each member's vectors, (n, events, members, width).

    A vector is the sum of its code's, of its number's bin's, and of a layer over its number and its times: how long
    before the prediction, with sines and cosines of that, and how long since the event before.
    """
    ids, *numbers, bins = (tensors[name] for name in inputs_of(tokens))
    time, number, gap = (keras.ops.expand_dims(each, -1) for each in numbers)
    phase = time * WAVES
    read = keras.layers.Concatenate()([time, number, gap, keras.ops.sin(phase), keras.ops.cos(phase)])
    found = of_members(read, members, width, seed)
    for each, size in ((ids, size_of(tokens)), (bins, BINS)):
        vectors = id_vectors(each, size, members * width)
        found = found + keras.layers.Reshape((tokens.width, members, width))(vectors)
    return marked(found, tokens.name, seed)


def encoder(tokens: Input, network: Network, seed: int) -> Any:
    """A network of a sequence's inputs that gives a state an event, (n, events, width)."""
    width, layers = SIZES[network.size]
    dtypes = ("int32", "float32", "float32", "float32", "int32")
    names = inputs_of(tokens)
    tensors = {
        name: keras.Input((tokens.width,), dtype=dtype, name=name) for name, dtype in zip(names, dtypes, strict=True)
    }
    vectors = keras.layers.Reshape((tokens.width, width))(event_vectors(tensors, tokens, width, seed))
    present = keras.ops.not_equal(tensors[tokens.name], 0)
    blocks: dict[str, _Block] = {"gru": _gru, "lstm": _lstm, "transformer": _transformer}
    for at in range(layers):
        vectors = blocks[network.sequence](vectors, present, network.dropout_rate, seed + 10 * (at + 1))
    return keras.Model(tensors, keras.layers.LayerNormalization()(vectors), name=f"{PREFIX}{tokens.name}_{seed}")


_Block = Callable[[Any, Any, float, int], Any]
"""From events (n, events, width), which of them there are, a dropout and a seed to events that know those before."""


def _gru(events: Any, present: Any, dropout: float, seed: int) -> Any:
    """Gates multiplied one by one: then only weights are sliced, of which no gradient is asked where it is served."""
    return _recurrent(keras.layers.GRU, events, present, dropout, seed, implementation=1)


def _lstm(events: Any, present: Any, dropout: float, seed: int) -> Any:
    return _recurrent(keras.layers.LSTM, events, present, dropout, seed)


def _recurrent(layer: Any, events: Any, present: Any, dropout: float, seed: int, **settings: Any) -> Any:
    """A recurrent layer beside what it reads: a loop, which export unrolls, as LiteRT has none that carries states."""
    draw = keras.initializers.GlorotUniform(seed=seed), keras.initializers.Orthogonal(seed=seed + 1)
    states = layer(
        int(events.shape[-1]),
        return_sequences=True,
        kernel_initializer=draw[0],
        recurrent_initializer=draw[1],
        use_cudnn=False,
        **settings,
    )(smooth(events), mask=present)
    return events + keras.layers.Dropout(dropout, seed=seed)(states)


def _transformer(events: Any, present: Any, dropout: float, seed: int) -> Any:
    """A block of attention to the events before and itself, and of two layers, both normalised first (pre-norm: Xiong
    et al. 2020, arXiv 2002.04745). Memory and time grow with the square of the number of events."""
    width = int(events.shape[-1])
    normal = keras.layers.LayerNormalization()(events)
    mask = keras.ops.expand_dims(present, 1)
    init = keras.initializers.GlorotUniform
    heads = keras.layers.MultiHeadAttention(width // HEAD, HEAD, kernel_initializer=init(seed=seed), seed=seed)
    seen = heads(normal, normal, attention_mask=mask, use_causal_mask=True)
    events = events + keras.layers.Dropout(dropout, seed=seed)(seen)
    normal = keras.layers.LayerNormalization()(events)
    wide = keras.layers.Dense(2 * width, kernel_initializer=init(seed=seed + 1))(normal)
    found = keras.layers.Dense(width, kernel_initializer=init(seed=seed + 2))(smooth(wide))
    return events + keras.layers.Dropout(dropout, seed=seed + 1)(found)
