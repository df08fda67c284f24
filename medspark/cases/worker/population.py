"""Who is a case, and when: index events and snapshots, and the criteria that exclude a candidate. No Spark here."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medspark.cases.criteria import criteria
from medspark.cases.worker.concepts import of_code, of_concepts
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
    first_known,
    first_time_known,
    had,
)
from medspark.cases.worker.observation import Observed, codes_of_life, observed
from medspark.cases.worker.outcome import outcome_of
from medspark.schemas import LABEL, PREDICTION_TIME, SUBJECT_ID
from medspark.task.event_task import EventTask
from medspark.task.population import AGE, DIED, HISTORY, STILL_AT_RISK, UNOBSERVED, WASHOUT, to_micros

OLDEST: Final = 130.0
"""Years beyond which an age is an error of the birth: nobody is known to have been 123."""


class Moments(NamedTuple):
    """The prediction times that the population's index, snapshots or labels give, by patient and time; m of them."""

    subject: Ints
    index_time: Ints
    time: Ints
    """The prediction time."""
    label: Floats | None = None
    """(m,): 1 with the outcome, 0 without, NaN where it is not known; None where events tell."""


@dataclass(frozen=True)
class Candidates:
    """The prediction times of a population, each with what becomes of it; m of them, in the order of `Moments`."""

    subject: Ints
    index_time: Ints
    time: Ints
    age: Floats
    """Years of 365.25 days, NaN where no birth is known, or an impossible one."""
    impossible: Bools
    """Whether a patient was born after the prediction time, or more than OLDEST years before."""
    excluded_by: Ints
    """Which criterion excludes each first; -1 for a case."""
    labels: Floats
    """(m, k): of each target 1 with it, 0 without, NaN where it is not known."""
    followed: Floats
    """(m,) days to the outcome or to the end of follow-up; NaN but of horizons."""


def candidates(
    history: History, task: EventTask, as_of: int | None, scoring: bool, labels: pa.Table | None = None
) -> Candidates:
    """Every candidate of the population with the criterion that excludes it, and its label unless scoring.

    Args:
        history: whole patients; cut at `as_of` where there is one.
        as_of: the time that is asked for; candidates with a later prediction time do not exist yet, and those whose
            time at risk is not over have no label yet.
        scoring: whether no outcome is read, and a snapshot is taken at `as_of`.
        labels: the population's, of these patients and others.
    """
    moments = _moments(history, task, as_of, scoring, labels)
    subject, index_time, time, label = moments
    age, impossible = _ages(of_code(history, task.mapping.birth), subject, time)
    periods = observed(history, task, subject, time)
    excluded = _excluded(history, task, moments, age, periods)
    known, followed = np.full((len(subject), len(task.outcome.targets.names)), np.nan), np.full(len(subject), np.nan)
    if label is not None:
        known = label[:, None]
    elif not scoring:
        known, followed, by_outcome = outcome_of(history, task, subject, time, periods)
        excluded |= by_outcome
        if as_of is not None:
            excluded[STILL_AT_RISK] = _is_at_risk(task, time, as_of)
    excluded_by = np.full(len(subject), -1)
    for at, criterion in reversed(list(enumerate(criteria(task, scoring, as_of)))):
        excluded_by[excluded[criterion.name]] = at
    left = excluded_by >= 0
    known[left], followed[left] = np.nan, np.nan
    return Candidates(subject, index_time, time, age, impossible, excluded_by, known, followed)


def _is_at_risk(task: EventTask, time: Ints, as_of: int) -> Bools:
    """Whose time at risk is not over: those with an early outcome too, or what is learned would be too high a risk."""
    last = task.outcome.ends[-1]
    over: Bools = np.zeros(len(time), np.bool_) if last is None else time + round(last * DAY) <= as_of
    return ~over


def _ages(births: History, subject: Ints, time: Ints) -> tuple[Floats, Bools]:
    """Ages at the prediction times, and which births are impossible."""
    born = first_time_known(births, subject, time)
    age = np.where(born != NEVER, (time - np.minimum(born, time)) / (DAY * YEAR_DAYS), np.nan)
    first = np.full(len(births.subjects), EVER)
    having, at = np.unique(births.subject, return_index=True)  # a patient's events are sorted by time
    first[having] = births.time[at]
    impossible = (age > OLDEST) | (first[subject] > time)
    return np.where(impossible, np.nan, age), impossible


