"""Which codes a concept, or a group of features, has."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medspark.cases.worker.history import Bools, History, Ints
from medspark.schemas import AGE, CODE
from medspark.task.event_task import EventTask
from medspark.task.population import Concept


def has_concept(codes: list[str], concept: Concept) -> Bools:
    """For each code whether it is in the concept.

    >>> has_concept(["DX/I10", "DX/I50", "LAB/1"], Concept(codes=("LAB/1",), prefixes=("DX/I1",))).tolist()
    [True, False, True]
    """
    wanted = set(concept.codes)
    return np.fromiter((code in wanted or code.startswith(concept.prefixes) for code in codes), np.bool_, len(codes))


def as_concept(name: str, concepts: dict[str, Concept]) -> Concept:
    """A concept of the task by name, or what begins with `name` where that ends in /."""
    return concepts[name] if name in concepts else Concept(prefixes=(name,))


def of_concepts(history: History, names: Iterable[str], concepts: dict[str, Concept]) -> History:
    """The events of any of some concepts, or of what begins with a name that ends in /."""
    wanted = [has_concept(history.codes, as_concept(name, concepts)) for name in names]
    return history.of_codes(np.logical_or.reduce(wanted))


def of_code(history: History, code: str) -> History:
    """The events of one code."""
    return history.of_codes(np.fromiter((name == code for name in history.codes), np.bool_, len(history.codes)))


def group_names(codes: list[str], of: Iterable[str], concepts: dict[str, Concept]) -> tuple[Ints, list[str]]:
    """For each code its place among a group's names, -1 outside the group; a concept `as_one` is one name.

    A code that several of `of` have goes to the first that is `as_one`.

    >>> sugar = Concept(codes=("LAB/2", "LAB/3"), as_one=True)
    >>> places, names = group_names(["DX/1", "LAB/1", "LAB/2", "LAB/3"], ["LAB/", "sugar"], {"sugar": sugar})
    >>> places.tolist(), names
    ([-1, 0, 1, 1], ['LAB/1', 'sugar'])
    """
    named: list[str | None] = [None] * len(codes)
    sets = {name: as_concept(name, concepts) for name in of}
    for name, concept in sorted(sets.items(), key=lambda item: not item[1].as_one):
        for at in np.flatnonzero(has_concept(codes, concept)):
            named[at] = named[at] or (name if concept.as_one else codes[at])
    names = sorted({name for name in named if name is not None})
    places = {name: at for at, name in enumerate(names)}
    return np.array([-1 if name is None else places[name] for name in named], np.int64), names


def concept_read(task: EventTask) -> Concept | None:
    """The events that any part of the task reads, of which alone a worker need hear; None where that is all of them."""
    mapping, population = task.mapping, task.population
    followed = any(end is not None for end in task.outcome.ends)
    if task.observation is None and (population.history_days is not None or followed):
        return None  # observed from the first event, followed to the last, whatever they are
    if population.index is None:
        return None  # everybody with any event
    names = [*task.outcome.concepts().values(), *task.features.reads(), *(rule.had for rule in population.require)]
    names += [rule.had for rule in population.exclude]
    sets = [as_concept(name, task.concepts) for name in [*population.index.event, *names]]
    first_parts = [f"{mapping.demographics[name]}/" for name in task.features.demographics if name != AGE]
    own = [mapping.birth, mapping.death]
    own += [task.observation.start, task.observation.end] if task.observation is not None else []
    sets.append(Concept(codes=tuple(own), prefixes=tuple(first_parts)))
    codes = {code for concept in sets for code in concept.codes}
    prefixes = {prefix for concept in sets for prefix in concept.prefixes}
    return Concept(codes=tuple(sorted(codes)), prefixes=tuple(sorted(prefixes)))


def events_read(events: pa.Table, concept: Concept | None) -> pa.Table:
    """The events of a concept; all of them without one."""
    if concept is None:
        return events
    codes = pc.dictionary_encode(events[CODE].combine_chunks())
    wanted = has_concept(codes.dictionary.to_pylist(), concept)
    return events.filter(pa.array(wanted[codes.indices.to_numpy()]))
