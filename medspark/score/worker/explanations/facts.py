"""What a bundle knows of its explanations beside the network that makes them. No Spark here."""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medspark.encode.inputs import Input
from medspark.encode.kinds.base import Frozen
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.logistic import Floats
from medspark.score.worker.calibration import TargetCalibrations

Method = Literal["gradients", "shap", "lime"]
"""gradients: integrated ones (Sundararajan, Taly and Yan 2017, arXiv 1703.01365)."""


class ExplainFacts(Frozen):
    """`explain.json`: from where the paths start, at how many places the slope is taken, and how well that adds up."""

    target: str
    """Whose logit is explained: the headline's; of classes its log odds, calibrated, against all the others."""
    baseline: dict[str, tuple[float, ...]]
    """From where the paths start, by input as it is encoded; inputs that start at 0 are left out."""
    baseline_logit: float
    nodes: int
    """Places on each path, of Gauss and Legendre."""
    tolerance: float
    """What contributions and the baseline's logit may differ by from a case's logit."""
    logit_range: float
    """From the least to the largest logit of the cases that this was measured on."""
    cases: int
    errors: dict[int, float]
    """The largest such difference among them, by the number of nodes that was tried."""
    difference: float | None = None
    """The largest difference of a slope by LiteRT from TensorFlow's; None where LiteRT does not explain."""
    why_tensorflow: str | None = None
    units: dict[str, str] = Field(default_factory=dict)
    """By column."""
    hours: dict[str, float] = Field(default_factory=dict)
    """By grid, how long a step is."""
    names: dict[str, str] = Field(default_factory=dict)
    """Of codes, in words."""


@lru_cache(maxsize=2)
def read_explain_facts(text: str) -> ExplainFacts:
    return ExplainFacts.model_validate_json(text)


def baseline_of(facts: ExplainFacts, inputs: tuple[Input, ...] | list[Input]) -> Arrays:
    """The tensors of a case that is all baseline, (1, width) each."""
    found: Arrays = {}
    for one in inputs:
        values = facts.baseline.get(one.name, (0.0,) * one.width)
        found[one.name] = np.array([values], one.dtype)
    return found


def explained_logit(calibration: TargetCalibrations, logit: Floats) -> Floats:
    """Of logits (n, k), and whatever stands behind them, what is explained, (n,): the headline's own; of classes its
    calibrated log odds.

    A class's logit says nothing without the others': shifting all changes no probability.
    """
    headline = calibration.targets.headline
    if calibration.targets.kind != "classes":
        return np.asarray(logit[:, headline], np.float64)
    slope, intercept = vectors_of(calibration)
    calibrated = slope * logit[:, : len(slope)] + intercept
    others = np.delete(calibrated, headline, axis=1)
    most = others.max(axis=1, keepdims=True)
    return np.asarray(calibrated[:, headline] - most[:, 0] - np.log(np.exp(others - most).sum(axis=1)))


def vectors_of(calibration: TargetCalibrations) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The slope and the intercept of each class, (k,)."""
    parts = calibration.parts
    return np.array([part.slope for part in parts]), np.array([part.intercept for part in parts])
