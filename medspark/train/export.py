"""Write the network for the workers that serve it, and measure how far the two stand apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import rows_at_once
from medspark.score.worker.engine import litert_engine

MOST_DIFFERENCE = 1e-4
"""A LiteRT network whose logits differ by more is not kept: TensorFlow then serves the network."""

MOST_UNROLLED = 512
"""Events of a recurrent layer that LiteRT is given step by step; of more the file and its making are too large."""

Arrays = dict[str, npt.NDArray[np.generic]]


def keras_logits(network: Any, tensors: Arrays, batch_size: int = 512) -> npt.NDArray[np.float64]:
    """The network's logits for each case, (n, k), by TensorFlow."""
    pixels = sum(array.shape[1] for array in tensors.values() if array.dtype == np.uint8)
    return np.asarray(network.predict(tensors, batch_size=rows_at_once(batch_size, pixels), verbose=0), np.float64)


class Exported(NamedTuple):
    """Whether LiteRT serves a network."""

    difference: float | None
    """The largest of a logit from Keras on the sample; None where LiteRT does not serve it."""
    because: str | None = None
    """Why it does not."""


def export_litert(network: Any, path: Path, sample: Arrays, logits: int | None = None) -> Exported:
    """Write `path`, for LiteRT, and compare it with Keras; no file is left where LiteRT cannot serve as Keras does.

    Args:
        network: what is served.
        path: of the file.
        sample: cases to compare it on.
        logits: how many of what it gives are logits, which are compared; all where nothing stands behind them.
    """
    long = too_long(network)
    if long:
        return Exported(
            None, f"a recurrent layer reads {long} events, of which LiteRT is given {MOST_UNROLLED} at most"
        )
    try:
        with unrolled(network):
            network.export(str(path), format="litert", verbose=False)
        served = litert_engine(path)(sample)
    except Exception as error:  # whatever a converter or an interpreter raises, TensorFlow serves the network instead
        path.unlink(missing_ok=True)
        return Exported(None, f"it cannot be converted ({type(error).__name__})")
    apart = np.abs(served - keras_logits(network, sample))[:, :logits]
    difference = float(np.max(apart, initial=0.0))
    if difference > MOST_DIFFERENCE:
        path.unlink()
        return Exported(None, f"its logits differ from Keras by {difference:.1e}")
    return Exported(difference)


def _recurrent(network: Any) -> list[Any]:
    return [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.RNN)]


def too_long(network: Any) -> int | None:
    """The events of the longest recurrent layer, where these are too many to unroll."""
    longest = max((int(keras.tree.flatten(layer.input)[0].shape[1]) for layer in _recurrent(network)), default=0)
    return longest if longest > MOST_UNROLLED else None


@contextmanager
def unrolled(network: Any) -> Iterator[None]:
    """Recurrent layers step by step instead of in a loop, which LiteRT's own operators can't carry states through."""
    for layer in _recurrent(network):
        layer.unroll = True
    try:
        yield
    finally:
        for layer in _recurrent(network):
            layer.unroll = False
