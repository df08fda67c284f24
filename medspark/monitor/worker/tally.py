"""What was counted of some cases of a night, and how n of them are counted. No Spark here."""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.encode.kinds.base import FIRST_ID
from medspark.encode.worker.flat import ids_of
from medspark.encode.worker.tensors import Arrays
from medspark.monitor.plan import UNIT_CELLS, Group, Plan, first_row, kept_gauges
from medspark.monitor.worker.read import (
    Floats,
    Ints,
    cell_of,
    cell_of_number,
    codes_of,
    in_its_unit,
    levels_of,
    numbers_of,
    score_cell,
    unit_counts,
)

Columns = Mapping[str, pa.Array]


class Tally(NamedTuple):
    """What was counted of some cases; tallies of other cases of one plan are added."""

    counts: Ints
    """(rows, width) of a plan."""
    units: Ints
    """(gauges with a unit, UNIT_CELLS) of all cases; numbers not above 0 are in none."""
    newest: int | None = None
    """The latest prediction time, in microseconds since 1970."""
    newest_event: int | None = None
    """The same of the events that were known; None of a table's rows, which have none."""
    kept: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
    """(m, kept gauges) of some cases what is in each gauge, NaN where it is missing."""


def empty(plan: Plan) -> Tally:
    """The tally of no case."""
    counts = np.zeros((len(plan.rows), plan.width), np.int64)
    kept = np.zeros((0, max(1, len(kept_gauges(plan)))), np.float32)
    return Tally(counts, np.zeros((len(plan.with_units), UNIT_CELLS), np.int64), kept=kept)


def together(one: Tally, other: Tally) -> Tally:
    """The tally of two parts of a night."""
    kept = [part.kept for part in (one, other) if len(part.kept)]
    rows = np.concatenate(kept) if kept else one.kept
    newest = later(one.newest, other.newest), later(one.newest_event, other.newest_event)
    return Tally(one.counts + other.counts, one.units + other.units, *newest, rows)


def later(one: int | None, other: int | None) -> int | None:
    """The later of two times, either of which may not be known."""
    return max((time for time in (one, other) if time is not None), default=None)


def packed(tally: Tally) -> str:
    """A tally as a text that a piece of the scores carries: mostly zeros, which take no room."""
    arrays = (base64.b64encode(zlib.compress(array.tobytes(), 1)).decode() for array in (*tally[:2], tally.kept))
    names = ("counts", "units", "kept")
    return json.dumps(dict(zip(names, arrays, strict=True)) | {"newest": tally.newest, "event": tally.newest_event})


def unpacked(text: str, plan: Plan) -> Tally:
    """The tally that `packed` wrote for a plan; a medspark from before wrote a list, and knew of no newest event."""
    found = json.loads(text)
    if isinstance(found, list):
        found = dict(zip(("counts", "units", "kept", "newest"), found, strict=True))
    counts, units, kept = (zlib.decompress(base64.b64decode(found[name])) for name in ("counts", "units", "kept"))
    like, width = empty(plan), max(1, len(kept_gauges(plan)))
    return Tally(
        np.frombuffer(counts, np.int64).reshape(like.counts.shape),
        np.frombuffer(units, np.int64).reshape(like.units.shape),
        found["newest"],
        found.get("event"),
        np.frombuffer(kept, np.float32).reshape(-1, width),
    )


# ---------------------------------------------------------------- n cases to counts


def tally_of(plan: Plan, tensors: Arrays, probability: Floats, columns: Columns) -> Tally:
    """What is counted of n cases, all of them; args as `observe` has them."""
    n, starts = len(probability), plan.starts
    single: list[Ints] = []
    several: list[tuple[Ints, Ints]] = []
    units: list[Ints] = []
    of_level: dict[int, Ints] = {}
    each: dict[int, npt.NDArray[Any]] = {}
    for at, gauge in enumerate(plan.gauges):
        if gauge.reads == "codes":
            row, cell = codes_of(gauge, tensors)
            several.append((row, starts[at] + cell))
        elif gauge.reads == "level":
            each[at] = of_level[at] = cell_of(levels_of(gauge, tensors), gauge.cells)
            single.append(starts[at] + of_level[at])
        else:
            each[at] = number = numbers_of(gauge, tensors)
            single.append(starts[at] + cell_of_number(number, gauge))
            if gauge.has_unit:
                units.append(unit_counts(in_its_unit(number, gauge)))
    single += [starts[-1] + score_cell(probability), np.full(n, plan.width - 1)]
    cells = np.stack(single, axis=1)
    counts = np.zeros((len(plan.rows), plan.width), np.int64)
    counts[0] = _counted(cells, several, None, plan.width)
    for group_at, group in enumerate(plan.groups):
        level = _group_ids(group, of_level, columns)
        if level is None:
            continue
        first = first_row(plan, group_at)
        for id_ in np.unique(level):
            counts[first + id_] = _counted(cells, several, level == id_, plan.width)
    found = np.stack(units) if units else np.zeros((0, UNIT_CELLS), np.int64)
    return Tally(counts, found, kept=_kept(plan, each, n))


def _kept(plan: Plan, each: Mapping[int, npt.NDArray[Any]], n: int) -> npt.NDArray[np.float32]:
    gauges = kept_gauges(plan)
    if not plan.keep or not gauges:
        return np.zeros((0, max(1, len(gauges))), np.float32)
    rows = slice(None, None, plan.keep)
    return np.stack([each[at][rows] for at in gauges], axis=1).astype(np.float32)


def _counted(cells: Ints, several: list[tuple[Ints, Ints]], chosen: npt.NDArray[np.bool_] | None, width: int) -> Ints:
    counts = np.bincount((cells if chosen is None else cells[chosen]).reshape(-1), minlength=width)
    for row, cell in several:
        counts += np.bincount(cell if chosen is None else cell[chosen[row]], minlength=width)
    return counts


def _group_ids(group: Group, of_level: Mapping[int, Ints], columns: Columns) -> Ints | None:
    """The level of each case, (n,): 0 missing, 1 other, then the group's; None where nothing says it."""
    if group.gauge is not None:
        return cell_of(of_level[group.gauge], FIRST_ID + len(group.levels))
    return ids_of(columns[group.column], group.levels).astype(np.int64) if group.column in columns else None
