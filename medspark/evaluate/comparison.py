"""Which of two models is better on the same patients: paired differences and the words for them."""

from collections.abc import Mapping
from typing import Any, Final

from medspark.evaluate.bootstrap import interval_of
from medspark.evaluate.logistic import Floats

COMPARED: Final = {"auroc": 1, "brier": -1, "log_loss": -1}
"""What models are compared by; 1 where more is better."""

Difference = dict[str, dict[str, float | None]]
"""By metric the network's value less the other's, with `low` and `high`, None where it does not exist."""


def paired_differences(
    network: Mapping[str, float | None],
    other: Mapping[str, float | None],
    of_network: Mapping[str, Floats],
    of_other: Mapping[str, Floats],
) -> Difference:
    """How far apart two models are, with 95 % intervals from a bootstrap of patients.

    Args:
        network, other: their metrics on all patients.
        of_network, of_other: the metrics (b,) of each resample, the same patients in the same place of both.
    """
    found: Difference = {}
    for name in COMPARED:
        one, two = network.get(name), other.get(name)
        value = None if one is None or two is None else float(f"{one - two:.12g}")
        span = interval_of(of_network[name] - of_other[name]) if value is not None else None
        low, high = span or (None, None)
        found[name] = {"value": value, "low": low, "high": high}
    return found


def verdict(difference: Difference, metric: str = "auroc") -> str | None:
    """Which model is better by a metric: `network`, `other`, or `unclear`; None where it cannot be computed.

    >>> verdict({"brier": {"value": -0.01, "low": -0.02, "high": -0.001}}, "brier")
    'network'
    >>> verdict({"auroc": {"value": -0.01, "low": -0.02, "high": 0.001}})
    'unclear'
    """
    low, high = difference[metric]["low"], difference[metric]["high"]
    if low is None or high is None:
        return None
    if low <= 0 <= high:
        return "unclear"
    return "network" if (low > 0) == (COMPARED[metric] > 0) else "other"


def sentence(other: str, difference: Difference) -> str | None:
    """One sentence on how the network and another model compare on the same patients; None where nothing is known.

    >>> sentence("LR", {"auroc": {"value": -0.02, "low": -0.03, "high": -0.01}})
    'LR ranks these patients better than the network (AUROC 0.020 higher, 95 % interval 0.010 to 0.030)'
    """
    found = verdict(difference)
    if found is None:
        return None
    nearer = nearer_by_brier(difference)
    risks = None if nearer in (None, found) else f"the risks of {other if nearer == 'other' else 'the network'}"
    return _ranks(other, difference, found) + (f", but {risks} {_nearer(difference)}" if risks else "")


def nearer_by_brier(difference: Difference) -> str | None:
    """Whose risks are nearer to what happened: `network`, `other`, or None where that cannot be told.

    >>> nearer_by_brier({"brier": {"value": 0.01, "low": 0.001, "high": 0.02}})
    'other'
    """
    found = verdict(difference, "brier") if "brier" in difference else None
    return None if found == "unclear" else found


def _nearer(difference: Difference) -> str:
    low, value, high = sorted(abs(float(difference["brier"][key] or 0.0)) for key in ("low", "value", "high"))
    return f"are nearer to what happened (Brier score {value:.4f} lower, 95 % interval {low:.4f} to {high:.4f})"


def _ranks(other: str, difference: Difference, found: str) -> str:
    value, low, high = (float(difference["auroc"][key] or 0.0) for key in ("value", "low", "high"))
    if found == "network":
        return f"the network ranks these patients better than {other} (AUROC {_span(value, low, high)})"
    if found == "other":
        return f"{other} ranks these patients better than the network (AUROC {_span(-value, -high, -low)})"
    return (
        f"whether the network or {other} ranks these patients better cannot be told "
        f"(AUROC of the network less the other's {value:+.3f}, 95 % interval {low:+.3f} to {high:+.3f})"
    )


def _span(value: float, low: float, high: float) -> str:
    return f"{value:.3f} higher, 95 % interval {low:.3f} to {high:.3f}"


def compared(baselines: Mapping[str, Any]) -> dict[str, str]:
    """The sentence about each baseline that can be compared, by its name."""
    called = {name: "its teacher" if name == "teacher" else name.replace("_", " ") for name in baselines}
    found = {name: sentence(called[name], one["difference"]) for name, one in baselines.items()}
    return {name: text for name, text in found.items() if text is not None}
