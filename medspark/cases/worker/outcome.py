"""What happened after the prediction times: the label, and whom it is not known of. No Spark here."""

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
    expand,
    first_time,
    is_known,
)
from medspark.cases.worker.observation import Observed
from medspark.task.event_task import EventTask
from medspark.task.population import DIED_AFTER, FOLLOW_UP, GAP


def outcome_of(
    history: History, task: EventTask, subject: Ints, time: Ints, observed: Observed
) -> tuple[Floats, dict[str, Bools]]:
    """The label of each candidate, and for each of the outcome's criteria which candidates it excludes."""
    outcome = task.outcome
    death = first_time(of_code(history, task.mapping.death), NEVER)[subject]
    low = time + round(outcome.from_days * DAY)
    high = np.full(len(time), NEVER) if outcome.to_days is None else time + round(outcome.to_days * DAY)
    # What is history cannot be predicted: an event at the prediction time is on one side of it only
    after = outcome.from_days > 0 or task.time.at_prediction_time == "excluded"
    events = of_concepts(history, (outcome.event,), task.concepts)
    start, stop = between(events, subject, low, high, closed=(after, True))
    seen = stop > start
    when = np.full(len(time), NEVER)
    when[seen] = events.time[start[seen]]
    # A death is often a date: an outcome within a day after it counts as before it
    died = (death <= high) & (death != NEVER) & (death < when - np.where(seen, DAY, 0))
    positive = seen & ~died
    gap = _in_the_gap(events, task, subject, time, low)
    if outcome.gap == "outcome":
        positive = positive | gap
    if outcome.death == "outcome":
        positive = positive | died
    # Both ends count: a last day must reach past the end of the time at risk
    to_the_end = (observed.end >= high) | (observed.last_day > high)
    followed = died | to_the_end if outcome.to_days is not None else np.ones(len(time), np.bool_)
    kept = followed | (positive if outcome.follow_up == "keep_outcomes" else False)
    if outcome.follow_up == "keep_all":
        kept = np.ones(len(time), np.bool_)
    excluded = {GAP: gap & (outcome.gap == "exclude"), FOLLOW_UP: ~kept}
    excluded[DIED_AFTER] = died & (outcome.death == "leave_out")
    return positive.astype(np.float64), excluded


def _in_the_gap(events: History, task: EventTask, subject: Ints, time: Ints, low: Ints) -> Bools:
    """Who has an outcome that was not known at the prediction time and is before the time at risk.

    From a day before the prediction time on: what is older and became known later is no matter of a missing time.
    """
    included = task.time.at_prediction_time == "included"
    after = task.outcome.from_days > 0 or not included
    start, stop = between(events, subject, time - DAY, low, closed=(False, not after))
    at, owner = expand(start, stop)
    by = time[owner]
    known = is_known(events.time[at], by, included) & is_known(events.known[at], by, included)
    found: Bools = np.bincount(owner[~known], minlength=len(subject)) > 0
    return found
