"""The part of images: a residual network of convolutions."""

from math import prod
from typing import Any, Final

import keras

from medspark.encode.inputs import PIXELS_PREFIX, SEEN_PREFIX, Input
from medspark.errors import InputError
from medspark.task.training import Network
from medspark.train.networks.parts import Tensors, marked

FILTERS: Final = {"small": (16, 32, 64), "medium": (32, 64, 128), "large": (64, 128, 256)}
"""Of each stage by the task's `size`, unless it has `filters`."""
LARGE_SIDE: Final = 64
"""Pixels of a side from which on the first convolution takes a step of two, from twice as many on of four."""
ENCODER: Final = "image_encoder"
"""What the name of a network of one image begins with, in a network that has such within."""
ACTIVATION: Final = "silu"
"""Smooth, and its gradient can be exported."""


def image(tensors: Tensors, found: Input, network: Network, seed: int) -> Any:
    """What the images say, and of each whether it is there: the mean of those that are, zeros where none is.

    Black to white is -2 to 2. In training the images are moved, and mirrored where the task says so.
    """
    assert found.shape is not None, f"{found.name} has pixels"
    count, height, width, channels = found.shape
    name = found.name.removeprefix(PIXELS_PREFIX)
    beside = SEEN_PREFIX + name
    split = keras.ops.split(tensors[beside], count, axis=1) if count > 1 else [tensors[beside]]
    seen = [marked(one, beside, seed, at=at) for at, one in enumerate(split)]
    pixels = keras.layers.Reshape((count, height, width, channels))(keras.ops.cast(tensors[found.name], "float32"))
    encoder = _encoder(name, (height, width, channels), network, seed)
    vectors = []
    for at in range(count):
        one = marked(pixels[:, at] * (4 / 255) - 2.0, found.name, seed, at=at)
        vectors.append(encoder(_varied(one, network, seed + at)) * seen[at])
    total = keras.layers.Add()(vectors) if count > 1 else vectors[0]
    there = keras.ops.maximum(keras.layers.Add()(seen) if count > 1 else seen[0], 1.0)
    return keras.layers.Concatenate()([total / there, *seen])


def _varied(pixels: Any, network: Network, seed: int) -> Any:
    settings = network.images
    if settings.shift:
        pixels = keras.layers.RandomTranslation(
            settings.shift, settings.shift, fill_mode="constant", fill_value=-2.0, seed=seed
        )(pixels)
    return keras.layers.RandomFlip("horizontal", seed=seed)(pixels) if settings.flip else pixels


def _encoder(name: str, shape: tuple[int, int, int], network: Network, seed: int) -> Any:
    """A network of its own from an image to a vector, so that another task can start from it."""
    if network.images.weights is not None:
        return started_from(network.images.weights, shape, f"{ENCODER}_{name}_{seed}", seed)
    start = keras.Input(shape)
    first, *others = network.images.filters or FILTERS[network.size]
    side = max(shape[:2])
    step = 1 if side <= LARGE_SIDE else 2 if side <= 2 * LARGE_SIDE else 4
    hidden = _convolution(start, first, 3 if step == 1 else 5, step, seed)
    hidden = _block(hidden, first, 1, seed + 10)
    for at, filters in enumerate(others, start=2):
        hidden = _block(hidden, filters, 2, seed + 10 * at)
    hidden = keras.layers.Activation(ACTIVATION)(keras.layers.LayerNormalization()(hidden))
    return keras.Model(start, keras.layers.GlobalAveragePooling2D()(hidden), name=f"{ENCODER}_{name}_{seed}")


def _convolution(hidden: Any, filters: int, size: int, step: int, seed: int) -> Any:
    init = keras.initializers.HeNormal(seed=seed)
    return keras.layers.Conv2D(filters, size, step, padding="same", kernel_initializer=init)(hidden)


def _block(hidden: Any, filters: int, step: int, seed: int) -> Any:
    """Two convolutions beside a straight way (He et al. 2016, arXiv 1603.05027), normalised pixel by pixel: no
    statistics of a batch, so that training and serving are the same function."""
    straight = hidden
    if step > 1 or hidden.shape[-1] != filters:
        straight = _convolution(hidden, filters, step, step, seed)
    for at, stride in enumerate((step, 1)):
        hidden = keras.layers.Activation(ACTIVATION)(keras.layers.LayerNormalization()(hidden))
        hidden = _convolution(hidden, filters, 3, stride, seed + 1 + at)
    return keras.layers.Add()([hidden, straight])


def started_from(path: str, shape: tuple[int, int, int], name: str, seed: int) -> Any:
    """A copy of a network of one image that a Keras file has, by itself or within another, to be trained further.

    Raises:
        InputError: the file cannot be read, or has no network of one image of this size.
    """
    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"network.images.weights: {path} is no network that Keras reads ({type(error).__name__})"
        ) from None
    within = [layer for layer in loaded.layers if layer.name.startswith(ENCODER)]
    fitting = [one for one in (within or [loaded]) if _takes(one, shape)]
    if not fitting:
        wanted = " x ".join(map(str, shape))
        raise InputError(f"network.images.weights: expected in {path} a network of one image, {wanted}, received none")
    chosen = fitting[seed % len(fitting)]
    copy = keras.models.clone_model(chosen)
    copy.set_weights(chosen.get_weights())
    start = keras.Input(shape)
    found = copy(start)
    return keras.Model(start, found if len(found.shape) == 2 else keras.layers.Flatten()(found), name=name)


def _takes(model: Any, shape: tuple[int, int, int]) -> bool:
    one = len(model.inputs) == 1 and len(model.outputs) == 1
    return one and tuple(model.inputs[0].shape[1:]) == shape and prod(model.outputs[0].shape[1:]) > 0
