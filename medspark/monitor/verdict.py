"""What was compared to findings, and these to a verdict: ok, warn or stop."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from medspark.monitor.drift import IMPUTED, SCORES, Compared
from medspark.monitor.gauges import Gauge
from medspark.monitor.night import Beside
from medspark.monitor.outcomes import LEAST_WORSE, Part, Period, worse
from medspark.monitor.plan import DECADES, STEPS_A_DECADE, Plan
from medspark.monitor.two_sample import Told
from medspark.monitor.units import Suspicion, suspected
from medspark.monitor.worker.read import Ints
from medspark.monitor.worker.tally import Tally
from medspark.task.monitoring import Monitoring

Verdict = Literal["ok", "warn", "stop"]
ORDER: Final[tuple[Verdict, ...]] = ("ok", "warn", "stop")
OF_COUNTS: Final = 0.8
OF_JOINT: Final = 0.1
"""Of the false alarms that a night may have, the share of what is compared with training, and of the classifier; the
rest is for what is compared with the runs before."""


class Joint(NamedTuple):
    """How a night is told from the nights before."""

    told: Told
    by: str | None
    """The gauge that the classifier needs most."""
    nights: int
    """How many nights it was held against."""


@dataclass(frozen=True)
class Finding:
    """One thing that is no chance and large enough to be told."""

    subject: str
    column: str
    level: str
    """The group that it is of; both are empty of all cases."""
    measure: str
    value: float
    expected: float
    threshold: float
    p: float | None
    """None of what is no matter of chance."""
    verdict: Verdict
    sentence: str


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """The gravest of the findings'; ok without any."""
    return ORDER[max((ORDER.index(found.verdict) for found in findings), default=0)]


def findings_of(
    plan: Plan, compared: Sequence[Compared], training: Tally, night: Tally, settings: Monitoring
) -> list[Finding]:
    """What is neither chance nor small of what was compared with training, the gravest first."""
    alarms = OF_COUNTS * settings.false_alarms
    found = [finding for one in compared if one.p < alarms for finding in _finding(one, settings)]
    found = [one for one in found if not (one.column and _is_everybodys(one, found))]
    found += _units(plan, compared, training, night, settings)
    return sorted(found, key=lambda one: (-ORDER.index(one.verdict), one.measure != "units", one.column, -one.value))


def _is_everybodys(one: Finding, found: Sequence[Finding]) -> bool:
    """Whether a finding of a part of the cases is found of all, and not half as much again there."""
    whole = [other for other in found if (other.subject, other.measure, other.column) == (one.subject, one.measure, "")]
    return any(one.value < 1.5 * other.value for other in whole)


def findings_beside(beside: Iterable[Beside], settings: Monitoring) -> list[Finding]:
    """The same of what was compared with the runs before, by Bonferroni's correction."""
    every = list(beside)
    alarms = (1 - OF_COUNTS - OF_JOINT) * settings.false_alarms / max(1, len(every))
    found = []
    for one in every:
        verdict, limit = _held_against(one.size, one.measure, settings)
        if one.p < alarms and verdict != "ok":
            figures = (one.measure, one.value, one.expected, limit, one.p, verdict, one.sentence)
            found.append(Finding(one.subject, "", "", *figures))
    return found


def findings_joint(joint: Joint | None, settings: Monitoring) -> list[Finding]:
    """Whether a classifier tells the night from those before, whatever it is by."""
    if joint is None or joint.told.p >= OF_JOINT * settings.false_alarms:
        return []
    verdict, limit = _held_against(joint.told.auroc, "joint", settings)
    if verdict == "ok":
        return []
    by = f", most by {joint.by}" if joint.by is not None else ""
    auroc = joint.told.auroc
    told = f"tonight's cases are told from those of {joint.nights} nights before with an AUROC of {auroc:.2f}{by}"
    return [Finding("all features", "", "", "joint", auroc, 0.5, limit, joint.told.p, verdict, told)]


