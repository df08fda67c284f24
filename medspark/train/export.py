"""Write the network for the workers that serve it, and measure how far the two stand apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from medspark.score.worker.engine import litert_engine

MOST_DIFFERENCE = 1e-4
"""A LiteRT network whose logits differ by more is not kept: TensorFlow then serves the network."""

MOST_UNROLLED = 512
"""Events of a recurrent layer that LiteRT is given step by step; of more the file and its making are too large."""

Arrays = dict[str, npt.NDArray[np.generic]]


def keras_logits(network: Any, tensors: Arrays, batch_size: int = 512) -> npt.NDArray[np.float64]:
    """The network's logit for each case, (n,), by TensorFlow."""
    return np.asarray(network.predict(tensors, batch_size=batch_size, verbose=0), np.float64).reshape(-1)


def export_litert(network: Any, path: Path, sample: Arrays) -> float | None:
    """Write `path` and give the largest difference of a logit from Keras on the sample.

    None, and no file, where LiteRT cannot serve this network as Keras does.
    """
    if _too_long(network):
        return None
    try:
        with _unrolled(network):
            network.export(str(path), format="litert", verbose=False)
        served = litert_engine(path)(sample)
    except (ValueError, RuntimeError, NotImplementedError):
        path.unlink(missing_ok=True)
        return None
    difference = float(np.max(np.abs(served - keras_logits(network, sample)), initial=0.0))
    if difference > MOST_DIFFERENCE:
        path.unlink()
        return None
    return difference


def why_tensorflow(network: Any) -> str:
    """Why LiteRT was not given a network, or did not serve it as Keras does."""
    long = _too_long(network)
    if long:
        return f"a recurrent layer reads {long} events, of which LiteRT is given {MOST_UNROLLED} at most"
    return f"LiteRT lacks an operator of it, or its logits differ by more than {MOST_DIFFERENCE:g}"


def _recurrent(network: Any) -> list[Any]:
    return [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.RNN)]


def _too_long(network: Any) -> int | None:
    """The events of the longest recurrent layer, where these are too many to unroll."""
    longest = max((int(keras.tree.flatten(layer.input)[0].shape[1]) for layer in _recurrent(network)), default=0)
    return longest if longest > MOST_UNROLLED else None


@contextmanager
def _unrolled(network: Any) -> Iterator[None]:
    """Recurrent layers step by step instead of in a loop, which LiteRT's own operators can't carry states through."""
    for layer in _recurrent(network):
        layer.unroll = True
    try:
        yield
    finally:
        for layer in _recurrent(network):
            layer.unroll = False
