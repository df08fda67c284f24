"""A member's rows meet the randomness that they would meet in the whole batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from medspark.train.distribute.rows import Rows, of_rows


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
