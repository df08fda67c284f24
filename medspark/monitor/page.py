"""The store's page: bundles, nights, scores, drift and verdicts in one HTML file that needs nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

import numpy as np
from markupsafe import Markup

from medspark.evaluate.logistic import sigmoid
from medspark.evaluate.report.format import NONE, SPACE, Cell, Table, number, percent, table
from medspark.evaluate.report.template import style, template_of
from medspark.monitor.drift import Compared, psi_of_scores
from medspark.monitor.estimate import CENTERS, Estimates
from medspark.monitor.night import Night, hours_before, newest_of
from medspark.monitor.outcomes import Part, Period
from medspark.monitor.plan import SCORE_CELLS, Plan
from medspark.monitor.verdict import Finding, Verdict
from medspark.monitor.worker.read import Ints
from medspark.monitor.worker.tally import Tally, unpacked

SHOWN: Final = 60
"""Nights of the time-line; the store has them all."""
WIDTH, HEIGHT, MARGIN = 600, 120, 10
MEANS: Final = {
    "ok": "Nothing that chance does not bring was found.",
    "warn": "Something differs from training or from the nights before. Look at it; the scores can be used.",
    "stop": "Something is so different that the scores should not be used before it is understood.",
}


@dataclass(frozen=True)
class Shown:
    """Everything the page shows; no patient is among it."""

    title: str
    at: str
    """When the page was made."""
    nights: Sequence[Night]
    """Of all bundles, the oldest first."""
    plans: dict[str, Plan]
    """Of each bundle that was watched."""
    trained: dict[str, Ints]
    """Of each of them how many of training's held-out cases have a risk in each cell, (SCORE_CELLS,)."""
    titles: dict[str, str]
    night: Night
    """The one that was judged."""
    verdict: Verdict
    findings: Sequence[Finding]
    compared: Sequence[Compared] = ()
    estimates: Estimates = field(default_factory=dict)
    periods: Sequence[Period] = ()
    """What came true, where outcomes were given."""
    parts: Sequence[Part] = ()
    """The same of each level of the subgroups."""
    estimated: dict[str, Estimates] = field(default_factory=dict)
    """Of each night with a known outcome, by its name, what had been estimated."""


def render_site(shown: Shown) -> str:
    """The page as HTML. The same data give the same text."""
    own = files("medspark.monitor").joinpath("site.css").read_text(encoding="utf-8")
    drawn = [night for night in shown.nights if night.published][-SHOWN:]
    return template_of(
        "monitor", "site.html.j2"
    ).render(
        shown=shown,
        means=MEANS[shown.verdict],
        css=style() + Markup(own),  # noqa: S704 (a file of this package)
        lines=_lines(drawn, shown),
        findings=_findings(shown.findings),
        drift=_drift(shown.compared),
        estimates=_estimates(shown.estimates),
        outcomes=_outcomes(shown.periods, shown.estimated),
        parts=_parts(shown.parts),
        nights=_nights(shown.nights[-SHOWN:], shown.plans),
        bundles=_bundles(shown),
    )


# ---------------------------------------------------------------- tables


def _findings(findings: Sequence[Finding]) -> Table | None:
    rows = [
        (one.sentence, one.verdict, one.measure, number(one.value), number(one.threshold), _chance(one.p))
        for one in findings
    ]
    head = "Finding|Verdict|Measure|Value|Limit|By chance"
    return table("What was found, the gravest first", head, rows, "3 4 5") if rows else None


def _chance(p: float | None) -> str:
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else number(p)


