"""What a clinician reads of a history: each code's numbers, events and when they were, grids by hour. No Spark here."""

import numpy as np

from medspark.encode.inputs import NUMERIC
from medspark.encode.kinds.base import FIRST_ID
from medspark.encode.kinds.events import (
    BINS_PREFIX,
    GRID_PREFIX,
    NO_BIN,
    NUMBERS_PREFIX,
    PRESENCE,
    SINCE_PREFIX,
    TIMES_PREFIX,
    TOKENS_PREFIX,
    GridStatistics,
    SequenceStatistics,
    ValuesStatistics,
)
from medspark.encode.worker.events import LOG_HOURS
from medspark.encode.worker.tensors import Arrays
from medspark.score.worker.explanations.about import MISSING, PRESENT, About, Said, said_of_code
from medspark.score.worker.explanations.layout import Block, Ints
from medspark.score.worker.explanations.numbers import ago, drawn_out, shown, unscaled

HOURS = {"time_since", "time_since_first"}
"""Takes that are so many hours."""


def say_values(
    feature: ValuesStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    takes, each = len(feature.takes), len(feature.numbers)
    code, take = np.divmod(items - block.first, takes)
    first = block.number + code * each
    scaled = tensors[NUMERIC][rows, first + take]
    presence = feature.numbers.index(PRESENCE) if feature.marks_presence else None
    there = tensors[NUMERIC][rows, first + presence] > 0 if presence is not None else np.ones(len(rows), np.bool_)
    found: list[Said] = []
    for one, at, number, is_there in zip(code.tolist(), take.tolist(), scaled.tolist(), there.tolist(), strict=True):
        name = feature.takes[at]
        item = f"{feature.codes[one]}, {name.replace('_', ' ')}"
        knots = feature.knots[one][at] if feature.knots else ()
        value = unscaled(number, feature.scaling, feature.center[one][at], feature.scale[one][at], knots)
        unit = "hours" if name in HOURS else about.facts.units.get(feature.codes[one])
        found.append((item, shown(float(value), unit) if is_there else MISSING))
    return found


def say_events(
    feature: SequenceStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    """Each event's code, which event of those that the network reads it is, when it was, and its number."""
    place, name = items - block.first, feature.column
    every = tensors[TOKENS_PREFIX + name][rows]
    count, before = (every != 0).sum(axis=1), (every != 0).cumsum(axis=1)[np.arange(len(rows)), place]
    tokens = every[np.arange(len(rows)), place]
    hours = np.expm1(tensors[TIMES_PREFIX + name][rows, place].astype(np.float64) * LOG_HOURS)
    numbers = tensors[NUMBERS_PREFIX + name][rows, place].astype(np.float64)
    has = numbers != 0
    if feature.knots is not None:
        has = tensors[BINS_PREFIX + name][rows, place] != NO_BIN
    if feature.scaling == "smooth":
        numbers = drawn_out(numbers)
    found: list[Said] = []
    for at, token in enumerate(tokens.tolist()):
        item, called = said_of_code(token, feature.codes, about)
        value = f"event {before[at]} of {count[at]}, {ago(hours[at])}"
        if has[at] and token >= FIRST_ID:
            code = token - FIRST_ID
            unit = about.facts.units.get(feature.codes[code])
            value = f"{shown(feature.mean[code] + numbers[at] * feature.scale[code], unit)}, {value}"
        found.append((item, value if called in (PRESENT, MISSING) else f"{called}, {value}"))
    return found


def say_grids(
    feature: GridStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    """Each code's number at a step, or the last one before it, and when that step was."""
    codes = len(feature.codes)
    step, code = np.divmod(items - block.first, codes)
    cells = tensors[GRID_PREFIX + feature.column].reshape(-1, feature.steps, 2, codes)[rows, step, :, code]
    since = np.zeros(len(rows))
    if feature.carried:
        every = np.asarray(tensors[SINCE_PREFIX + feature.column], np.float64)
        since = every.reshape(-1, feature.steps, codes)[rows, step, code]
    numbers = drawn_out(cells[:, 0]) if feature.scaling == "smooth" else cells[:, 0].astype(np.float64)
    found: list[Said] = []
    for at, one in enumerate(code.tolist()):
        name = feature.codes[one]
        when = ago((feature.steps - 1 - int(step[at])) * about.facts.hours.get(feature.column, 1.0))
        number = shown(feature.mean[one] + numbers[at] * feature.scale[one], about.facts.units.get(name))
        if cells[at, 1] <= 0:
            number = MISSING if since[at] >= 1 or not feature.carried else f"{number} from before"
        found.append((name, f"{number}, {when}"))
    return found
