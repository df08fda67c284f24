"""How a worker makes risks of logits, and refuses a calibration that is damaged."""

import subprocess
import sys

import numpy as np
import pytest

from medspark.errors import BundleError
from medspark.evaluate.logistic import sigmoid
from medspark.score.worker.calibration import Calibration, TargetCalibrations, apply_calibration, apply_calibrations
from medspark.task.outcome import Targets


def test_sigmoid_does_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "method"),
        ({"slope": float("nan")}, "finite"),
        ({"slope": "steep"}, "numbers"),
        ({"extra": 1}, "keys"),
        ({"method": "isotonic"}, "at least one"),
        ({"method": "isotonic", "knots_x": [0, 0], "knots_y": [0.1, 0.2]}, "rising"),
        ({"method": "isotonic", "knots_x": [0, 1], "knots_y": [0.1, 1.2]}, "within 0 and 1"),
    ],
)
def test_a_damaged_calibration_is_refused(change, message):
    good = Calibration("platt", 1.0, 0.0).to_dict()
    with pytest.raises(BundleError, match=message):
        Calibration.from_dict(good | change)


def test_a_scoring_worker_imports_nothing_heavier_than_numpy():
    code = "import sys, medspark.score.worker.calibration as c; print({'sklearn','scipy','pandas'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_calibrated_risks_of_later_horizons_are_never_lower():
    parts = (Calibration("platt", 1.0, 2.0), Calibration("platt", 0.5, -1.0))
    found = TargetCalibrations(Targets("horizons", ("30d", "90d"), 1), parts)
    risk = apply_calibrations(found, np.random.default_rng(0).normal(size=(500, 2)))
    assert (np.diff(risk, axis=1) >= 0).all()
    assert np.array_equal(risk[:, 0], apply_calibration(parts[0], np.random.default_rng(0).normal(size=(500, 2))[:, 0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "magic"}, "one for each target"),
        ({"names": ["a"]}, "one for each target"),
        ({"headline": 7}, "one for each target"),
        ({"extra": 1}, "keys"),
    ],
)
def test_damaged_calibrations_of_targets_are_refused(change, message):
    parts = (Calibration("platt"), Calibration("platt"))
    good = TargetCalibrations(Targets("several", ("a", "b")), parts).to_dict()
    with pytest.raises(BundleError, match=message):
        TargetCalibrations.from_dict(good | change)
