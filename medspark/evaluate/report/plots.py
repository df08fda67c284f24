"""The report's plots as inline SVG: text stays text, colours are the page's CSS variables, ids are unique.

Every function returns "" where there is nothing to draw.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

SIZE: Final = (4.6, 3.7)
INK, MUTED, MODEL, OTHER, THIRD = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES: Final = {INK: "--ink", MUTED: "--muted", MODEL: "--one", OTHER: "--two", THIRD: "--three"}
"""Colours that matplotlib writes, and the CSS variables that take their place for light, dark and print."""

STYLE: Final = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


def roc_plot(curves: Mapping[str, Any]) -> str:
    """Sensitivity against the share of false alarms."""
    roc = curves["roc"]

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(roc["fpr"], roc["tpr"], color=MODEL)
        _unit_axes(axes, "1 − specificity", "Sensitivity")

    return svg("roc", "ROC curve: sensitivity against one minus specificity", draw) if roc["fpr"] else ""


def precision_recall_plot(curves: Mapping[str, Any], prevalence: float) -> str:
    """Positive predictive value against sensitivity, with the prevalence that chance reaches."""
    points = curves["precision_recall"]

    def draw(axes: Axes) -> None:
        axes.axhline(prevalence, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(points["recall"], points["precision"], color=MODEL)
        axes.annotate("prevalence", (0.02, prevalence), (0, -4), textcoords="offset points", va="top", size=9)
        _unit_axes(axes, "Sensitivity (recall)", "PPV (precision)")

    label = "Precision-recall curve: positive predictive value against sensitivity"
    return svg("pr", label, draw) if points["recall"] else ""


def calibration_plot(curves: Mapping[str, Any]) -> str:
    """Observed shares, with 95 % intervals, against predicted risks in groups of cases."""
    bins = curves["calibration"]

    def draw(axes: Axes) -> None:
        x, y = [group["predicted"] for group in bins], [group["observed"] for group in bins]
        below = [max(0.0, group["observed"] - group["low"]) for group in bins]
        above = [max(0.0, group["high"] - group["observed"]) for group in bins]
        top = min(1.0, 1.12 * max([*x, *(group["high"] for group in bins)]))
        axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.errorbar(x, y, yerr=[below, above], color=MODEL, marker="o", markersize=4, linewidth=1.2, capsize=2.5)
        axes.set(xlim=(0, top), ylim=(0, top), xlabel="Predicted risk", ylabel="Observed share")
        _percent(axes)

    return svg("calibration", "Calibration: observed share against predicted risk", draw) if bins else ""


def risk_plot(curves: Mapping[str, Any], bands: Mapping[str, float]) -> str:
    """How the risks spread among cases with and without the outcome, with the starts of the bands."""
    histogram = curves["histogram"]
    edges = histogram["edges"]
    pairs = zip(histogram["negative"], histogram["positive"], strict=True)
    end = edges[1 + max((place for place, pair in enumerate(pairs) if any(pair)), default=0)]
    shares = [_shares(histogram[name]) for name in ("negative", "positive")]

    def draw(axes: Axes) -> None:
        axes.stairs(shares[0], edges, color=OTHER, fill=True, alpha=0.35, label="without the outcome")
        axes.stairs(shares[1], edges, color=MODEL, linewidth=1.8, label="with the outcome")
        for name, start in bands.items():
            if start < end:
                axes.axvline(start, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
                axes.annotate(
                    name,
                    (start, 0.62),
                    (3, 0),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    size=9,
                )
        axes.set(xlim=(0, end), ylim=(0, None), xlabel="Predicted risk", ylabel="Share of the group")
        _percent(axes)
        axes.legend(loc="upper right")

    return (
        svg("risks", "Distribution of predicted risks with and without the outcome", draw)
        if any(map(any, shares))
        else ""
    )


def decision_plot(curve: Mapping[str, Any], until: float) -> str:
    """Net benefit by threshold: the model with its interval, treating everybody, treating nobody."""
    at = curve["threshold"]

    def numbers(name: str) -> list[float]:
        return [float("nan") if value is None else value for value in curve[name]]

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.plot(at, numbers("all"), color=OTHER, linewidth=1.4, linestyle=(0, (5, 2)), label="treat all")
        axes.fill_between(at, numbers("low"), numbers("high"), color=MODEL, alpha=0.18, linewidth=0)
        axes.plot(at, numbers("value"), color=MODEL, label="by the model")
        top = max([0.01, *(value for value in curve["all"][:1] + curve["value"] if value is not None)])
        axes.set(xlim=(0, until), ylim=(-0.15 * top, 1.08 * top), xlabel="Threshold risk", ylabel="Net benefit")
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(loc="upper right")

    label = "Decision curve: net benefit by threshold risk, beside treating everybody and nobody"
    return svg("decision", label, draw) if any(value is not None for value in curve["value"]) else ""


def history_plot(history: Sequence[Mapping[str, float]]) -> str:
    """Training and validation loss by epoch."""

    def draw(axes: Axes) -> None:
        epochs = [row["epoch"] for row in history]
        axes.plot(epochs, [row["loss"] for row in history], color=OTHER, label="training", marker="o", markersize=3)
        axes.plot(
            epochs,
            [row["valid_loss"] for row in history],
            color=MODEL,
            label="validation",
            marker="o",
            markersize=3,
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="Epoch", ylabel="Loss")
        axes.legend()

    return svg("history", "Training and validation loss by epoch", draw) if history else ""


def _shares(counts: Sequence[int | None]) -> list[float]:
    known = [count or 0 for count in counts]
    return [count / max(1, sum(known)) for count in known]


def _unit_axes(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel=x, ylabel=y)
    _percent(axes)


def _percent(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))


def svg(name: str, label: str, draw: Callable[[Axes], None]) -> str:
    """One figure as an <svg> element, the same bytes for the same numbers."""
    with mpl.rc_context(cast(Any, {**STYLE, "svg.hashsalt": name})):
        figure = Figure(figsize=SIZE, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        raw = io.StringIO()
        FigureCanvasSVG(figure).print_svg(raw, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return _for_page(raw.getvalue(), name, label)


def _for_page(svg: str, name: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r" font-family: [^;]*;", "", svg)  # the page's own font
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        lambda found: f'<svg viewBox="{found.group(1)}" role="img" aria-label="{escape(label)}">',
        svg,
        count=1,
    )
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\1{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg.strip()
