"""Who is a case, when, and what happened: index events, criteria, the outcome. No Spark here."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from medspark.cases.criteria import criteria
from medspark.cases.worker.concepts import as_concept, has_concept
from medspark.cases.worker.history import (
    DAY,
    EVER,
    HOUR,
    NEVER,
    YEAR_DAYS,
    Bools,
    Floats,
    History,
    Ints,
    between,
    expand,
    first_known,
    first_time,
    first_time_known,
    had,
)
from medspark.task.event_task import EventTask
from medspark.task.mapping import Mapping
from medspark.task.population import AGE, DIED, DIED_AFTER, FOLLOW_UP, HISTORY, UNOBSERVED, WASHOUT, to_micros


@dataclass(frozen=True)
class Candidates:
    """The prediction times that the population's index or snapshots give, sorted by patient and time; m of them."""

    subject: Ints
    index_time: Ints
    time: Ints
    """The prediction time."""
    age: Floats
    """Years of 365.25 days, NaN where no birth is known."""
    unmet: Ints
    """Which criterion takes each out first; -1 for a case."""
    label: Floats
    """1 with the outcome, 0 without, NaN where it is not known."""


def candidates(history: History, task: EventTask, as_of: int | None, scoring: bool) -> Candidates:
    """Every candidate of the population with the criterion that takes it out, and its label unless scoring.

    Args:
        history: whole patients; cut at `as_of` where there is one.
        as_of: the time that a scoring run asks for; candidates with a later prediction time do not exist yet.
    """
    mapping = task.mapping
    subject, index_time = _indexed(history, task, as_of)
    time = index_time + round(task.population.predict_after_hours * HOUR)
    if as_of is not None:
        there = time <= as_of
        subject, index_time, time = subject[there], index_time[there], time[there]
    born = first_time_known(history.of_codes(_is(history, mapping.birth)), subject, time)
    age = np.where(born != NEVER, (time - np.minimum(born, time)) / (DAY * YEAR_DAYS), np.nan)
    periods = _observed(history, task, subject, time)
    failed = _failed(history, task, subject, index_time, time, age, periods.start)
    label = np.full(len(subject), np.nan)
    if not scoring:
        death = first_time(history.of_codes(_is(history, mapping.death)), NEVER)[subject]
        label, dropped = _outcome(history, task, subject, time, death, periods)
        failed |= dropped
    unmet = np.full(len(subject), -1)
    for at, criterion in reversed(list(enumerate(criteria(task, scoring)))):
        unmet[failed[criterion.name]] = at
    return Candidates(subject, index_time, time, age, unmet, np.where(unmet < 0, label, np.nan))


def _is(history: History, code: str) -> Bools:
    return np.fromiter((name == code for name in history.codes), np.bool_, len(history.codes))


def _of_concept(history: History, name: str, task: EventTask) -> History:
    return _of_concepts(history, (name,), task)


def _of_concepts(history: History, names: tuple[str, ...], task: EventTask) -> History:
    wanted = [has_concept(history.codes, as_concept(name, task.concepts)) for name in names]
    return history.of_codes(np.logical_or.reduce(wanted))


def _indexed(history: History, task: EventTask, as_of: int | None) -> tuple[Ints, Ints]:
    """Patients and index times, sorted, each pair once."""
    population = task.population
    if population.snapshot is not None:
        times = [as_of] if as_of is not None else sorted({to_micros(text) for text in population.snapshot.at})
        seen = first_known(history.of_codes(~_of_life(history, task.mapping)))
        there = [np.flatnonzero(seen <= at) for at in times]
        subject = np.concatenate(there)
        index_time = np.repeat(np.array(times, np.int64), [len(found) for found in there])
        order = np.lexsort((index_time, subject))
        return subject[order], index_time[order]
    assert population.index is not None
    events = _of_concepts(history, population.index.event, task)
    key = events.subject if population.index.take == "first" else events.place
    _, at = np.unique(key, return_index=True)
    return events.subject[at], events.time[at]


