import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from medspark.errors import BundleError, TaskError
from medspark.score.worker import engine as module
from medspark.score.worker.engine import ROWS, engine_for, litert_engine, rows_of_a_call, tensorflow_engine


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A small network with both kinds of input, as Keras and LiteRT write it."""
    import keras

    keras.utils.set_random_seed(0)
    numeric, ids = keras.Input((3,), name="numeric"), keras.Input((2,), dtype="int32", name="categories")
    vectors = keras.layers.Flatten()(keras.layers.Embedding(5, 4)(ids))
    hidden = keras.layers.Dense(8, activation="gelu")(keras.layers.Concatenate()([numeric, vectors]))
    model = keras.Model([numeric, ids], keras.layers.Dense(1)(hidden))
    folder = tmp_path_factory.mktemp("network")
    model.save(folder / "model.keras")
    model.export(str(folder / "model.tflite"), format="litert", verbose=False)
    return {"keras": folder / "model.keras", "litert": folder / "model.tflite"}


def tensors(rows, seed=0):
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(rows, 3)).astype(np.float32)
    return {"numeric": numeric, "categories": rng.integers(0, 5, (rows, 2)).astype(np.int32)}


def part(whole, chosen):
    return {name: array[chosen] for name, array in whole.items()}


@pytest.mark.parametrize("rows", [0, 1, ROWS - 1, ROWS, ROWS + 1])
def test_litert_gives_what_tensorflow_gives_at_any_number_of_rows(network, rows):
    whole = tensors(rows)
    litert, keras = litert_engine(network["litert"])(whole), tensorflow_engine(network["keras"])(whole)
    assert litert.shape == keras.shape == (rows, 1)
    assert np.max(np.abs(litert - keras), initial=0.0) < 1e-5


def test_a_rows_logit_has_the_same_bits_alone_and_among_others(network):
    engine, whole = litert_engine(network["litert"]), tensors(2 * ROWS)
    together = engine(whole)
    for row in (0, 1, 7, ROWS - 1, ROWS, 2 * ROWS - 1):
        assert engine(part(whole, [row]))[0] == together[row]
    assert engine(part(whole, slice(None, None, -1))).tolist() == together[::-1].tolist()


def test_a_network_with_a_large_array_a_row_is_called_with_fewer_rows(network, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "ROW_BYTES", 11)
    monkeypatch.setattr(module, "rows_of_a_call", lambda size: asked.append(size) or rows_of_a_call(size))
    few = litert_engine(network["litert"])
    assert asked == [44]  # the three numbers and the eight of two vectors, side by side; 256 rows then
    assert few(tensors(1000)) == pytest.approx(tensorflow_engine(network["keras"])(tensors(1000)), abs=1e-5)


def test_a_network_is_loaded_once_by_its_digest_and_the_last_two_are_kept(network, monkeypatch, tmp_path):
    loads = []
    monkeypatch.setattr(module, "_cache", type(module._cache)())
    monkeypatch.setattr(module, "litert_engine", lambda path: loads.append(path) or litert_engine(path))
    content = network["litert"].read_bytes()
    places = {name: tmp_path / f"{name}.tflite" for name in "abc"}
    for name, place in places.items():
        place.write_bytes(content + name.encode())  # LiteRT passes over what follows a network
    for name in "aabacab":
        engine_for("litert", places[name], digest_of(places[name]))
    assert len(loads) == 4  # a, b, c, and b again: c and a were the last two


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["litert", "keras"])
def test_a_network_with_one_bit_flipped_is_refused_where_it_is_loaded(network, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(module, "_cache", type(module._cache)())
    place = Path(shutil.copy(network[kind], tmp_path))
    digest, engine = digest_of(network[kind]), "litert" if kind == "litert" else "tensorflow"
    content = bytearray(place.read_bytes())
    for bit in np.random.default_rng(1).integers(0, 8 * len(content), 20).tolist():
        content[bit // 8] ^= 1 << bit % 8
        place.write_bytes(content)
        with pytest.raises(BundleError, match="expected the bundle's network"):
            engine_for(engine, place, digest)
        content[bit // 8] ^= 1 << bit % 8
    place.write_bytes(content)
    assert engine_for(engine, place, digest)(tensors(3)).shape == (3, 1)


@pytest.mark.parametrize("kind", ["litert", "keras"])
def test_the_bytes_that_were_compared_are_those_that_answer(network, tmp_path, monkeypatch, kind):
    """A file that takes the network's name between the comparison and the loading is not read."""
    monkeypatch.setattr(module, "_cache", type(module._cache)())
    place = tmp_path / network[kind].name
    shutil.copy(network[kind], place)
    name = "litert_engine" if kind == "litert" else "tensorflow_engine"
    load = getattr(module, name)

    def after_a_swap(path):
        (tmp_path / "other").write_bytes(b"another network")
        (tmp_path / "other").replace(place)
        return load(path)

    monkeypatch.setattr(module, name, after_a_swap)
    engine = engine_for(name.removesuffix("_engine"), place, digest_of(place))
    assert np.allclose(engine(tensors(5)), load(network[kind])(tensors(5)), atol=1e-5)


def test_an_engine_that_the_bundle_lacks_is_refused(tmp_path):
    from medspark.bundles.bundle import Bundle
    from medspark.stages.score import serve

    with pytest.raises(TaskError, match="LiteRT cannot serve its network"):
        serve(Bundle(tmp_path, "id", {}, None), "litert")
