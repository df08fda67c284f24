"""The part of images: what it learns from, what it starts from, and that LiteRT serves it."""

import keras
import numpy as np
import pytest

from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.score.worker.engine import litert_engine, tensorflow_engine
from medspark.task.training import ImageNetwork, Network
from medspark.train.baselines import fit_baselines, image_summary
from medspark.train.export import export_litert, keras_logits
from medspark.train.networks.build import build_network, serving_network

pytestmark = pytest.mark.slow
SIDE = 16
AGE = NumericStatistics(
    column="age", scaling="none", center=0, scale=1, knots=(), impute=0, missing_indicator=False, mean=0, sd=1,
    missing_share=0,
)  # fmt: skip


def statistics(several="first", columns=("xray",), channels=1, side=SIDE, numeric=(AGE,)):
    image = ImageStatistics(
        name="chest", columns=columns, height=side, width=side, channels=channels, several=several, missing_share=0.1
    )
    return Statistics(cases=100, numeric=numeric, categorical=(), codes=(), images=(image,))


def tensors(found, rows, seed=0):
    """Noise with, in every second case, a bright square somewhere; of the first three cases no image is there."""
    rng = np.random.default_rng(seed)
    (image,) = found.images
    count, height, width, channels = image.shape
    pixels = rng.integers(0, 120, (rows, count, height, width, channels)).astype(np.uint8)
    for row in range(1, rows, 2):
        top, left = rng.integers(0, height - 5, 2)
        pixels[row, :, top : top + 5, left : left + 5] += 130
    seen = np.ones((rows, count), np.float32)
    seen[:3] = 0
    pixels[:3] = 0
    inputs = {"pixels_chest": pixels.reshape(rows, -1), "seen_chest": seen}
    return {"numeric": rng.normal(size=(rows, 1)).astype(np.float32), **inputs} if found.numeric else inputs


def members(found, **settings):
    return build_network(found, Network(members=2, **settings), 0.0, seed=1, sample=tensors(found, 50))


def drawn_anew(network):
    rng = np.random.default_rng(5)
    network.set_weights([rng.normal(scale=0.2, size=weight.shape) for weight in network.get_weights()])
    return network


@pytest.mark.parametrize(
    ("kind", "several", "columns", "channels", "side"),
    [
        ("tabular", "mean", ("a", "b"), 3, 16),
        ("plain", "mean", ("a", "b"), 3, 16),
        ("tabular", "last", ("a", "b"), 1, 72),
        ("plain", "first", ("a",), 1, 130),
    ],
)
def test_litert_serves_images_as_keras_does_also_where_none_is_there(tmp_path, kind, several, columns, channels, side):
    found = statistics(several, columns, channels, side)
    network = serving_network(drawn_anew(members(found, kind=kind)))
    unseen = tensors(found, 20, seed=7)
    difference = export_litert(network, tmp_path / "network.tflite", unseen).difference
    assert difference is not None
    assert difference < 1e-5
    network.save(tmp_path / "network.keras")
    litert, tensorflow = litert_engine(tmp_path / "network.tflite"), tensorflow_engine(tmp_path / "network.keras")
    expected = litert(unseen)
    assert np.isfinite(expected).all()
    assert np.max(np.abs(tensorflow(unseen) - expected)) < 1e-5
    alone = {name: array[5:6] for name, array in unseen.items()}
    assert litert(alone)[0] == expected[5], "a score is the same bits alone and among others"


def test_what_lies_behind_an_absent_image_says_nothing():
    found = statistics("mean", ("a", "b"))
    network = serving_network(drawn_anew(members(found)))
    one = tensors(found, 2)
    one["pixels_chest"][1] = 255
    one["numeric"][1] = one["numeric"][0]
    assert keras_logits(network, one)[0] == pytest.approx(keras_logits(network, one)[1], abs=1e-6)


def test_of_several_images_the_mean_of_those_that_are_there_counts():
    found = statistics("mean", ("a", "b"), numeric=())
    network = serving_network(drawn_anew(members(found, images=ImageNetwork(shift=0))))
    half = SIDE * SIDE
    image = tensors(statistics(numeric=()), 8)["pixels_chest"][5]
    twice = {
        "pixels_chest": np.stack([np.tile(image, 2), np.tile(image, 2)]),
        "seen_chest": np.ones((2, 2), np.float32),
    }
    swapped = {name: array.copy() for name, array in twice.items()}
    swapped["pixels_chest"][0, half:] = 0
    swapped["pixels_chest"][1, :half] = 0
    logit = keras_logits(network, twice)
    assert logit[0] == logit[1]
    other = keras_logits(network, swapped)
    assert other[0] == pytest.approx(other[1], abs=1e-5), "the order of two images that are there means nothing"
    assert other[0] != pytest.approx(logit[0], abs=1e-4)


