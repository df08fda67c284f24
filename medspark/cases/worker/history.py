"""The histories of some patients as sorted arrays, and the search in them. No Spark here.

All times are microseconds since 1970 in UTC, as int64. A task of Spark holds whole patients, so every question about
a patient is answered within one `History`, for all its patients at once.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.schemas import AVAILABLE_TIME, CODE, NUMERIC_VALUE, SUBJECT_ID, TIME

EVENTS_READ = (SUBJECT_ID, TIME, CODE, NUMERIC_VALUE, AVAILABLE_TIME)
"""The columns that a history is made of."""

Ints = npt.NDArray[np.int64]

Floats = npt.NDArray[np.float64]

Bools = npt.NDArray[np.bool_]

HOUR = 3_600_000_000

DAY = 24 * HOUR

YEAR_DAYS = 365.25

EVER = np.iinfo(np.int64).min

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class History:
    """The timed events of some patients, sorted by patient, time, code and number."""

    subject: Ints
    """Which of `subjects` each event is of."""
    time: Ints
    known: Ints
    """When each became known: its time, or its available time where that is later."""
    code: Ints
    """Which of `codes`."""
    number: Floats
    """NaN for an event without one."""
    place: Ints
    """Patient and place of the time in `clock` as one number, which rises along the events."""
    clock: Ints
    """Every time at which there is an event, sorted, each once."""
    subjects: pa.Array
    codes: list[str]
    """Sorted by name, so that nothing depends on which patients share a task."""
    static_subject: Ints
    static_code: Ints
    """Events without a time, true of the patient always."""

    def __len__(self) -> int:
        return len(self.subject)

    def pick(self, which: Bools | Ints) -> "History":
        """The events that `which` keeps, as a mask (n,) or as places."""
        arrays = {name: getattr(self, name)[which] for name in ("subject", "time", "known", "code", "number", "place")}
        return replace(self, **arrays)

    def of_codes(self, wanted: Bools) -> "History":
        """The events of the codes that `wanted` (codes,) keeps."""
        return self.pick(wanted[self.code])


def read_history(events: pa.Table, as_of: int | None = None) -> History:
    """Events of whole patients as a history.

    Args:
        events: the columns subject_id, time, code, numeric_value and available_time.
        as_of: events that happened or became known after it are left out, as nobody knew of them then.
    """
    subjects = _encoded(events[SUBJECT_ID])
    codes = _encoded(events[CODE])
    names = codes.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    subject = subjects.indices.to_numpy().astype(np.int64)
    code = rank[codes.indices.to_numpy()]
    timed = events[TIME].is_valid().to_numpy()
    time = _micros(events[TIME], np.zeros(len(events), np.int64))
    known = np.maximum(time, _micros(events[AVAILABLE_TIME], time))
    number = pc.cast(events[NUMERIC_VALUE], pa.float64()).to_numpy()
    kept = timed if as_of is None else timed & (known <= as_of)
    clock, at = np.unique(time[kept], return_inverse=True)
    place = subject[kept] * len(clock) + at
    whole = History(
        subject=subject[kept],
        time=time[kept],
        known=known[kept],
        code=code[kept],
        number=number[kept],
        place=place,
        clock=clock,
        subjects=subjects.dictionary,
        codes=[names[at] for at in order],
        static_subject=subject[~timed],
        static_code=code[~timed],
    )
    # What a store keeps by patient is in this order already, and sorting is most of the work
    return whole if _is_sorted(whole) else whole.pick(np.lexsort((whole.number, whole.code, place)))


def _is_sorted(events: History) -> bool:
    """Whether events are in the order of patient, time, code and number, those without a number last."""
    place, code, number = events.place, events.code, events.number
    falls = number[1:] < number[:-1]
    falls |= np.isnan(number[:-1]) & ~np.isnan(number[1:])
    falls = (code[1:] < code[:-1]) | ((code[1:] == code[:-1]) & falls)
    falls = (place[1:] < place[:-1]) | ((place[1:] == place[:-1]) & falls)
    return not falls.any()


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return pc.dictionary_encode(column.combine_chunks())


def _micros(column: pa.ChunkedArray, otherwise: Ints) -> Ints:
    """Times as whole microseconds; where there is none, those of `otherwise`."""
    values = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
    found: Ints = np.where(column.is_valid().to_numpy(), values, otherwise)
    return found


def between(events: History, subject: Ints, low: Any, high: Any, *, closed: tuple[bool, bool]) -> tuple[Ints, Ints]:
    """For each of m questions, where its patient's events from `low` to `high` start and stop among the events.

    `closed` says whether an event at either end counts.

    >>> time = pa.array([3, 5, 5, 9]).cast(pa.timestamp("us", "UTC"))
    >>> columns = {SUBJECT_ID: [1, 1, 1, 1], TIME: time, CODE: ["A", "B", "C", "A"]}
    >>> events = read_history(pa.table(columns | {NUMERIC_VALUE: [None] * 4, AVAILABLE_TIME: time}))
    >>> start, stop = between(events, np.array([0, 0]), 5, np.array([8, 9]), closed=(True, True))
    >>> start.tolist(), stop.tolist()
    ([1, 1], [3, 4])
    """
    m = len(subject)
    first = np.searchsorted(events.clock, np.broadcast_to(low, m), side="left" if closed[0] else "right")
    after = np.searchsorted(events.clock, np.broadcast_to(high, m), side="right" if closed[1] else "left")
    start = np.searchsorted(events.place, subject * len(events.clock) + first)
    stop = np.searchsorted(events.place, subject * len(events.clock) + after)
    return start, np.maximum(start, stop)


def expand(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """The ranges written out: the position of every item, and which range it is of.

    >>> at, owner = expand(np.array([5, 0]), np.array([8, 1]))
    >>> at.tolist(), owner.tolist()
    ([5, 6, 7, 0], [0, 0, 0, 1])
    """
    counts = stop - start
    owner = np.repeat(np.arange(len(start)), counts)
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) - before[owner] + start[owner], owner


def had(
    events: History, subject: Ints, low: Any, high: Ints, *, closed: tuple[bool, bool], by: Ints, included: bool
) -> Bools:
    """For each of m questions whether its patient had an event from `low` to `high` that was known by `by`.

    `included` says whether what became known at `by` itself was known.
    """
    start, stop = between(events, subject, low, high, closed=closed)
    earliest = lowest_between(events.known, start, stop)
    return (stop > start) & is_known(earliest, by, included)


def lowest_between(values: Ints, start: Ints, stop: Ints) -> Ints:
    """The least of `values` in each of m ranges, NEVER in an empty one: a tree of pairs, whatever the ranges' lengths.

    It takes the memory of n values and m ranges, where writing the ranges out would take that of all their items.

    >>> lowest_between(np.array([5, 3, 8, 1]), np.array([0, 2, 1]), np.array([2, 3, 4])).tolist()
    [3, 8, 1]
    """
    leaves = 1 << max(len(values) - 1, 0).bit_length()
    tree = np.full(2 * leaves, NEVER)
    tree[leaves : leaves + len(values)] = values
    size = leaves
    while size > 1:
        tree[size // 2 : size] = np.minimum(tree[size : 2 * size : 2], tree[size + 1 : 2 * size : 2])
        size //= 2
    low, high = start + leaves, np.maximum(start, stop) + leaves
    found = np.full(len(start), NEVER)
    while (low < high).any():  # up the tree, taking the odd ends of each range
        is_open = low < high
        first = is_open & (low % 2 == 1)
        found[first] = np.minimum(found[first], tree[low[first]])
        last = is_open & (high % 2 == 1)
        found[last] = np.minimum(found[last], tree[high[last] - 1])
        low, high = (low + first) // 2, (high - last) // 2
    return found


def greatest_between(values: Ints, start: Ints, stop: Ints) -> Ints:
    """The greatest of `values` in each of m ranges, EVER + 1 in an empty one; no value may be EVER."""
    return -lowest_between(-values, start, stop)


def blocks(counts: Ints, limit: int) -> list[tuple[int, int]]:
    """Runs of questions that together have some `limit` items; at least one run, of at least one question each.

    >>> blocks(np.array([3, 3, 9, 1]), 5)
    [(0, 1), (1, 2), (2, 4)]
    """
    if len(counts) == 0:
        return [(0, 0)]
    block = np.cumsum(counts) // limit
    edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(counts)]
    return list(pairwise(edges))


def is_known(known: Ints, by: Ints, closed: bool) -> Bools:
    return known <= by if closed else known < by


def first_time(events: History, otherwise: int) -> Ints:
    """Each patient's first of these events; `otherwise` for a patient without one."""
    times = np.full(len(events.subjects), otherwise)
    subject, at = np.unique(events.subject, return_index=True)
    times[subject] = events.time[at]
    return times


