"""A Keras file whose weights say that they are more than is stored of them is refused before any is read."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from medspark.bundles.network_file import open_network, weight_problems
from medspark.errors import BundleError


def keras_file(folder: Path, **array: object) -> Path:
    """An archive with a file of weights, of which one array is made so."""
    weights, path = folder / "model.weights.h5", folder / "model.keras"
    with h5py.File(weights, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.ones((40, 30), np.float32))
        file.create_dataset("layers/dense/vars/1", **array)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(weights, weights.name)
    return path


@pytest.mark.parametrize(
    ("array", "grows"),
    [
        ({"data": np.zeros(2_000_000, np.float32)}, False),
        ({"shape": (2**40,), "dtype": "f4", "chunks": (2**20,)}, True),
        ({"data": np.zeros(2_000_000, np.float32), "compression": "gzip"}, True),
    ],
    ids=["as Keras writes it", "a shape of which nothing is stored", "zeros, compressed"],
)
def test_weights_are_as_large_as_what_is_stored_of_them(tmp_path, array, grows):
    path = keras_file(tmp_path, **array)
    problems = list(weight_problems(path))
    assert (problems != []) == grows
    if grows:
        assert "model.weights.h5 would grow to" in problems[0]
        with pytest.raises(BundleError, match=r"model\.keras: model\.weights\.h5 would grow to"):
            open_network(path)
