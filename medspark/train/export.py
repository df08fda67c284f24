"""Write the network for the workers that serve it, and measure how far the two stand apart."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import rows_at_once
from medspark.score.worker.engine import litert_engine

MOST_DIFFERENCE = 1e-4
"""A LiteRT network whose logits differ by more is not kept: TensorFlow then serves the network."""

PREDICTED: Final = 8192
"""Cases at a time, of images fewer, where nothing is learned."""

Arrays = dict[str, npt.NDArray[np.generic]]


def keras_logits(network: Any, tensors: Arrays) -> npt.NDArray[np.float64]:
    """The network's logit for each case, (n,), by TensorFlow."""
    batch_size = rows_at_once(PREDICTED, sum(array.shape[1] for array in tensors.values() if array.dtype == np.uint8))
    return np.asarray(network.predict(tensors, batch_size=batch_size, verbose=0), np.float64).reshape(-1)


def export_litert(network: Any, path: Path, sample: Arrays) -> float | None:
    """Write `path` and give the largest difference of a logit from Keras on the sample.

    None, and no file, where LiteRT cannot serve this network as Keras does.
    """
    try:
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