def _failed(
    history: History,
    task: EventTask,
    subject: Ints,
    index_time: Ints,
    time: Ints,
    age: Floats,
    observed_from: Ints,
) -> dict[str, Bools]:
    """For each criterion but the outcome's, which candidates it takes out, by what was known at the prediction time."""
    population = task.population
    included = task.time.at_prediction_time == "included"
    deaths = history.of_codes(_is(history, task.mapping.death))
    failed = {
        DIED: had(deaths, subject, EVER, time, closed=(True, included), by=time, included=included),
        UNOBSERVED: observed_from == NEVER,
    }
    if population.washout_days is not None and population.index is not None:
        events = _of_concepts(history, population.index.event, task)
        low = index_time - round(population.washout_days * DAY)
        failed[WASHOUT] = had(events, subject, low, index_time, closed=(True, False), by=time, included=included)
    if population.history_days is not None:
        failed[HISTORY] = ~(observed_from <= time - round(population.history_days * DAY))
    youngest = -np.inf if population.age_at_least is None else population.age_at_least
    oldest = np.inf if population.age_at_most is None else population.age_at_most
    failed[AGE] = ~((age >= youngest) & (age <= oldest))
    for required in population.require:
        events, low = _of_concept(history, required.had, task), _days_before(time, required.within_days)
        failed[required.name] = ~had(events, subject, low, time, closed=(True, included), by=time, included=included)
    for excluded in population.exclude:
        events, low = _of_concept(history, excluded.had, task), _days_before(time, excluded.within_days)
        if excluded.after_index:
            low = np.maximum(low, index_time + 1)
        failed[excluded.name] = had(events, subject, low, time, closed=(True, included), by=time, included=included)
    return failed


def _days_before(time: Ints, days: float | None) -> Ints:
    return np.full(len(time), EVER) if days is None else time - round(days * DAY)


class Observed(NamedTuple):
    """The period of observation around each candidate's prediction time."""

    start: Ints
    """NEVER where the prediction time is in no period that was known by then."""
    end: Ints
    last_day: Ints
    """Where the end is a date, the end of that day; else the end."""


def _of_life(history: History, mapping: Mapping) -> Bools:
    """Which codes tell of birth, death and periods of observation, and of no care."""
    codes = {mapping.birth, mapping.death}
    if mapping.observation is not None:
        codes |= {mapping.observation.start, mapping.observation.end}
    return np.fromiter((code in codes for code in history.codes), np.bool_, len(history.codes))


def _observed(history: History, task: EventTask, subject: Ints, time: Ints) -> Observed:
    """Periods that overlap or touch are one, as are those of two consecutive days.

    Without periods in the source a patient is under observation from the first event on; the last event, which nobody
    knows of before, says how far the follow-up goes.
    """
    mapping = task.mapping
    if mapping.observation is None:
        events = history.of_codes(~_of_life(history, mapping))
        end = np.full(len(history.subjects), EVER)
        np.maximum.at(end, events.subject, events.time)
        # Nothing but the history that is asked for reads the start, and finding it looks at every event
        asked = task.population.history_days is not None
        start = first_time_known(events, subject, time) if asked else np.full(len(subject), EVER)
        return Observed(start, end[subject], end[subject])
    opening = history.of_codes(_is(history, mapping.observation.start))
    closing = history.of_codes(_is(history, mapping.observation.end))
    whole = _around(opening, closing, subject, time, len(history.subjects))
    # From when on is told by the periods that had become known, each candidate having its own
    known, closed = _known_by(opening, subject, time), _known_by(closing, subject, time)
    then = _around(known, closed, np.arange(len(subject)), time, len(subject))
    return Observed(then.start, whole.end, whole.last_day)


def _known_by(events: History, subject: Ints, time: Ints) -> History:
    """For each candidate the events known by its time, as those of a patient of its own."""
    start, stop = between(events, subject, EVER, time, closed=(True, True))
    at, owner = expand(start, stop)
    in_time = events.known[at] <= time[owner]
    at, owner = at[in_time], owner[in_time]
    place = owner * len(events.clock) + np.searchsorted(events.clock, events.time[at])
    return replace(events.pick(at), subject=owner, place=place)


