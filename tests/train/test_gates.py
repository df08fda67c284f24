"""What a network must reach to be kept."""

import re

import pytest
from support.tasks import stays_task

from medspark.errors import GateError
from medspark.train.gates import require_gates

METRICS = {name: {"value": value} for name, value in (("auroc", 0.8), ("calibration_slope", 1.0))}


def metrics_of(*found):
    metrics = {**METRICS, "calibration_intercept": {"value": 0.0}}
    return {"test": {"metrics": metrics}, "fairness": {"compared": 6, "found": list(found)}}


def level(worse):
    return {
        "column": "site",
        "level": "south",
        "metric": "auroc",
        "worse": worse,
        "difference": {"value": -0.2 if worse else 0.2, "low": None, "high": None},
    }


def test_a_level_that_is_ranked_worse_is_refused_by_name_where_the_task_asks_for_it():
    asks = stays_task(gates={"no_worse_subgroup": True})
    with pytest.raises(GateError, match=r"site south is ranked worse than all other cases, by an AUROC of 0\.2000"):
        require_gates(metrics_of(level(worse=True)), asks)
    require_gates(metrics_of(level(worse=False)), asks)
    require_gates(metrics_of(level(worse=True)), stays_task())


def test_an_auroc_that_is_not_known_is_not_enough():
    metrics = metrics_of()
    metrics["test"]["metrics"]["auroc"] = {"value": None}
    with pytest.raises(GateError, match=r"AUROC None, expected at least 0\.7"):
        require_gates(metrics, stays_task(gates={"auroc_at_least": 0.7}))


@pytest.mark.parametrize(
    ("gate", "value", "refused"),
    [
        ("calibration_intercept", 0.3, "calibration intercept 0.3, expected -0.2 to 0.2"),
        ("calibration_intercept", -0.21, "calibration intercept -0.21, expected -0.2 to 0.2"),
        ("calibration_intercept", None, "calibration intercept None, expected -0.2 to 0.2"),
        ("calibration_intercept", 0.2, None),
        ("calibration_slope", 0.75, "calibration slope 0.75, expected 0.8 to 1.25"),
        ("calibration_slope", 1.5, "calibration slope 1.5, expected 0.8 to 1.25"),
        ("calibration_slope", None, "calibration slope None, expected 0.8 to 1.25"),
        ("calibration_slope", 0.8, None),
    ],
)
def test_a_level_or_a_slope_outside_the_tasks_gates_is_refused_by_figure(gate, value, refused):
    asks = stays_task(gates={"calibration_intercept": [-0.2, 0.2], "calibration_slope": [0.8, 1.25]})
    metrics = metrics_of()
    metrics["test"]["metrics"][gate] = {"value": value}
    if refused is None:
        require_gates(metrics, asks)
        return
    with pytest.raises(GateError, match=f"^the network was not kept: {re.escape(refused)}$"):
        require_gates(metrics, asks)
    require_gates(metrics, stays_task())


def test_a_gate_may_have_one_end():
    metrics = metrics_of()
    metrics["test"]["metrics"]["calibration_intercept"] = {"value": -3.0}
    require_gates(metrics, stays_task(gates={"calibration_intercept": [None, 0.2]}))
