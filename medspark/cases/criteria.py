"""Every reason that a candidate is no case, in the order applied."""

from typing import NamedTuple

from medspark.task.event_task import EventTask
from medspark.task.population import (
    AGE,
    DIED,
    DIED_AFTER,
    FOLLOW_UP,
    GAP,
    HISTORY,
    STILL_AT_RISK,
    UNOBSERVED,
    WASHOUT,
)


class Criterion(NamedTuple):
    """A reason that a candidate is no case."""

    name: str
    because: str


def criteria(task: EventTask, scoring: bool, as_of: int | None = None) -> list[Criterion]:
    """Every criterion of a task in the order they are applied; those of the outcome's follow-up only to learn, and
    not of labels.

    Args:
        task: whose they are.
        scoring: whether no outcome is read.
        as_of: the time that histories are cut at.
    """
    population, outcome = task.population, task.outcome
    found = []
    if population.washout_days is not None:
        found.append(Criterion(WASHOUT, f"within {population.washout_days:g} days"))
    found.append(Criterion(DIED, "no risk is asked for after death"))
    if task.observation is not None or population.history_days is not None:
        found.append(Criterion(UNOBSERVED, "the prediction time is in no period of observation"))
    if population.history_days is not None:
        found.append(Criterion(HISTORY, f"under observation for less than {population.history_days:g} days before"))
    if population.age_at_least is not None or population.age_at_most is not None:
        found.append(Criterion(AGE, "outside the ages of the task, or unknown"))
    found += [Criterion(rule.name, rule.because) for rule in population.require]
    found += [Criterion(rule.name, rule.because) for rule in population.exclude]
    if scoring or outcome.label is not None:
        return found
    if as_of is not None:
        found.append(Criterion(STILL_AT_RISK, "what was seen by then would be the early outcomes alone"))
    if outcome.gap == "exclude":
        found.append(Criterion(GAP, f"between what was known and day {outcome.from_days:g}"))
    if outcome.death == "leave_out":
        found.append(Criterion(DIED_AFTER, "death competes with the outcome"))
    # With horizons those not followed so far stand beside the others, and are weighed in through these
    everybody = outcome.follow_up == "keep_all" or bool(outcome.horizons_days and outcome.follow_up == "keep_outcomes")
    if outcome.ends[-1] is not None and not everybody:
        found.append(Criterion(FOLLOW_UP, f"not observed for {outcome.ends[-1]:g} days after"))
    return found
