"""A member's rows meet the randomness that they would meet in the whole batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from medspark.errors import InputError
from medspark.train.distribute.rows import Rows, of_rows, require_rows_alone


def network():
    """Dropout within a network within a network, and images that are moved and mirrored."""
    inner = keras.Input((5,))
    within = keras.Model(inner, keras.layers.Dropout(0.5, seed=2)(keras.layers.Dense(6)(inner)))
    numbers, image = keras.Input((5,)), keras.Input((8, 8, 1))
    twice = keras.layers.Dropout(0.3, seed=3)
    moved = keras.layers.RandomTranslation(0.3, 0.3, fill_mode="constant", fill_value=-2.0, seed=4)(image)
    mirrored = keras.layers.RandomFlip("horizontal", seed=5)(moved)
    said = twice(keras.layers.Dropout(0.0)(within(numbers)))
    found = keras.layers.Concatenate()([said, twice(numbers), keras.layers.Flatten()(mirrored)])
    return keras.Model([numbers, image], found)


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(9, 5)).astype(np.float32), rng.normal(size=(9, 8, 8, 1)).astype(np.float32)]


def said_by(model, rows, given, places):
    @tf.function
    def step(numbers, image, at, whole):
        rows.places, rows.whole = at, whole
        return model([numbers, image], training=True)

    return step(*(one[places] for one in given), tf.constant(places), tf.constant(len(given[0]))).numpy()


def test_rows_of_a_batch_say_what_they_say_in_the_whole_batch_step_by_step(given):
    whole, rows = network(), Rows()
    part = of_rows(whole, rows)
    other_rows = Rows()
    other = of_rows(whole, other_rows)
    apart = tf.function(lambda numbers, image: whole([numbers, image], training=True))
    for _ in range(3):
        expected = apart(*given).numpy()
        assert (expected == 0).any()
        assert np.allclose(said_by(part, rows, given, [0, 3, 8]), expected[[0, 3, 8]], rtol=1e-6, atol=1e-6)
        rest = [1, 2, 4, 5, 6, 7]
        assert np.allclose(said_by(other, other_rows, given, rest), expected[rest], rtol=1e-6, atol=1e-6)


def test_where_nothing_is_learned_nothing_is_drawn(given):
    whole = network()
    part = of_rows(whole, Rows())
    assert np.array_equal(part(given, training=False).numpy(), whole(given, training=False).numpy())


def test_the_copy_has_the_state_of_the_network_in_the_same_order():
    whole = network()
    part = of_rows(whole, Rows())
    assert [one.shape for one in part.variables] == [one.shape for one in whole.variables]
    assert all(np.array_equal(a, b) for a, b in zip(part.get_weights(), whole.get_weights(), strict=True))
    assert "seed" in " ".join(one.path for one in part.variables)


def images(*layers):
    """A network of images in a network, as one of `images.weights`."""
    start = keras.Input((8, 8, 1))
    within = keras.Model(start, keras.layers.Flatten()(keras.Sequential(layers)(start)))
    return keras.Model(start, keras.layers.Dense(1)(within(start)))


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (keras.layers.BatchNormalization(name="normal"), "keeps figures of the batches that it meets"),
        (keras.layers.BatchNormalization(name="normal", trainable=False), "keeps figures of the batches that it meets"),
        (keras.layers.GaussianNoise(0.1, name="normal"), "draws at random for a batch as a whole"),
        (keras.layers.SpatialDropout2D(0.1, name="normal"), "draws at random for a batch as a whole"),
        (keras.layers.RandomRotation(0.1, name="normal"), "draws at random for a batch as a whole"),
        (
            keras.layers.TimeDistributed(keras.layers.Dropout(0.1), name="normal"),
            "draws at random for a batch as a whole",
        ),
        (keras.layers.ActivityRegularization(l2=0.1, name="normal"), "penalises the sum of what it says"),
    ],
)
def test_a_layer_whose_word_hangs_on_the_other_rows_is_named(layer, why):
    with pytest.raises(InputError, match=rf"received normal \({type(layer).__name__}\), which {why}. Say workers: 1"):
        require_rows_alone(images(keras.layers.Conv2D(2, 3), layer))


def test_layers_of_which_each_row_has_its_own_are_taken_frozen_ones_too():
    start = keras.Input((4, 16))
    heads = keras.layers.MultiHeadAttention(1, 16, seed=1)
    found = heads(start, start) + keras.layers.GRU(16, return_sequences=True)(start)
    found = keras.layers.LayerNormalization()(keras.layers.LSTM(16)(found))
    recurrent = keras.Model(start, keras.layers.Dense(1, kernel_regularizer="l2")(found))
    for each in (network(), recurrent, images(keras.layers.Conv2D(2, 3), keras.layers.Dropout(0.2))):
        require_rows_alone(each)
        each.trainable = False
        require_rows_alone(each)
    with pytest.raises(InputError, match=r"received falls out \(GRU\), which draws at random"):
        require_rows_alone(keras.Model(start, keras.layers.GRU(2, dropout=0.1, name="falls out")(start)))
