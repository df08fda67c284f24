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

Arrays = dict[str, npt.NDArray[np.generic]]


def keras_logits(network: Any, tensors: Arrays, batch_size: int = 512) -> npt.NDArray[np.float64]:
    """The network's logit for each case, (n,), by TensorFlow."""
    return np.asarray(network.predict(tensors, batch_size=batch_size, verbose=0), np.float64).reshape(-1)


def export_litert(network: Any, path: Path, sample: Arrays) -> float | None:
    """Write `path` and give the largest difference of a logit from Keras on the sample.

    None, and no file, where LiteRT cannot serve this network as Keras does.
    """
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


@contextmanager
def _unrolled(network: Any) -> Iterator[None]:
    """Recurrent layers step by step instead of in a loop, which LiteRT's own operators can't carry states through."""
    recurrent = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.RNN)]
    for layer in recurrent:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in recurrent:
            layer.unroll = False