def findings_of_outcomes(whole: Period, parts: Sequence[Part]) -> list[Finding]:
    """Where the model is worse for a part of the cases; where it is no better than chance there, the night stops."""
    found = []
    for part in worse(whole, parts):
        own, all_ = part.period.figures["auroc"], whole.figures["auroc"]
        value, low, expected = (float(number or 0.0) for number in (own["value"], own["low"], all_["value"]))
        blind = low <= 0.5
        told = f"AUROC {value:.2f} where {part.column} is {part.level}, of all cases {expected:.2f}"
        told += ": no better than chance there" if blind else ""
        where = ("outcomes", part.column, part.level, "auroc", value, expected)
        found.append(Finding(*where, expected - LEAST_WORSE, None, "stop" if blind else "warn", told))
    return found


def _held_against(size: float, measure: str, settings: Monitoring) -> tuple[Verdict, float]:
    """The verdict of a size, and the limit that it reached; of one that reaches none, the lower limit."""
    if measure == "freshness":  # how many times as late as it may be
        return ("stop" if size > 1 else "ok"), 1.0
    warn, stop = getattr(settings.warn, measure), getattr(settings.stop, measure)
    if stop is not None and size >= stop:
        return "stop", stop
    if warn is not None and size >= warn:
        return "warn", warn
    return "ok", warn if warn is not None else float("nan")


def _finding(one: Compared, settings: Monitoring) -> Iterator[Finding]:
    measure = "scores" if one.subject == SCORES else one.measure
    size = one.changed_by
    if measure == "missing":
        size = size / max(1e-9, 1 - one.expected)
    verdict, limit = _held_against(size, measure, settings)
    if one.column and verdict == "stop":
        verdict = "warn"  # of a part of the cases
    if verdict != "ok":
        yield Finding(
            one.subject, one.column, one.level, measure, one.value, one.expected, limit, one.p, verdict, sentence(one)
        )


def sentence(one: Compared) -> str:
    """What was found, for a person."""
    where = f" where {one.column} is {one.level}" if one.column else ""
    if one.measure == "missing":
        stands = ", or the one that stands for it" if one.detail == IMPUTED else ""
        return f"{one.subject}{where}: {_shares(one)} have no value{stands}"
    if one.measure == "unseen":
        return f"{one.subject}{where}: {_shares(one)} have a level or code that training did not have, or hardly"
    if one.measure == "outside":
        return f"{one.subject}{where}: {100 * one.value:.1f} % of its numbers lie outside what training had"
    if one.measure == "codes":
        return f"{one.subject}{where}: {one.detail}"
    return f"{one.subject}{where}: distributed otherwise, PSI {one.value:.2f}; most in {one.detail}"


def _shares(one: Compared) -> str:
    return f"{100 * one.value:.1f} % of the cases (training: {100 * one.expected:.1f} %)"


# ---------------------------------------------------------------- units


def _units(
    plan: Plan, compared: Sequence[Compared], training: Tally, night: Tally, settings: Monitoring
) -> Iterator[Finding]:
    """A change of unit names what is behind numbers that are distributed otherwise, by more than chance."""
    alarms = OF_COUNTS * settings.false_alarms
    drifted = {one.subject: one.p for one in compared if not one.column and one.measure == "psi" and one.p < alarms}
    for place, at in enumerate(plan.with_units):
        gauge = plan.gauges[at]
        if gauge.name not in drifted:
            continue
        found = suspected(gauge.name, night.units[place], training.units[place])
        if found is None:
            continue
        verdict, limit = _held_against(found.share, "units", settings)
        if verdict != "ok":
            p, told = drifted[gauge.name], _told(gauge, found, night.units[place], training.units[place])
            yield Finding(gauge.name, "", "", "units", found.share, 0.0, limit, p, verdict, told)


def _told(gauge: Gauge, found: Suspicion, night: Ints, training: Ints) -> str:
    now, then = median_of(night), median_of(training)
    return f"{gauge.name}: {found.says}; its median is {now:.3g} (training: {then:.3g})"


def median_of(units: Ints) -> float:
    """The median of numbers counted by order of magnitude, in a straight line within its cell."""
    reached, half = np.cumsum(units), units.sum() / 2
    place = int(np.searchsorted(reached, half))
    within = (half - (reached[place] - units[place])) / max(1, units[place])
    return float(10 ** (DECADES[0] + (place + within) / STEPS_A_DECADE))
