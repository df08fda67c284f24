"""From what a network finds to the logits of its targets."""

from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from medspark.task.outcome import Kind

LEAST_RISE: Final = 0.01
"""Of the logit from one horizon to the next, at the start."""


def rising(found: Any, kind: Kind) -> Any:
    """Logits (n, members, k) of horizons, the first as it is found and each later one above the one before it."""
    if kind != "horizons" or found.shape[-1] == 1:
        return found
    first, *steps = keras.ops.split(found, found.shape[-1], axis=-1)  # LiteRT has no gradient of a slice
    logits = [first]
    for step in steps:
        logits.append(logits[-1] + keras.ops.softplus(step))
    return keras.ops.concatenate(logits, axis=-1)


def start_of(level: npt.NDArray[np.float64], kind: Kind) -> list[float]:
    """What must be found (k,) for these logits."""
    if kind != "horizons":
        return [float(value) for value in level]
    rise = np.maximum(np.diff(level), LEAST_RISE)
    return [float(value) for value in (level[0], *np.log(np.expm1(rise)))]