def _drift(compared: Sequence[Compared]) -> Table | None:
    missing = {one.subject: one for one in compared if not one.column and one.measure == "missing"}
    rows: list[tuple[Cell, ...]] = []
    for one in sorted(compared, key=lambda one: -one.value):
        if one.column or one.measure not in ("psi", "codes"):
            continue
        gap = missing.get(one.subject)
        share = f"{percent(gap.value)} ({percent(gap.expected)})" if gap is not None else NONE
        index = number(one.value, 2) if one.measure == "psi" else NONE
        js, moved = (number(value, 3) for value in (one.js, one.wasserstein))
        rows.append((one.subject, index, js, moved, share, _chance(one.p), one.detail))
    head = "Feature|PSI|Jensen–Shannon|Wasserstein|Missing (training)|By chance|Most in"
    return table("Every feature and the scores beside training", head, rows, "1 2 3 4 5") if rows else None


def _estimates(estimates: Estimates) -> Table | None:
    names = {"prevalence": "Cases with the outcome", "auroc": "AUROC", "brier": "Brier score"}
    rows = [
        (names[name], number(one["value"]), f"{number(one['low'])} to {number(one['high'])}")
        for name, one in estimates.items()
        if one["value"] is not None
    ]
    caption = "Estimated from the risks alone, before any outcome is known"
    return table(caption, "Figure|Estimate|95 % interval", rows, "1 2") if rows else None


def _outcomes(periods: Sequence[Period], estimated: dict[str, Estimates]) -> Table | None:
    rows: list[tuple[Cell, ...]] = []
    for one in periods:
        if one.reason is not None:
            rows.append((one.name, one.reason, NONE, NONE, NONE, NONE))
            continue
        foreseen = estimated.get(one.name, {}).get("auroc", {})
        guess = number(foreseen["value"]) if foreseen.get("value") is not None else NONE
        figures = one.figures
        shown = [_spanned(figures[name]) for name in ("auroc", "brier", "calibration_slope", "calibration_intercept")]
        rows.append((one.name, shown[0], guess, *shown[1:]))
    head = "Run|AUROC|Estimated before|Brier score|Calibration slope|Calibration intercept"
    return table("What came true, with 95 % intervals", head, rows, "1 2 3 4 5") if rows else None


def _parts(parts: Sequence[Part]) -> Table | None:
    rows: list[tuple[Cell, ...]] = []
    for one in parts:
        name, figures = f"{one.column}: {one.level}", one.period.figures
        names = ("auroc", "brier", "calibration_slope", "calibration_intercept")
        shown = [_spanned(figures[figure]) for figure in names] if figures else [one.period.reason or NONE, *[NONE] * 3]
        rows.append((name, *shown))
    head = "Subgroup|AUROC|Brier score|Calibration slope|Calibration intercept"
    return table("What came true by subgroup, all runs together", head, rows, "1 2 3 4") if rows else None


def _spanned(figure: dict[str, float | None]) -> str:
    if figure["value"] is None:
        return NONE
    return f"{number(figure['value'])} ({number(figure['low'])} to {number(figure['high'])})"


