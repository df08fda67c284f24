"""What happened after the prediction times: the label, and whom it is not known of. No Spark here."""

import numpy as np

from medspark.cases.worker.concepts import of_code, of_concepts
from medspark.cases.worker.history import DAY, NEVER, Bools, Floats, History, Ints, between, first_time
from medspark.cases.worker.observation import Observed
from medspark.task.event_task import EventTask
from medspark.task.population import DIED_AFTER, FOLLOW_UP


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
    if outcome.death == "outcome":
        positive = positive | died
    # Both ends count: a last day must reach past the end of the time at risk
    to_the_end = (observed.end >= high) | (observed.last_day > high)
    followed = died | to_the_end if outcome.to_days is not None else np.ones(len(time), np.bool_)
    kept = followed | (positive if outcome.follow_up == "keep_outcomes" else False)
    if outcome.follow_up == "keep_all":
        kept = np.ones(len(time), np.bool_)
    excluded = {FOLLOW_UP: ~kept, DIED_AFTER: died & (outcome.death == "leave_out")}
    return positive.astype(np.float64), excluded
