"""What drives the risks, for the report: each feature's contributions, the strongest codes, curves of numbers."""

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup
from matplotlib.axes import Axes

from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.format import NONE, SPACE, Cell, Table, count, number, percent, table
from medspark.evaluate.report.plots import MODEL, MUTED, OTHER, svg

BARS: Final = 12
"""Features that are drawn."""
METHODS: Final = {"gradients": "Integrated gradients", "shap": "SHAP", "lime": "LIME"}


def drivers(data: ReportData) -> dict[str, Any]:
    """Tables, plots and the note of what drives the risks; empty where a bundle has nothing of it."""
    found = data.metrics.get("drivers")
    if not found:
        return {"driver_note": "", "driver_tables": [], "driver_plots": []}
    note = (
        f"Integrated gradients of {found['cases']:,} test cases. A contribution is what a feature adds to a case's "
        "logit, against a case whose numbers are the medians and whose categories are the commonest, without codes or "
        "events: 0.7 logits double the odds. It says what the network makes of a value, not what would happen if the "
        "value were changed."
    )
    plots = [_bars(found["features"]), *(_curve(at, curve) for at, curve in enumerate(found["curves"]))]
    tables = [_features(found), *_codes(found), *_agreement(found)]
    return {"driver_note": note, "driver_tables": tables, "driver_plots": plots}


def _features(found: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for row in found["features"]:
        interval = NONE if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"
        rows.append([row["name"], number(row["value"]), interval, number(row["auroc_lost"])])
    head = "Feature|Mean contribution|95 % interval|AUROC lost when shuffled"
    return table("Features by their mean absolute contribution, in logits", head, rows, "1 2 3")


def _codes(found: Mapping[str, Any]) -> list[Table]:
    rows: list[list[Cell]] = [
        [row["code"], row["feature"], count(row["cases"]), number(row["value"])] for row in found["codes"]
    ]
    if not rows:
        return []
    return [table("Codes by the mean contribution where they are there, in logits", "Code|In|Cases|Mean", rows, "2 3")]


def _agreement(found: Mapping[str, Any]) -> list[Table]:
    """What other methods say of the same cases; nothing where the task does not ask for it."""
    asked = found.get("agreement")
    if asked is None:
        return []
    rows: list[list[Cell]] = []
    for row in asked["methods"]:
        name = METHODS[row["method"]]
        if "absent" in row:
            rows.append([f"{name}, not asked: {row['absent']}", *[NONE] * 4])
            continue
        alike = (percent(row.get(key), 0) for key in ("top_overlap", "first_same"))
        rows.append([name, number(row.get("rank_correlation"), 2), *alike, rate(row["cases_a_second"])])
    caption = f"Integrated gradients beside other methods, on the {asked['cases']:,} riskiest of these cases"
    head = "Method|Rank correlation|Of the 5 largest the same|Largest the same|Cases a second of CPU"
    return [table(caption, head, rows, "1 2 3 4")]


def rate(value: float) -> str:
    """Cases a second, in two digits or more.

    >>> rate(12345.6), rate(1.234)
    ('12,346', '1.2')
    """
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _bars(features: list[dict[str, Any]]) -> dict[str, Any]:
    shown = features[:BARS][::-1]

    def draw(axes: Axes) -> None:
        value = [row["value"] for row in shown]
        places = range(len(shown))
        axes.barh(places, value, color=OTHER, alpha=0.5)
        known = [(at, row) for at, row in zip(places, shown, strict=True) if row["low"] is not None]
        below = [max(0.0, row["value"] - row["low"]) for _, row in known]
        above = [max(0.0, row["high"] - row["value"]) for _, row in known]
        axes.errorbar(
            [row["value"] for _, row in known], [at for at, _ in known], xerr=[below, above], fmt="none", ecolor=MODEL
        )
        axes.set_yticks(list(places), [_short(row["name"]) for row in shown], parse_math=False)
        axes.set(xlim=(0, None), xlabel="Mean absolute contribution (logits)")

    drawn = svg("drivers", "Mean absolute contribution of each feature", draw)
    return {"title": "What drives the risks", "svg": Markup(drawn), "note": "Lines are 95 % intervals by patient."}  # noqa: S704


def _curve(at: int, curve: Mapping[str, Any]) -> dict[str, Any]:
    points = curve["points"]

    def draw(axes: Axes) -> None:
        x = [point["value"] for point in points]
        axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.fill_between(x, [p["low"] for p in points], [p["high"] for p in points], color=OTHER, alpha=0.25)
        axes.plot(x, [point["contribution"] for point in points], color=MODEL, marker="o", markersize=4)
        axes.set_xlabel(curve["name"], parse_math=False)
        axes.set_ylabel("Contribution (logits)")

    missing = curve["missing"]
    beside = "" if missing is None else f" Missing: {number(missing)}{SPACE}logits."
    drawn = svg(f"driver{at}", f"Contribution by the value of {curve['name']}", draw)
    note = f"Means of tenths of the cases; the band has 80 % of each tenth.{beside}"
    return {"title": f"By {curve['name']}", "svg": Markup(drawn), "note": note}  # noqa: S704


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