def first_known(events: History) -> Ints:
    """When the first of these events became known of each patient; NEVER for a patient without one."""
    times = np.full(len(events.subjects), NEVER)
    np.minimum.at(times, events.subject, events.known)
    return times


def first_time_known(events: History, subject: Ints, by: Ints) -> Ints:
    """For each of m questions its patient's first of the events that were known by `by`; NEVER without one."""
    order, last, any_known = _by_knowledge(events, subject, by, included=True)
    # The rank of a time, below those of all patients before: the least so far is then the patient's own
    own, ranks = len(events.subjects) - 1 - events.subject[order], np.searchsorted(events.clock, events.time[order])
    least = np.minimum.accumulate(own * len(events.clock) + ranks)
    times = np.full(len(subject), NEVER)
    asked = len(events.subjects) - 1 - subject[any_known]
    times[any_known] = events.clock[least[last[any_known]] - asked * len(events.clock)]
    return times


def last_known(events: History, subject: Ints, by: Ints, included: bool) -> Ints:
    """For each of m questions the place of its patient's last event that was known by `by`; -1 without one."""
    order, last, any_known = _by_knowledge(events, subject, by, included)
    greatest = np.maximum.accumulate(order)  # a patient's events stand after those of all patients before
    places = np.full(len(subject), -1)
    places[any_known] = greatest[last[any_known]]
    return places


def _by_knowledge(events: History, subject: Ints, by: Ints, included: bool) -> tuple[Ints, Ints, Bools]:
    """The events' places by patient and by when they became known; for each of m questions where in that order the
    last stands that was known by then, and whether there is one.

    What was known had happened, so that nothing else need be asked.
    """
    order = np.lexsort((events.known, events.subject))
    moments, rank = np.unique(events.known[order], return_inverse=True)
    key = events.subject[order] * len(moments) + rank
    known = np.searchsorted(moments, by, side="right" if included else "left")
    after = np.searchsorted(key, subject * len(moments) + known)
    return order, after - 1, after > np.searchsorted(key, subject * len(moments))
