"""What happened after the prediction times: the label, and whom it is not known of. No Spark here."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medspark.cases.worker.concepts import of_code, of_concepts
from medspark.cases.worker.history import (
    DAY,
    NEVER,
    Bools,
    Floats,
    History,
    Ints,
    between,
    first_time,
    greatest_between,
    is_known,
)
from medspark.cases.worker.observation import Observed
from medspark.task.event_task import EventTask
from medspark.task.outcome import EventOutcome
from medspark.task.population import DIED_AFTER, FOLLOW_UP, GAP


class Outcomes(NamedTuple):
    """What became of m candidates, of each of k targets."""

    labels: Floats
    """(m, k): 1 with the outcome, 0 without, NaN where it is not known."""
    followed: Floats
    """(m,) days to the outcome or to the end of what is known, of horizons; a death ends nothing but the time at risk.
    """
    excluded: dict[str, Bools]
    """For each of the outcome's criteria which candidates it excludes."""


class _Risk(NamedTuple):
    """What happened to each candidate in a time at risk."""

    when: Ints
    """The first event of the concept, NEVER where there is none."""
    gap: Bools
    """Whether there was one before the time at risk that was not known."""
    died: Bools
    """Whether it ended by death before the event."""
    death: Ints
    followed: Bools
    """Whether it was observed to its end, or ended by death."""


def outcome_of(history: History, task: EventTask, subject: Ints, time: Ints, observed: Observed) -> Outcomes:
    """The labels of each candidate, and whom the outcome's criteria exclude."""
    outcome, kind = task.outcome, task.outcome.targets.kind
    concepts = list(outcome.concepts().values())
    concepts = concepts * len(outcome.ends) if kind == "horizons" else concepts
    risks = [
        _at_risk(history, task, concept, end, subject, time, observed)
        for concept, end in zip(concepts, outcome.ends, strict=True)
    ]
    labels = _classes(risks, outcome) if kind == "classes" else _each(risks, outcome)
    gaps = np.stack([risk.gap for risk in risks])
    gap = (gaps.any(axis=0) if kind == "classes" else gaps.all(axis=0)) & (outcome.gap == "exclude")
    died = np.all([risk.died for risk in risks], axis=0) & (outcome.death == "leave_out")
    excluded = {GAP: gap, DIED_AFTER: died, FOLLOW_UP: np.isnan(labels).all(axis=1) & ~gap & ~died}
    return Outcomes(labels, _days_followed(risks, labels, outcome, time, observed), excluded)


def _at_risk(
    history: History,
    task: EventTask,
    concept: str,
    to_days: float | None,
    subject: Ints,
    time: Ints,
    observed: Observed,
) -> _Risk:
    outcome = task.outcome
    death = first_time(of_code(history, task.mapping.death), NEVER)[subject]
    low = time + round(outcome.from_days * DAY)
    high = np.full(len(time), NEVER) if to_days is None else time + round(to_days * DAY)
    # What is history cannot be predicted: an event at the prediction time is on one side of it only
    after = outcome.from_days > 0 or task.time.at_prediction_time == "excluded"
    events = of_concepts(history, (concept,), task.concepts)
    start, stop = between(events, subject, low, high, closed=(after, True))
    seen = stop > start
    when = np.full(len(time), NEVER)
    when[seen] = events.time[start[seen]]
    # A death is often a date: an outcome within a day after it counts as before it
    died = (death <= high) & (death != NEVER) & (death < when - np.where(seen, DAY, 0))
    # Both ends count: a last day must reach past the end of the time at risk
    to_the_end = (observed.end >= high) | (observed.last_day > high)
    followed = died | to_the_end if to_days is not None else np.ones(len(time), np.bool_)
    return _Risk(when, _in_the_gap(events, task, subject, time, low), died, death, followed)


def _positive(risk: _Risk, outcome: EventOutcome) -> Bools:
    positive: Bools = (risk.when != NEVER) & ~risk.died
    if outcome.gap == "outcome":
        positive |= risk.gap
    if outcome.death == "outcome":
        positive |= risk.died
    return positive


def _each(risks: Sequence[_Risk], outcome: EventOutcome) -> Floats:
    """The label of each target by itself, (m, k)."""
    labels = []
    for risk in risks:
        positive = _positive(risk, outcome)
        left_out = (risk.gap & (outcome.gap == "exclude")) | (risk.died & (outcome.death == "leave_out"))
        labels.append(np.where(_kept(risk.followed, positive, outcome) & ~left_out, positive, np.nan))
    return np.stack(labels, axis=1)


def _kept(followed: Bools, positive: Bools, outcome: EventOutcome) -> Bools:
    """Whose label is known, as far as they were followed."""
    if outcome.follow_up == "keep_all":
        return np.ones(len(followed), np.bool_)
    return followed | positive if outcome.follow_up == "keep_outcomes" else followed


def _classes(risks: Sequence[_Risk], outcome: EventOutcome) -> Floats:
    """The class of the first event, of several at one time the first in the task; the last class where none came."""
    positive = np.stack([_positive(risk, outcome) for risk in risks], axis=1)
    when = np.stack([np.where(risk.gap & (outcome.gap == "outcome"), -NEVER, risk.when) for risk in risks], axis=1)
    first = np.argmin(np.where(positive, when, NEVER), axis=1)
    place = np.where(positive.any(axis=1), first, len(risks))
    followed = np.asarray(np.stack([risk.followed for risk in risks]).all(axis=0))
    known = _kept(followed, np.asarray(positive.any(axis=1)), outcome)
    labels = (place[:, None] == np.arange(len(risks) + 1)).astype(np.float64)
    return np.where(known[:, None], labels, np.nan)


def _days_followed(
    risks: Sequence[_Risk], labels: Floats, outcome: EventOutcome, time: Ints, observed: Observed
) -> Floats:
    if not outcome.horizons_days:
        return np.full(len(time), np.nan)
    ends, longest = np.array(outcome.horizons_days), risks[-1]
    positive = (labels == 1).any(axis=1)
    came = np.where(longest.gap, time, np.where(longest.died, longest.death, longest.when))
    to_outcome = (np.where(positive & (came != NEVER), came, time) - time) / DAY
    known = np.where(np.isnan(labels), 0.0, ends).max(axis=1, initial=0.0)
    to_end = np.clip((observed.end - time) / DAY, known, ends[-1])
    return np.where(positive, to_outcome, to_end)


def _in_the_gap(events: History, task: EventTask, subject: Ints, time: Ints, low: Ints) -> Bools:
    """Who has an outcome that was not known at the prediction time and is before the time at risk.

    From a day before the prediction time on: what is older and became known later is no matter of a missing time.
    """
    included = task.time.at_prediction_time == "included"
    after = task.outcome.from_days > 0 or not included
    start, stop = between(events, subject, time - DAY, low, closed=(False, not after))
    # Nothing is known before it happened, so that the last to become known says whether all of a range were known
    last = greatest_between(events.known, start, stop)
    found: Bools = (stop > start) & ~is_known(last, time, included)
    return found
