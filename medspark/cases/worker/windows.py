"""What a case's history says, group by group: all windows and numbers of a group from one sorted array. No Spark here.

A window holds the events from its length before the prediction time, that included, up to the prediction time, which
the task includes or not, as far as they were known by then. Numbers at one time are taken from the lowest up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.cases.worker.concepts import group_names
from medspark.cases.worker.history import (
    DAY,
    EVER,
    HOUR,
    Bools,
    Floats,
    History,
    Ints,
    between,
    blocks,
    expand,
    is_known,
)
from medspark.task.features import GridGroup, GroupColumn, SequenceGroup, ValuesGroup
from medspark.task.population import Concept

EXPANDED_EVENTS = 1_000_000
"""Events of all cases held at once; a patient with many cases has his events in each."""


@dataclass(frozen=True)
class Cases:
    """The prediction times (m,) whose features are wanted, sorted by patient and time."""

    subject: Ints
    time: Ints


@dataclass(frozen=True)
class Rows:
    """The known events of each case, by case, then in the history's order."""

    cases: int
    case: Ints
    code: Ints
    time: Ints
    number: Floats
    before: Ints
    """From the event to the prediction time, microseconds."""

    def pick(self, which: Bools | Ints) -> "Rows":
        return Rows(
            self.cases, self.case[which], self.code[which], self.time[which], self.number[which], self.before[which]
        )


def group_columns(
    history: History, cases: Cases, columns: list[GroupColumn], concepts: dict[str, Concept], *, included: bool
) -> list[pa.Array]:
    """The columns of m cases, in the order of `columns`.

    Returns:
        codes: list<string>, the codes of the window, sorted. values: map<string, struct<take: double>>, by code.
        sequence: list<struct<code, hours_before: double, number: double>>, the oldest first.
        grid: map<string, list<double>>, a number or null for each step, the oldest first.
    """
    longest = max((np.inf if column.hours is None else column.hours for column in columns), default=0.0)
    low = np.full(len(cases.time), EVER) if longest == np.inf else cases.time - round(longest * HOUR)
    start, stop = between(history, cases.subject, low, cases.time, closed=(True, included))
    parts = [
        _columns_of(_rows(history, cases, start, stop, slice(first, after), included), history, columns, concepts)
        for first, after in blocks(stop - start, EXPANDED_EVENTS)
    ]
    return [pa.concat_arrays(arrays) for arrays in zip(*parts, strict=True)]


def _rows(history: History, cases: Cases, start: Ints, stop: Ints, part: slice, included: bool) -> Rows:
    at, case = expand(start[part], stop[part])
    time = cases.time[part]
    seen = is_known(history.known[at], time[case], included)
    at, case = at[seen], case[seen]
    return Rows(len(time), case, history.code[at], history.time[at], history.number[at], time[case] - history.time[at])


def _columns_of(
    rows: Rows, history: History, columns: list[GroupColumn], concepts: dict[str, Concept]
) -> list[pa.Array]:
    """Every column; columns of one group share its sorted rows."""
    prepared: dict[int, tuple[Rows, list[str]]] = {}
    arrays = []
    for column in columns:
        group = column.group
        if id(group) not in prepared:
            places, names = group_names(history.codes, group.of, concepts)
            prepared[id(group)] = _grouped(rows, places, by_code=not isinstance(group, SequenceGroup)), names
        grouped, names = prepared[id(group)]
        window = grouped if column.hours is None else grouped.pick(grouped.before <= round(column.hours * HOUR))
        names_array = pa.array(names, pa.string())
        if isinstance(group, ValuesGroup):
            arrays.append(_values(window, names_array, group.take))
        elif isinstance(group, SequenceGroup):
            arrays.append(_sequence(window, names_array, group.last))
        elif isinstance(group, GridGroup):
            arrays.append(_grid(window, names_array, group))
        else:
            arrays.append(_codes(window, names_array))
    return arrays


def _grouped(rows: Rows, places: Ints, by_code: bool) -> Rows:
    """The rows of one group, their codes as places among its names, sorted by case, then by code where asked."""
    if not len(places):
        return rows.pick(np.zeros(0, np.int64))
    code = places[rows.code]
    inside = np.flatnonzero(code >= 0)
    if by_code:
        key = rows.case[inside] * (places.max(initial=0) + 1) + code[inside]
        if np.bincount(places[places >= 0]).max(initial=0) > 1:  # of codes in one name, the numbers of one time by size
            inside = inside[np.lexsort((rows.number[inside], rows.time[inside], key))]
        else:
            inside = inside[np.argsort(key, kind="stable")]
    found = rows.pick(inside)
    return Rows(rows.cases, found.case, code[inside], found.time, found.number, found.before)


# ---------------------------------------------------------------- segments


@dataclass(frozen=True)
class Segments:
    """Runs of rows of one case and one code."""

    case: Ints
    code: Ints
    start: Ints
    length: Ints


def _segments(rows: Rows) -> Segments:
    change = np.ones(len(rows.case), np.bool_)
    change[1:] = (rows.case[1:] != rows.case[:-1]) | (rows.code[1:] != rows.code[:-1])
    start = np.flatnonzero(change)
    return Segments(rows.case[start], rows.code[start], start, np.diff(start, append=len(rows.case)))


def _offsets(case: Ints, cases: int) -> pa.Array:
    """Where each case's items start among items sorted by case, and where the last one's stop."""
    return pa.array(np.searchsorted(case, np.arange(cases + 1)).astype(np.int32))


