"""What acting on the risks is worth: the table of alerts and the drawing of net benefit."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.format import Cell, Table, number, percent, shares_with_interval, table

LEAST_SEEN: Final = 0.05
"""Of the thresholds that are drawn, how far beyond the last one with a benefit."""


def alerts(data: ReportData) -> Table | None:
    """What alerts for the highest risks are worth; None where a run did not measure it."""
    found = data.metrics["test"].get("alerts")
    if not found:
        return None
    rows: list[list[Cell]] = [
        [
            f"the highest {percent(row['rate'], 0)}",
            percent(row["from"]),
            number(row["alerts_per_100_patients"], 1),
            shares_with_interval(row["recall"]),
            shares_with_interval(row["precision"]),
            row["reason"] or "",
        ]
        for row in found
    ]
    head = "Alerts for|From a risk of|Alerts for 100 patients|Of those with the outcome, found|Of alerts, right|"
    return table("Alerts at fixed rates", head + "Not shown because", rows, "1 2 3 4")


def worth(data: ReportData) -> str:
    """For which thresholds the model is worth more than treating all or none, in a sentence."""
    curve = data.metrics["test"].get("decision_curve")
    if not curve:
        return "Net benefit was not measured."
    lines = zip(curve["threshold"], curve["value"], curve["all"], strict=True)
    flags = [(at, value is not None and value > max(0.0, everybody)) for at, value, everybody in lines]
    runs = [[at for at, _ in run] for is_better, run in groupby(flags, key=lambda pair: pair[1]) if is_better]
    if not runs:
        return "At no threshold is the model worth more than treating everybody or nobody."
    better = max(runs, key=len)
    return (
        f"Between thresholds of {percent(better[0], 0)} and {percent(better[-1], 0)} acting on the model’s risks is "
        "worth more than treating everybody or nobody."
    )


def shown_until(curve: Mapping[str, Any]) -> float:
    """The threshold up to which the curve is drawn: a little beyond the last at which any way has a benefit."""
    lines = zip(curve["threshold"], curve["value"], curve["all"], strict=True)
    last = max((at for at, value, everybody in lines if max(value or 0.0, everybody) > 0), default=0.1)
    return float(min(1.0, last + LEAST_SEEN))
