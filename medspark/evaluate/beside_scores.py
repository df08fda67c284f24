"""What stands beside scores. Scoring workers import this, so it needs nothing heavier than numpy."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.evaluate.logistic import Floats

BANDS: Final = ("unlikely", "uncertain", "likely")
"""Conformal bands: the outcome is ruled out, nothing is, or its absence is."""


class Beside(NamedTuple):
    """Of n scores; None where the bundle says nothing."""

    strangeness: Floats
    unusual: npt.NDArray[np.bool_]
    disagreement: Floats | None
    low: Floats | None
    high: Floats | None
    band: npt.NDArray[np.int8] | None
    """Its place among BANDS."""
