"""From the network's logits to probabilities that can be read as risks: the step that calibrate.py learned.

`apply_calibration` is the same elementwise function in training and in every scoring worker. Workers import this
module, so it needs nothing heavier than numpy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medspark.errors import BundleError
from medspark.evaluate.logistic import Floats, sigmoid, softmax
from medspark.task.outcome import BINARY, Kind, Targets

Method = Literal["platt", "isotonic", "none"]


@dataclass(frozen=True)
class Calibration:
    """How a logit becomes a probability.

    platt: sigmoid(slope * logit + intercept); isotonic: straight lines between (knots_x: logit, knots_y:
    probability), flat outside them; none: sigmoid(logit).
    """

    method: Method
    slope: float = 1.0
    intercept: float = 0.0
    knots_x: tuple[float, ...] = ()
    knots_y: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The calibration as plain JSON values, to be read by `from_dict` again without a loss."""
        return {
            "method": self.method,
            "slope": self.slope,
            "intercept": self.intercept,
            "knots_x": list(self.knots_x),
            "knots_y": list(self.knots_y),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """The calibration that `to_dict` wrote.

        Raises:
            BundleError: a key is absent or new, or a value can't be a calibration's.
        """
        expected = {"method", "slope", "intercept", "knots_x", "knots_y"}
        if set(data) != expected:
            raise BundleError(f"calibration: expected the keys {sorted(expected)}, received {sorted(data)}")
        try:
            calibration = cls(
                method=data["method"],
                slope=float(data["slope"]),
                intercept=float(data["intercept"]),
                knots_x=tuple(float(x) for x in data["knots_x"]),
                knots_y=tuple(float(y) for y in data["knots_y"]),
            )
        except (TypeError, ValueError) as error:
            raise BundleError(f"calibration: expected numbers, received something else ({error})") from None
        problem = _problem(calibration)
        if problem:
            raise BundleError(f"calibration: {problem}")
        return calibration


def _problem(calibration: Calibration) -> str | None:
    x, y = np.asarray(calibration.knots_x), np.asarray(calibration.knots_y)
    if calibration.method not in get_args(Method):
        return f"expected a method of {list(get_args(Method))}, received {calibration.method!r}"
    if not np.isfinite([calibration.slope, calibration.intercept, *x, *y]).all():
        return "expected finite numbers, received infinity or NaN"
    if calibration.method != "isotonic":
        return None
    if len(x) == 0 or len(x) != len(y):
        return f"expected as many knots_x as knots_y and at least one, received {len(x)} and {len(y)}"
    if (np.diff(x) <= 0).any() or (np.diff(y) < 0).any() or y[0] < 0 or y[-1] > 1:
        return "expected rising knots_x and non-falling knots_y within 0 and 1"
    return None


@dataclass(frozen=True)
class TargetCalibrations:
    """How the logits of all targets become probabilities: each by its own; of classes the intercepts differ, and the
    softmax comes last; of horizons a later one is never below an earlier one."""

    targets: Targets
    parts: tuple[Calibration, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, to be read by `from_dict` again without a loss; of one target alone its calibration."""
        if self.targets.kind == "binary":
            return self.parts[0].to_dict()
        return {**self.targets._asdict(), "parts": [part.to_dict() for part in self.parts]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "TargetCalibrations":
        """The calibrations that `to_dict` wrote.

        Raises:
            BundleError: a key is absent or new, or a value can't be a calibration's.
        """
        if "kind" not in data:
            return of_one(Calibration.from_dict(data))
        expected = {*Targets._fields, "parts"}
        if set(data) != expected:
            raise BundleError(f"calibration: expected the keys {sorted(expected)}, received {sorted(data)}")
        targets = Targets(data["kind"], tuple(data["names"]), data["headline"])
        parts = tuple(Calibration.from_dict(part) for part in data["parts"])
        names = len(targets.names)
        if targets.kind not in get_args(Kind) or len(parts) != names or targets.headline not in range(names):
            raise BundleError("calibration: expected one for each target, and one of them as the headline")
        return cls(targets, parts)


def of_one(calibration: Calibration) -> TargetCalibrations:
    """Of one outcome that is there or not."""
    return TargetCalibrations(BINARY, (calibration,))


def apply_calibrations(calibrations: TargetCalibrations, logit: NDArray[Any]) -> Floats:
    """Probabilities (n, k) of logits (n, k), row by row; a NaN comes back as NaN."""
    kind, parts = calibrations.targets.kind, calibrations.parts
    if kind == "classes":
        logits = np.asarray(logit, np.float64)
        slope, intercept = np.array([part.slope for part in parts]), np.array([part.intercept for part in parts])
        return softmax(slope * logits + intercept)
    each = [apply_calibration(part, logit[:, at]) for at, part in enumerate(parts)]
    found = each[0][:, None] if len(each) == 1 else np.stack(each, axis=1)
    return np.asarray(np.maximum.accumulate(found, axis=1)) if kind == "horizons" else found


def apply_calibration(calibration: Calibration, logit: NDArray[Any]) -> Floats:
    """Probabilities of the logits, one by one: where a batch begins or ends changes no bit.

    A NaN comes back as NaN, for the caller to set aside; one bad row does not end a scoring job.
    """
    logits = np.ascontiguousarray(logit, dtype=np.float64)
    if calibration.method == "isotonic":
        return np.asarray(np.interp(logits, calibration.knots_x, calibration.knots_y), dtype=np.float64)
    if calibration.method == "platt":
        logits = calibration.slope * logits + calibration.intercept
    return sigmoid(logits)