def _reduce(ufunc: np.ufunc, values: npt.NDArray[Any], segments: Segments) -> npt.NDArray[Any]:
    """One number a segment; it depends on the segment's values and their order alone."""
    found: npt.NDArray[Any] = ufunc.reduceat(values, segments.start) if len(segments.start) else values[:0]
    return found


# ---------------------------------------------------------------- kinds of column


def _codes(rows: Rows, names: pa.Array) -> pa.Array:
    segments = _segments(rows)
    return pa.ListArray.from_arrays(_offsets(segments.case, rows.cases), names.take(pa.array(segments.code)))


def _values(rows: Rows, names: pa.Array, take: tuple[str, ...]) -> pa.Array:
    segments = _segments(rows)
    fields = [_nullable(numbers) for numbers in _takes(rows, segments, take)]
    items = pa.StructArray.from_arrays(fields, names=list(take))
    keys = names.take(pa.array(segments.code))
    return pa.MapArray.from_arrays(_offsets(segments.case, rows.cases), keys, items)


def _nullable(numbers: Floats) -> pa.Array:
    return pa.array(numbers, pa.float64(), mask=np.isnan(numbers))


def _takes(rows: Rows, segments: Segments, take: tuple[str, ...]) -> list[Floats]:
    """The numbers of each segment (segments,), NaN where there are too few values for one."""
    last = segments.start + segments.length - 1
    of_all: dict[str, Callable[[], Floats]] = {
        "count": lambda: segments.length.astype(np.float64),
        "present": lambda: np.ones(len(segments.start)),
        "time_since": lambda: rows.before[last] / HOUR,
        "time_since_first": lambda: rows.before[segments.start] / HOUR,
    }
    numeric = [name for name in take if name not in of_all]
    of_numbers = _number_takes(rows, segments, numeric) if numeric else {}
    return [of_all[name]() if name in of_all else of_numbers[name] for name in take]


def _number_takes(rows: Rows, segments: Segments, take: list[str]) -> dict[str, Floats]:
    """The numbers that are made of values: of the segments that have one, spread over all segments."""
    owner = np.repeat(np.arange(len(segments.start)), segments.length)
    has_number = np.isfinite(rows.number)
    valued, owner = rows.pick(has_number), owner[has_number]
    runs = _segments(valued)
    place = owner[runs.start]
    value, last = valued.number, runs.start + runs.length - 1
    several = runs.length > 1

    def mean() -> Floats:
        means: Floats = _reduce(np.add, value, runs) / runs.length
        return means

    def deviations() -> Floats:
        return value - np.repeat(mean(), runs.length)

    def slope() -> Floats:
        """By least squares, of a day; NaN for values at one time."""
        days = -valued.before / DAY
        days = days - np.repeat(_reduce(np.add, days, runs) / runs.length, runs.length)
        spread = _reduce(np.add, days * days, runs)
        slopes: Floats = _reduce(np.add, days * deviations(), runs) / np.where(spread > 0, spread, np.nan)
        return slopes

    known: dict[str, Callable[[], Floats]] = {
        "last": lambda: value[last],
        "first": lambda: value[runs.start],
        "mean": mean,
        "min": lambda: _reduce(np.minimum, value, runs),
        "max": lambda: _reduce(np.maximum, value, runs),
        "sd": lambda: np.sqrt(_reduce(np.add, deviations() ** 2, runs) / runs.length),
        "slope": slope,
        "change": lambda: np.where(several, value[last] - value[np.maximum(last - 1, 0)], np.nan),
    }
    found = {}
    for name in take:
        numbers = np.full(len(segments.start), np.nan)
        numbers[place] = known[name]()
        found[name] = numbers
    return found


def _sequence(rows: Rows, names: pa.Array, last: int) -> pa.Array:
    counts = np.bincount(rows.case, minlength=rows.cases)
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(rows.case))
    rows = rows.pick(from_end <= last)
    items = pa.StructArray.from_arrays(
        [names.take(pa.array(rows.code)), pa.array(rows.before / HOUR), _nullable(_finite(rows.number))],
        names=["code", "hours_before", "number"],
    )
    return pa.ListArray.from_arrays(_offsets(rows.case, rows.cases), items)


def _finite(numbers: Floats) -> Floats:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _grid(rows: Rows, names: pa.Array, grid: GridGroup) -> pa.Array:
    """Steps are counted back from the prediction time, each open at its older end; the oldest has both its ends."""
    rows = rows.pick(np.isfinite(rows.number))
    segments = _segments(rows)
    steps = grid.steps
    back = np.minimum(rows.before // round(grid.every_hours * HOUR), steps - 1)
    cell = np.repeat(np.arange(len(segments.start)), segments.length) * steps + (steps - 1 - back)
    # A segment's rows are in the order of time, so the rows of one cell are one run
    runs = _segments(Rows(rows.cases, rows.case, cell, rows.time, rows.number, rows.before))
    taken = np.full(len(segments.start) * steps, np.nan)
    taken[cell[runs.start]] = _takes(
        Rows(rows.cases, rows.case, cell, rows.time, rows.number, rows.before), runs, (grid.take,)
    )[0]
    each = pa.array(np.arange(0, len(taken) + 1, steps, dtype=np.int32))
    series = pa.ListArray.from_arrays(each, _nullable(taken))
    keys = names.take(pa.array(segments.code))
    return pa.MapArray.from_arrays(_offsets(segments.case, rows.cases), keys, series)