def _around(opening: History, closing: History, subject: Ints, time: Ints, patients: int) -> Observed:
    """The period around each time, as far as these openings and closings tell."""
    owner, starts, ends, last_days = _periods(opening, closing, patients)
    # The last period that starts by then, found by patient and rank of time as events are
    place = owner * len(opening.clock) + np.searchsorted(opening.clock, starts)
    events = replace(opening, subject=owner, time=starts, place=place)
    first, after = between(events, subject, EVER, time, closed=(True, True))
    at = after - 1
    inside = (after > first) & (np.append(last_days, EVER)[at] >= time)
    return Observed(
        np.where(inside, np.append(starts, EVER)[at], NEVER),
        np.where(inside, np.append(ends, EVER)[at], EVER),
        np.where(inside, np.append(last_days, EVER)[at], EVER),
    )


def _periods(opening: History, closing: History, n: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Patient, start, end and the end of the last day of each period of n patients, joined ones as one.

    A period that nothing closes is still open; one that nothing opened began before everything.
    """
    more = np.bincount(opening.subject, minlength=n) - np.bincount(closing.subject, minlength=n)
    unclosed, unopened = np.repeat(np.arange(n), np.maximum(more, 0)), np.repeat(np.arange(n), np.maximum(-more, 0))
    never, ever = np.full(len(unclosed), NEVER), np.full(len(unopened), EVER)
    subject = np.concatenate([opening.subject, unopened, closing.subject, unclosed])
    time = np.concatenate([opening.time, ever, closing.time, never])
    known = np.concatenate([opening.known, ever, closing.known, never])
    step = np.repeat([1, -1], [len(opening) + len(unopened), len(closing) + len(unclosed)])
    # A period lasts to the end of its last day, so that one from the next day on goes on with it
    order = np.lexsort((time, -step, np.where(step > 0, time, known), subject))
    opened = np.cumsum(step[order])  # as many openings as closings of each patient: 0 between two patients
    starts, ends = order[(opened == 1) & (step[order] == 1)], order[opened == 0]
    return subject[starts], time[starts], time[ends], known[ends]


def _outcome(
    history: History, task: EventTask, subject: Ints, time: Ints, death: Ints, observed: Observed
) -> tuple[Floats, dict[str, Bools]]:
    """The label of each candidate, and which ones the outcome's criteria take out."""
    outcome = task.outcome
    low = time + round(outcome.from_days * DAY)
    high = np.full(len(time), NEVER) if outcome.to_days is None else time + round(outcome.to_days * DAY)
    # What is history cannot be predicted: an event at the prediction time is on one side of it only
    after = outcome.from_days > 0 or task.time.at_prediction_time == "excluded"
    events = _of_concept(history, outcome.event, task)
    start, stop = between(events, subject, low, high, closed=(after, True))
    seen = stop > start
    when = np.full(len(time), NEVER)
    when[seen] = events.time[start[seen]]
    # A death is often a date: an outcome within a day after it counts as before it
    died = (death <= high) & (death != NEVER) & (death < when - np.where(seen, DAY, 0))
    positive = seen & ~died
    if outcome.death == "outcome":
        positive = positive | died
    # Both ends count: a last day must reach past the end of the time at risk
    to_the_end = (observed.end >= high) | (observed.last_day > high)
    followed = died | to_the_end if outcome.to_days is not None else np.ones(len(time), np.bool_)
    kept = followed | (positive if outcome.follow_up == "keep_outcomes" else False)
    if outcome.follow_up == "keep_all":
        kept = np.ones(len(time), np.bool_)
    dropped = {FOLLOW_UP: ~kept, DIED_AFTER: died & (outcome.death == "leave_out")}
    return positive.astype(np.float64), dropped
