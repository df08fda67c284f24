"""Which codes a concept, or a group of features, has."""

from collections.abc import Iterable

import numpy as np

from medspark.cases.worker.history import Bools, History, Ints
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
