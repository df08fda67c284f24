"""Several bundles on the same patients, as a page: what each costs, and what it gives."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from medspark.evaluate.comparison import sentence
from medspark.evaluate.report.format import NONE, Cell, Table, number, table, with_interval, words
from medspark.evaluate.report.template import SHARED, style, template_of

SHOWN: Final = ("auroc", "auprc", "brier", "calibration_slope", "calibration_intercept", "e_average")
DIFFERENCES: Final = ("auroc", "brier", "log_loss")


class Costs(NamedTuple):
    """What a bundle costs."""

    name: str
    """Its size, and its id."""
    weights: int | None
    file_mb: float
    """Of the network that is served."""
    train_seconds: float | None
    train_peak_mb: int | None
    rows_per_second: float | None
    """Of the network by one thread; None where LiteRT does not serve it."""


def render_beside(title: str, about: str, costs: Sequence[Costs], metrics: Mapping[str, Any]) -> str:
    """The page as HTML.

    Args:
        costs: of each bundle; the others are compared with the first.
        metrics: of `evaluate_cases`, the others among its `baselines` by their names.
    """
    return template_of(SHARED, "beside.html.j2").render(
        title=title,
        about=about,
        css=style(),
        sentences=sentences_of(costs, metrics),
        tables=tables_of(costs, metrics),
    )


def sentences_of(costs: Sequence[Costs], metrics: Mapping[str, Any]) -> list[str]:
    """A sentence on each of the others beside the first."""
    found = []
    for one in costs[1:]:
        text = sentence(one.name, metrics["baselines"][one.name]["difference"])
        told = "nothing can be told" if text is None else text.replace("the network", costs[0].name)
        found.append(told[:1].upper() + told[1:] + ".")
    return found


def tables_of(costs: Sequence[Costs], metrics: Mapping[str, Any]) -> list[Table]:
    """Performance, differences on the same patients, net benefit, and costs."""
    others = metrics["baselines"]
    models = {costs[0].name: metrics["test"]["metrics"], **{name: one["metrics"] for name, one in others.items()}}
    rows = [[name, *(with_interval(found[key]) for key in SHOWN)] for name, found in models.items()]
    places = " ".join(str(at + 1) for at in range(len(SHOWN)))
    found = [table("Performance, with 95 % intervals", "|".join(["Bundle", *map(words, SHOWN)]), rows, places)]
    found.append(_differences(costs[0].name, others))
    found += _net_benefit(costs[0].name, metrics)
    return [*found, _costs(costs)]


def _differences(first: str, others: Mapping[str, Any]) -> Table:
    rows = [[name, *(with_interval(one["difference"][key]) for key in DIFFERENCES)] for name, one in others.items()]
    head = "|".join(["Bundle", *map(words, DIFFERENCES)])
    return table(f"{first} less each of the others, on the same patients", head, rows, "1 2 3")


def _net_benefit(first: str, metrics: Mapping[str, Any]) -> list[Table]:
    """At each band's start, by the nearest threshold of the curve."""
    bands = [row for row in metrics["test"]["thresholds"] if row["from"] > 0]
    own = metrics["test"]["decision_curve"]
    if not bands:
        return []
    at = [min(range(len(own["threshold"])), key=lambda i: abs(own["threshold"][i] - row["from"])) for row in bands]
    curves = {first: own["value"], **{name: one["decision_curve"] for name, one in metrics["baselines"].items()}}
    rows: list[list[Cell]] = [[name, *(number(curve[i], 4) for i in at)] for name, curve in curves.items()]
    head = "|".join(["Bundle", *(f"Flagging from {row['from']:g}" for row in bands)])
    return [table("Net benefit", head, rows, " ".join(str(i + 1) for i in range(len(bands))))]


def _costs(costs: Sequence[Costs]) -> Table:
    rows: list[list[Cell]] = [
        [
            one.name,
            _whole(one.weights),
            f"{one.file_mb:.2f}",
            _whole(one.train_seconds),
            _whole(one.train_peak_mb),
            _whole(one.rows_per_second),
        ]
        for one in costs
    ]
    head = "Bundle|Weights|File (MB)|Training (s)|Memory in training (MB)|Rows a second"
    return table("Cost", head, rows, "1 2 3 4 5")


def _whole(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"
