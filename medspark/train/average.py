"""An exponential moving average of weights: what many steps agree on, less of what the last batches said."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf


class Average:
    """The average of a model's trainable weights; after t steps it keeps min(momentum, (1 + t) / (10 + t)) of itself,
    so that it has forgotten the weights that nobody had trained (as TensorFlow's ExponentialMovingAverage does)."""

    def __init__(self, model: Any, momentum: float) -> None:
        self._weights = list(model.trainable_variables)
        self._kept = [keras.Variable(np.array(one), trainable=False, name="average") for one in self._weights]
        self._steps = keras.Variable(0, dtype="int64", trainable=False, name="steps")
        self._momentum = momentum
        self._update = tf.function(self._moved)

    @property
    def variables(self) -> list[Any]:
        return [self._steps, *self._kept]

    def update(self) -> None:
        """After each step."""
        self._update()

    def _moved(self) -> None:
        self._steps.assign_add(1)
        done = keras.ops.cast(self._steps.value, "float32")
        stays = keras.ops.minimum(self._momentum, (1.0 + done) / (10.0 + done))
        for kept, weight in zip(self._kept, self._weights, strict=True):
            kept.assign(kept.value * stays + weight.value * (1.0 - stays))

    def take(self, model: Any) -> list[npt.NDArray[Any]]:
        """Give the model the average; returns the weights that it had."""
        raw = [np.asarray(one) for one in self._weights]
        for kept, weight in zip(self._kept, self._weights, strict=True):
            weight.assign(kept.value)
        return raw

    def give_back(self, model: Any, raw: list[npt.NDArray[Any]]) -> None:
        for weight, array in zip(self._weights, raw, strict=True):
            weight.assign(array)
