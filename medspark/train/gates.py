"""What a network must reach to be kept."""

from typing import Any

from medspark.errors import GateError
from medspark.task.tasks import Task


def require_gates(metrics: dict[str, Any], task: Task) -> None:
    """Refuse a network below the task's gates.

    Raises:
        GateError: naming each gate and the figure.
    """
    found = metrics["test"]["metrics"]
    refused = []
    least = task.gates.auroc_at_least
    auroc = found["auroc"]["value"]
    if least is not None and (auroc is None or auroc < least):
        refused.append(f"AUROC {auroc if auroc is None else round(auroc, 4)}, expected at least {least}")
    for name in ("calibration_slope", "calibration_intercept"):
        allowed, value = getattr(task.gates, name), found[name]["value"]
        if allowed is not None and not _within(value, allowed.low, allowed.high):
            refused.append(f"{name.replace('_', ' ')} {value}, expected {allowed.low} to {allowed.high}")
    if task.gates.no_worse_subgroup:
        refused += [_worse(one) for one in metrics["fairness"]["found"] if one["worse"]]
    if refused:
        raise GateError("the network was not kept: " + "; ".join(refused))


def _worse(one: dict[str, Any]) -> str:
    gap = one["difference"]
    return (
        f"{one['column']} {one['level']} is ranked worse than all other cases, by an AUROC of {-gap['value']:.4f}; "
        "expected no subgroup that is"
    )


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)
