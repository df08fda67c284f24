"""Layers that draw at random, for a member's rows of a batch as they would for the whole batch.

One worker draws for all rows of a batch at once. A member draws the same and takes what its rows have, so that a case
meets the same dropout whoever learns from it. Their weights, seeds and places in a network are those of Keras' layers.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import keras
import tensorflow as tf

from medspark.errors import InputError


class Rows:
    """Where a member's rows stand in the batch of all, while a step is traced."""

    def __init__(self) -> None:
        self.places: Any = None
        """(n,)"""
        self.whole: Any = None
        """How many rows the batch has."""

    def drawn(self, draw: Callable[[Any], Any], like: Any) -> Any:
        """What `draw` makes of ones as wide as `like` and as many as the batch has rows, of a member's rows."""
        if self.places is None:  # while Keras builds the network
            return draw(tf.ones_like(like))
        shape = tf.concat([tf.reshape(self.whole, [1]), tf.shape(like)[1:]], 0)
        ones = tf.ensure_shape(tf.ones(shape, like.dtype), [None, *like.shape[1:]])
        return tf.nest.map_structure(lambda found: tf.gather(found, self.places), draw(ones))


@keras.saving.register_keras_serializable("medspark")
class DropoutOfRows(keras.layers.Dropout):  # type: ignore[misc]
    rows: Rows

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return inputs * self.rows.drawn(partial(super().call, training=True), inputs)


@keras.saving.register_keras_serializable("medspark")
class TranslationOfRows(keras.layers.RandomTranslation):  # type: ignore[misc]
    rows: Rows

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        drawn = partial(super().get_random_transformation, training=True, seed=seed)
        found = self.rows.drawn(lambda ones: drawn(ones)["translations"], data)
        return {"translations": found, "input_shape": tf.shape(data)}


@keras.saving.register_keras_serializable("medspark")
class FlipOfRows(keras.layers.RandomFlip):  # type: ignore[misc]
    rows: Rows

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        drawn = partial(super().get_random_transformation, training=True, seed=seed)
        return {"flips": self.rows.drawn(lambda ones: drawn(ones)["flips"], data), "input_shape": tf.shape(data)}


OF_ROWS: Final = {
    keras.layers.Dropout: DropoutOfRows,
    keras.layers.RandomTranslation: TranslationOfRows,
    keras.layers.RandomFlip: FlipOfRows,
}


def of_rows(model: Any, rows: Rows) -> Any:
    """A copy of a network that draws for some rows of a batch, with the same state."""

    def copied(layer: Any) -> Any:
        kind: Any = OF_ROWS.get(type(layer), type(layer))
        found = kind.from_config(layer.get_config())
        if kind is not type(layer):
            found.rows = rows
        return found

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    for new, old in zip(copy.variables, model.variables, strict=True):
        new.assign(old)
    return copy


def require_rows_alone(model: Any) -> None:
    """What a network makes of a row, of any of its layers, does not hang on which others a worker has beside it.

    Raises:
        InputError: a layer keeps figures of the batches that it meets, as batch normalization does, draws at random as
            no layer of `OF_ROWS` does, or penalises the sum of what it says.
    """
    for layer in _layers_of(model):
        why = next((found for part in layer._flatten_layers() if (found := _why_not(part))), None)
        if why is not None:
            raise InputError(
                "training.workers: expected layers that do with a case the same whatever other cases a worker has, "
                f"received {layer.name} ({type(layer).__name__}), which {why}. Say workers: 1, or take a network "
                "without it"
            )


def _layers_of(model: Any) -> Iterator[Any]:
    """Those of a network and of the networks in it, as they are copied."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers_of(layer)
        elif type(layer) not in OF_ROWS:
            yield layer


def _why_not(part: Any) -> str | None:
    if part._non_trainable_variables:
        return "keeps figures of the batches that it meets"
    if part._seed_generators and _draws(part):
        return "draws at random for a batch as a whole"
    return "penalises the sum of what it says" if part.activity_regularizer is not None else None


def _draws(part: Any) -> bool:
    """A recurrent layer always has a seed, and needs it for its dropouts alone."""
    return bool(part.dropout or part.recurrent_dropout) if hasattr(part, "recurrent_dropout") else True
