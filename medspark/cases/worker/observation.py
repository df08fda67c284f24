"""From when on, and for how long, patients are under observation. No Spark here."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from medspark.cases.worker.concepts import of_code
from medspark.cases.worker.history import EVER, NEVER, Bools, History, Ints, between, blocks, expand, first_time_known
from medspark.task.event_task import EventTask
from medspark.task.mapping import Mapping

HELD_PERIODS = 250_000
"""Openings and closings of all candidates held at once; a patient with many candidates has his periods in each."""


class Observed(NamedTuple):
    """The period of observation around each candidate's prediction time."""

    start: Ints
    """NEVER where the prediction time is in no period that was known by then."""
    end: Ints
    last_day: Ints
    """Where the end is a date, the end of that day; else the end."""


def codes_of_life(history: History, mapping: Mapping) -> Bools:
    """Which codes tell of birth, death and periods of observation, and of no care."""
    codes = {mapping.birth, mapping.death}
    if mapping.observation is not None:
        codes |= {mapping.observation.start, mapping.observation.end}
    return np.fromiter((code in codes for code in history.codes), np.bool_, len(history.codes))


def observed(history: History, task: EventTask, subject: Ints, time: Ints) -> Observed:
    """Periods that overlap or touch are one, as are those of two consecutive days.

    Without periods in the source a patient is under observation from the first event on; the last event, which nobody
    knows of before, says how far the follow-up goes.
    """
    if task.observation is None:
        events = history.of_codes(~codes_of_life(history, task.mapping))
        end = np.full(len(history.subjects), EVER)
        np.maximum.at(end, events.subject, events.time)
        # Nothing but the history that is asked for reads the start, and finding it looks at every event
        asked = task.population.history_days is not None
        start = first_time_known(events, subject, time) if asked else np.full(len(subject), EVER)
        return Observed(start, end[subject], end[subject])
    opening = of_code(history, task.observation.start)
    closing = of_code(history, task.observation.end)
    whole = _around(opening, closing, subject, time, len(history.subjects))
    # From when on is told by the periods that had become known, each candidate having its own
    return Observed(_starts_then(opening, closing, subject, time), whole.end, whole.last_day)


def _starts_then(opening: History, closing: History, subject: Ints, time: Ints) -> Ints:
    """The start of the period around each time, as far as was known then: some candidates at a time.

    All of them with all their patients' openings and closings would take their product.
    """
    ranges = [between(events, subject, EVER, time, closed=(True, True)) for events in (opening, closing)]
    counts = sum((stop - start for start, stop in ranges), np.zeros(len(subject), np.int64))
    starts = np.full(len(subject), NEVER)
    for first, after in blocks(counts, HELD_PERIODS):
        asked, by = subject[first:after], time[first:after]
        known, closed = _known_by(opening, asked, by), _known_by(closing, asked, by)
        starts[first:after] = _around(known, closed, np.arange(len(asked)), by, len(asked)).start
    return starts


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
    subject = np.concatenate([opening.subject, closing.subject])
    time, known = np.concatenate([opening.time, closing.time]), np.concatenate([opening.known, closing.known])
    step = np.repeat([1, -1], [len(opening), len(closing)])
    order = _in_turn(subject, time, known, step)
    balance = np.bincount(opening.subject, minlength=n) - np.bincount(closing.subject, minlength=n)
    of_others = np.cumsum(balance) - balance  # what the patients before each have open together
    least = np.zeros(n, np.int64)
    np.minimum.at(least, subject[order], np.cumsum(step[order]) - of_others[subject[order]])
    unopened, unclosed = np.repeat(np.arange(n), -least), np.repeat(np.arange(n), balance - least)
    ever, never = np.full(len(unopened), EVER), np.full(len(unclosed), NEVER)
    subject = np.concatenate([unopened, subject, unclosed])
    time, known = np.concatenate([ever, time, never]), np.concatenate([ever, known, never])
    step = np.concatenate([np.ones(len(unopened), np.int64), step, np.full(len(unclosed), -1)])
    order = _in_turn(subject, time, known, step)
    opened = np.cumsum(step[order])  # as many openings as closings of each patient: 0 between two patients
    starts, ends = order[(opened == 1) & (step[order] == 1)], order[opened == 0]
    return subject[starts], time[starts], time[ends], known[ends]


def _in_turn(subject: Ints, time: Ints, known: Ints, step: Ints) -> Ints:
    """The order of openings (1) and closings (-1), patient by patient.

    A period lasts to the end of its last day, so that one from the next day on goes on with it.
    """
    return np.lexsort((time, -step, np.where(step > 0, time, known), subject))
