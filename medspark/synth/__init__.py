"""A synthetic hospital: dirty on purpose, with a signal whose true probabilities are known."""

from typing import Final

DEFAULT_PARTS: Final = ("flat", "omop")
"""The parts of a hospital that are written unless others are asked for."""