def test_a_bright_square_is_found_wherever_it_lies_and_every_weight_learns():
    from sklearn.metrics import roc_auc_score

    keras.utils.set_random_seed(0)
    found = statistics(numeric=())
    network = members(found, images=ImageNetwork(filters=(8, 16), flip=True))
    network.compile(keras.optimizers.AdamW(3e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    label = (np.arange(600) % 2).astype(np.float32)
    before = network.get_weights()
    network.fit(tensors(found, 600), np.stack([label, label], axis=1), batch_size=50, epochs=6, verbose=0)
    moved = [not np.array_equal(was, now.numpy()) for was, now in zip(before, network.weights, strict=True)]
    trained = {weight.path for weight in network.trainable_weights}
    assert all(m for m, weight in zip(moved, network.weights, strict=True) if weight.path in trained)
    unseen = tensors(found, 200, seed=3)
    assert roc_auc_score(label[3:200], keras_logits(serving_network(network), unseen)[3:]) > 0.95


def test_images_vary_in_training_alone():
    found = statistics(numeric=())
    network = drawn_anew(members(found))
    one = tensors(found, 20)
    assert np.array_equal(network(one, training=False), network(one, training=False))
    assert not np.allclose(network(one, training=True)[3:], network(one, training=False)[3:])


def test_the_gradient_of_what_an_image_says_can_be_served_too():
    """Explanations will need it: with built-in operators alone, which gradients of some layers have none of."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    network = members(statistics(numeric=()))
    encoder = next(layer for layer in network.layers if layer.name.startswith("image_encoder"))

    @tf.function(input_signature=[tf.TensorSpec((2, SIDE, SIDE, 1), tf.float32)])
    def gradient(pixels):
        return tf.gradients(tf.reduce_sum(encoder(pixels, training=False)), pixels)[0]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([gradient.get_concrete_function()])
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    pixels = np.random.default_rng(0).normal(size=(2, SIDE, SIDE, 1)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    expected = gradient(tf.constant(pixels)).numpy()
    assert np.abs(expected).max() > 1e-4
    assert np.abs(found - expected).max() < 1e-6


def test_another_networks_images_are_what_it_starts_from(tmp_path):
    found = statistics()
    first = serving_network(drawn_anew(members(found)))
    first.save(tmp_path / "first.keras")
    learned = sorted(float(np.abs(layer.get_weights()[0]).sum()) for layer in first.layers if "encoder" in layer.name)
    second = members(found, images=ImageNetwork(weights=str(tmp_path / "first.keras")))
    begun = [layer for layer in second.layers if layer.name.startswith("image_encoder_chest")]
    assert sorted(float(np.abs(layer.get_weights()[0]).sum()) for layer in begun) == learned
    assert all(weight.trainable for layer in begun for weight in layer.trainable_weights)


def test_a_network_of_one_image_made_elsewhere_is_started_from_and_served(tmp_path):
    start = keras.Input((SIDE, SIDE, 1))
    other = keras.Model(start, keras.layers.Conv2D(4, 3, strides=4, activation="relu")(start))
    other.save(tmp_path / "other.keras")
    found = statistics()
    network = serving_network(members(found, images=ImageNetwork(weights=str(tmp_path / "other.keras"))))
    assert export_litert(network, tmp_path / "network.tflite", tensors(found, 20)).difference < 1e-5


@pytest.mark.parametrize(
    ("side", "says"),
    [(24, "a network of one image, 24 x 24 x 1, received none"), (None, "no network that Keras reads")],
)
def test_a_file_with_no_such_network_is_refused(tmp_path, side, says):
    path = tmp_path / "first.keras"
    path.write_bytes(b"none")
    if side is not None:
        serving_network(members(statistics())).save(path)
    with pytest.raises(InputError, match=says):
        members(statistics(side=side or SIDE), images=ImageNetwork(weights=str(path)))


# ---------------------------------------------------------------- baselines


def test_a_baseline_reads_the_mean_and_the_spread_of_each_part_of_an_image():
    found = statistics(numeric=())
    pixels = np.zeros((1, 1, SIDE, SIDE, 1), np.uint8)
    pixels[0, 0, 0, 0] = 255  # a quarter of the first of 8 x 8 parts
    summary = image_summary(pixels.reshape(1, -1), found.inputs()[0])
    assert summary.shape == (1, 128)
    assert summary[0, :3].tolist() == pytest.approx([0.25, 0.4330, 0.0], abs=1e-4)
    assert image_summary(pixels.reshape(1, -1)[:0], found.inputs()[0]).shape == (0, 128)


def test_baselines_say_what_they_leave_out_of_an_image():
    found = statistics()
    label = np.arange(300) % 2
    fitted = fit_baselines(tensors(found, 300), label, found.inputs(), seed=0)
    for baseline in fitted.values():
        assert "of images means of 8 by 8 parts and the spread in each" in baseline.description
        assert baseline(tensors(found, 20, seed=2)).shape == (20,)