def _nights(nights: Sequence[Night], plans: dict[str, Plan]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for night in reversed(nights):
        mean = mean_risk(night, plans)
        said = night.verdict or "not judged"
        if not night.published:
            said = f"{said}, refused"
        elif night.override:
            said = f"{said}, published: {night.override}"
        rejected = percent(night.rejected_share)
        counts = (f"{night.rows_in:,}", f"{night.scored:,}", rejected, percent(mean), newest_in(night, plans))
        rows.append((night.at[:16].replace("T", " "), *counts, said, Markup("<code>{}</code>").format(night.bundle_id)))
    head = "Run began|Rows in|Scores|Rejected|Mean risk|Newest data|Verdict|Bundle"
    return table("Runs, the newest first", head, rows, "1 2 3 4")


def _bundles(shown: Shown) -> Table:
    rows = []
    nights = shown.nights[-SHOWN:]
    for bundle_id in dict.fromkeys(night.bundle_id for night in reversed(nights)):
        own = [night for night in nights if night.bundle_id == bundle_id]
        watched = "yes" if bundle_id in shown.plans else "no: it was made before monitoring"
        dates = f"{own[0].at[:10]} to {own[-1].at[:10]}"
        rows.append((bundle_id, shown.titles.get(bundle_id, NONE), f"{len(own):,}", dates, watched))
    return table("Bundles of these runs", "Bundle|Task|Runs|From and to|Watched", rows, "2")


# ---------------------------------------------------------------- time-lines


@dataclass(frozen=True)
class Line:
    """A time-line: its title, its drawing, and in words what it shows."""

    title: str
    svg: Markup
    note: str


def _lines(nights: Sequence[Night], shown: Shown) -> list[Line]:
    if len(nights) < 2:
        return []
    every: dict[str, list[float | None]] = {
        "Scores": [float(night.scored) for night in nights],
        "Rows without a score": [night.rejected_share for night in nights],
        "Mean risk": [mean_risk(night, shown.plans) for night in nights],
        "Drift of the scores (PSI)": [drift_of_scores(night, shown) for night in nights],
    }
    write: dict[str, Callable[[float], str]] = {
        "Scores": lambda value: f"{value:,.0f}",
        "Drift of the scores (PSI)": lambda value: number(value, 2),
    }
    lines = []
    for title, values in every.items():
        known = [value for value in values if value is not None]
        if len(known) < 2:
            continue
        said = write.get(title, percent)
        ends = f"{nights[0].at[:10]} to {nights[-1].at[:10]}"
        note = f"{ends}; from {said(min(known))} to {said(max(known))}, last {said(known[-1])}"
        lines.append(Line(title, drawn(title, values, [night.verdict == "stop" for night in nights]), note))
    return lines


def drawn(title: str, values: Sequence[float | None], stopped: Sequence[bool]) -> Markup:
    """Values in their order as a line, from 0 on; those of stopped nights have a square."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (WIDTH - 2 * MARGIN) / max(1, len(values) - 1)
    points = [
        (MARGIN + at * step, HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN), stop)
        for at, (value, stop) in enumerate(zip(values, stopped, strict=True))
        if value is not None
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    marks = "".join(
        f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" class="stopped"/>'
        if stop
        else f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="point"/>'
        for x, y, stop in points
    )
    base = f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{HEIGHT - MARGIN}" y2="{HEIGHT - MARGIN}" class="base"/>'
    label = Markup.escape(f"{title} by run")
    return Markup(  # noqa: S704 (numbers, and a title that is escaped)
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{base}'
        f'<polyline points="{path}" class="line"/>{marks}</svg>'
    )


def mean_risk(night: Night, plans: dict[str, Plan]) -> float | None:
    """The mean of a night's risks, by their cells; None where nothing was counted."""
    plan = plans.get(night.bundle_id)
    if plan is None or night.tally is None:
        return None
    counts = scores_in(unpacked(night.tally, plan), plan)
    return float(np.average(sigmoid(CENTERS), weights=counts)) if counts.sum() else None


def drift_of_scores(night: Night, shown: Shown) -> float | None:
    """The population stability index of a night's scores beside training; None where nothing was counted."""
    plan, trained = shown.plans.get(night.bundle_id), shown.trained.get(night.bundle_id)
    if plan is None or trained is None or night.tally is None:
        return None
    counts = scores_in(unpacked(night.tally, plan), plan)
    return psi_of_scores(counts, trained) if counts.sum() and trained.sum() else None


def newest_in(night: Night, plans: dict[str, Plan]) -> str:
    """How long before a run the newest event of its cases was, or of a table its newest prediction time."""
    plan = plans.get(night.bundle_id)
    newest = None if plan is None or night.tally is None else newest_of(unpacked(night.tally, plan))
    return NONE if newest is None else f"{max(0.0, hours_before(night, newest)):,.0f}{SPACE}h before"


def scores_in(tally: Tally, plan: Plan) -> Ints:
    """How many cases have a risk in each cell, (SCORE_CELLS,)."""
    start = plan.starts[-1]
    return np.asarray(tally.counts[0, start : start + SCORE_CELLS])
