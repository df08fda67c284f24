"""Rules across the sections of an event task: one function each."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from medspark.errors import did_you_mean
from medspark.schemas import AGE, CASE_COLUMNS, INDEX_TIME
from medspark.task.checks.mapping import deletions_are_of_fhir, mapping_zone_exists, tables_are_sound, values_have_units
from medspark.task.checks.shared import changed
from medspark.task.event_task import EventTask
from medspark.task.population import BUILT_IN_CRITERIA


def concepts_exist(task: EventTask) -> Iterator[str]:
    population = task.population
    used = [(f"outcome.{place}", name) for place, name in task.outcome.concepts().items()]
    used += [("population.index.event", name) for name in (population.index.event if population.index else ())]
    used += [(f"population.require.{rule.name}", rule.had) for rule in population.require]
    used += [(f"population.exclude.{rule.name}", rule.had) for rule in population.exclude]
    used += [(f"features.{column.name}", name) for column in task.features.columns() for name in column.group.of]
    for where, name in dict.fromkeys(used):
        if name not in task.concepts and not name.endswith("/"):
            hint = did_you_mean(name, task.concepts)
            yield f"{where}: {name!r} is neither a concept of this task nor the first part of codes, as LAB/.{hint}"
    for name in task.concepts.keys() - {name for _, name in used}:
        yield f"concepts.{name}: nothing reads it"


def concept_tables_exist(task: EventTask) -> Iterator[str]:
    mapping = task.mapping
    for name, concept in task.concepts.items() if mapping.concepts is None else ():
        if concept.mapped or (concept.descendants and mapping.code_metadata is None):
            yield f"concepts.{name}: the mapping {task.source.mapping!r} names no tables that relate concepts"


def times_are_sound(task: EventTask) -> Iterator[str]:
    for text in task.population.snapshot.at if task.population.snapshot is not None else ():
        try:
            datetime.fromisoformat(text)
        except ValueError:
            yield f"population.snapshot.at: expected a time such as 2015-01-01T00:00:00, received {text!r}"


def criteria_have_names(task: EventTask) -> Iterator[str]:
    names = [rule.name for rule in task.population.require] + [rule.name for rule in task.population.exclude]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"population: two criteria are named {name!r}; counts need one name each"
    for name in names:
        if name in BUILT_IN_CRITERIA:
            yield f"population: the name {name!r} is kept for a criterion of medspark's own"


_OF_EVENTS = {"from_days", "to_days", "follow_up", "gap", "death"}


def settings_do_something(task: EventTask) -> Iterator[str]:
    population, outcome = task.population, task.outcome
    if population.index is not None and population.index.take == "first" and population.washout_days is not None:
        yield "population.washout_days: a first event has none before it; use it with `take: every`"
    end = min(outcome.ends, key=lambda day: math.inf if day is None else day)
    if end is None and outcome.follow_up != "keep_outcomes" and outcome.label is None:
        yield "outcome.follow_up: without to_days there is no end to follow to"
    if outcome.horizons_days and outcome.follow_up == "keep_all":
        yield "outcome.follow_up: with horizons nobody is taken for negative before they were followed so far"
    if end is not None and end <= outcome.from_days:
        below = "the first of horizons_days" if outcome.horizons_days else "to_days"
        yield f"outcome: expected from_days below {below}, received {outcome.from_days:g} to {end:g}"
    if population.index is None and any(rule.after_index for rule in population.exclude):
        yield "population.exclude: after_index is of an index event, and there is none"
    if outcome.label is not None and (unread := sorted(changed(outcome) & _OF_EVENTS)):
        yield f"outcome.{', '.join(unread)}: of events after the prediction time, and labels say what came"
    if population.observed_by is not None and task.mapping.observation is None:
        yield "population.observed_by: the mapping names no periods, so patients are observed by events anyway"
    if changed(task.network.images):
        yield "network.images: only a table task has images"
    youngest, oldest = population.age_at_least, population.age_at_most
    if youngest is not None and oldest is not None and youngest > oldest:
        yield f"population: expected age_at_least up to age_at_most, received {youngest:g} and {oldest:g}"


def features_are_sound(task: EventTask) -> Iterator[str]:
    columns = [column.name for column in task.features.columns()]
    if not columns and not task.features.demographics:
        yield "features: expected at least one feature, received none"
    kept = {*CASE_COLUMNS, *task.outcome.targets.labels, INDEX_TIME, AGE, *task.features.demographics}
    for name in sorted({name for name in columns if columns.count(name) > 1 or name in kept}):
        yield f"features: the column {name!r} would stand twice; rename a group"


def demographics_exist(task: EventTask) -> Iterator[str]:
    known = [AGE, *task.mapping.demographics]
    for name in task.features.demographics:
        if name not in known:
            yield f"features.demographics: {name!r} is none of {', '.join(known)}.{did_you_mean(name, known)}"
    for name in task.report.subgroups:
        if name == AGE or name not in task.features.demographics:
            hint = did_you_mean(name, task.features.demographics)
            yield f"report.subgroups: expected a demographic of the features with levels, received {name!r}.{hint}"


EVENT_RULES: tuple[Callable[[EventTask], Iterator[str]], ...] = (
    mapping_zone_exists,
    tables_are_sound,
    deletions_are_of_fhir,
    values_have_units,
    concepts_exist,
    concept_tables_exist,
    times_are_sound,
    criteria_have_names,
    settings_do_something,
    features_are_sound,
    demographics_exist,
)