def _moments(history: History, task: EventTask, as_of: int | None, scoring: bool, labels: pa.Table | None) -> Moments:
    if labels is not None and not scoring:
        return _labelled(history, labels, _first_seen(history, task), NEVER if as_of is None else as_of)
    subject, index_time = _indexed(history, task, as_of if scoring else None)
    time = index_time + round(task.population.predict_after_hours * HOUR)
    if as_of is None:
        return Moments(subject, index_time, time)
    there = time <= as_of
    return Moments(subject[there], index_time[there], time[there])


def _first_seen(history: History, task: EventTask) -> Ints:
    """When the first event of each patient became known, births, deaths and periods of observation aside."""
    return first_known(history.of_codes(~codes_of_life(history, task.mapping)))


_PLACE: Final = "_place"


def _labelled(history: History, labels: pa.Table, seen: Ints, until: int) -> Moments:
    """The labels up to a time of those of these patients of whom something was known by then, first at `seen`."""
    place = pc.index_in(labels[SUBJECT_ID], history.subjects.cast(pa.string()))
    there = pc.and_(pc.is_valid(place), pc.less_equal(labels[PREDICTION_TIME], until))
    found = labels.append_column(_PLACE, place).filter(there)
    found = found.sort_by([(_PLACE, "ascending"), (PREDICTION_TIME, "ascending")])
    subject, time = found[_PLACE].to_numpy().astype(np.int64), found[PREDICTION_TIME].to_numpy()
    label = pc.fill_null(found[LABEL].cast(pa.float64()), np.nan).to_numpy()
    known = seen[subject] <= time
    return Moments(subject[known], time[known], time[known], label[known])


def _indexed(history: History, task: EventTask, as_of: int | None) -> tuple[Ints, Ints]:
    """Patients and index times, sorted, each pair once."""
    population = task.population
    if population.index is None:
        texts = population.snapshot.at if population.snapshot is not None else ()
        times = [as_of] if as_of is not None else sorted({to_micros(text) for text in texts})
        seen = _first_seen(history, task)
        there = [np.flatnonzero(seen <= at) for at in times]
        subject = np.concatenate(there)
        index_time = np.repeat(np.array(times, np.int64), [len(found) for found in there])
        order = np.lexsort((index_time, subject))
        return subject[order], index_time[order]
    events = of_concepts(history, population.index.event, task.concepts)
    key = events.subject if population.index.take == "first" else events.place
    _, at = np.unique(key, return_index=True)
    return events.subject[at], events.time[at]


def _excluded(history: History, task: EventTask, moments: Moments, age: Floats, periods: Observed) -> dict[str, Bools]:
    """For each criterion but the outcome's which candidates it excludes, by what was known at the prediction time."""
    population, concepts = task.population, task.concepts
    included = task.time.at_prediction_time == "included"
    subject, index_time, time, _ = moments

    def had_by_then(events: History, low: Ints | int) -> Bools:
        return had(events, subject, low, time, closed=(True, included), by=time, included=included)

    excluded = {DIED: had_by_then(of_code(history, task.mapping.death), EVER), UNOBSERVED: periods.start == NEVER}
    if population.washout_days is not None and population.index is not None:
        events = of_concepts(history, population.index.event, concepts)
        low = index_time - round(population.washout_days * DAY)
        excluded[WASHOUT] = had(events, subject, low, index_time, closed=(True, False), by=time, included=included)
    if population.history_days is not None:
        excluded[HISTORY] = ~(periods.start <= time - round(population.history_days * DAY))
    youngest = -np.inf if population.age_at_least is None else population.age_at_least
    oldest = np.inf if population.age_at_most is None else population.age_at_most
    excluded[AGE] = ~((age >= youngest) & (age <= oldest))
    for required in population.require:
        low = _days_before(time, required.within_days)
        excluded[required.name] = ~had_by_then(of_concepts(history, (required.had,), concepts), low)
    for exclusion in population.exclude:
        low = _days_before(time, exclusion.within_days)
        if exclusion.after_index:
            low = np.maximum(low, index_time + 1)
        excluded[exclusion.name] = had_by_then(of_concepts(history, (exclusion.had,), concepts), low)
    return excluded


def _days_before(time: Ints, days: float | None) -> Ints:
    return np.full(len(time), EVER) if days is None else time - round(days * DAY)
