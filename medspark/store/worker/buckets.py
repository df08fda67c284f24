"""Records of events as they are kept: in buckets by patient, a Parquet file each, sorted. No Spark here.

A patient's bucket is the CRC-32 of the id as text, modulo the number of buckets, which any language can recompute:

    >>> zlib.crc32(b"4711") % 8
    7

Within a file events are sorted by patient, time (those without one first), code and number, as histories are. What is
appended later are further runs of such files; a bucket's readers merge them.
"""

import zlib  # noqa: F401 (the example's)
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medspark.errors import InputError
from medspark.schemas import (
    CODE,
    EVENT_OF_ROW,
    NUMERIC_VALUE,
    ROW,
    ROW_COLUMNS,
    ROW_DIGEST_OF_ID,
    SUBJECT_ID,
    TIME,
    WRITING,
)
from medspark.store.worker.places import open_place

Places = npt.NDArray[np.int64]

_SORTED_BY = (SUBJECT_ID, TIME, CODE, NUMERIC_VALUE)


@dataclass(frozen=True)
class SortedRun:
    """The files of one writing of records, one a bucket at most."""

    number: int
    rows: list[int]
    """Events of each bucket."""


class Kept(NamedTuple):
    """Where the records of a store lie that are kept by patient."""

    folder: str
    """Its address, as Hadoop writes it."""
    runs: tuple[SortedRun, ...]
    """The oldest first; what a bucket has is in the files that all of them have of it."""
    has_writings: bool = False
    """Whether rows may be written again, so that the newest writing of each counts: records with ROW_COLUMNS."""
    reader: Literal["workers", "spark"] = "workers"
    """Who reads them."""

    def files(self, bucket: int) -> list[tuple[str, int]]:
        """The files of a bucket with their events."""
        return [(bucket_file(bucket, run.number), run.rows[bucket]) for run in self.runs if run.rows[bucket]]

    @property
    def buckets(self) -> int:
        """How many there are."""
        return len(self.runs[0].rows)


def bucket_file(bucket: int, run: int) -> str:
    """The name of a bucket's file of a sorted run.

    >>> bucket_file(12, 3)
    'bucket-00012-0003.parquet'
    """
    return f"bucket-{bucket:05}-{run:04}.parquet"


def read_bucket(kept: Kept, bucket: int, columns: Sequence[str]) -> pa.Table | None:
    """The events of a bucket's patients that count, sorted, their codes as a dictionary; None of a bucket without any.

    Raises:
        InputError: a file is not there, or has other events than were written.
    """
    if len(kept.files(bucket)) > 1:
        found = merge_runs(read_runs(kept, bucket, dict.fromkeys([*columns, *_SORTED_BY, *ROW_COLUMNS])))
    else:
        found = next(iter(read_runs(kept, bucket, columns)), None)
    if found is None or not kept.has_writings:
        return found
    return found.filter(pc.is_valid(found[CODE])).select(list(columns))


def read_runs(kept: Kept, bucket: int, columns: Iterable[str] | None) -> list[pa.Table]:
    """What each of a bucket's files has, of some columns or of all."""
    wanted = [*columns] if columns is not None else None
    return [_read(f"{kept.folder}/{name}", rows, wanted) for name, rows in kept.files(bucket)]


def _read(address: str, rows: int, columns: list[str] | None) -> pa.Table:
    system, path = open_place(address)
    try:
        with system.open_input_file(path) as source:
            # A page that is another than was written is no event: its checksum is compared
            file = pq.ParquetFile(source, read_dictionary=[CODE], page_checksum_verification=True)
            found = file.read(columns, use_threads=False)
    except (OSError, ValueError) as error:
        raise _altered(address, type(error).__name__) from None
    if found.num_rows != rows:
        raise _altered(address, f"{found.num_rows} events")
    return found


def _altered(address: str, received: str) -> InputError:
    return InputError(
        f"{address}: expected the file that was written, received {received}. Run the stage that writes it again."
    )


def order_of(events: pa.Table) -> Places:
    """Where each place of the sorted order stands among some events (n,); equal ones stay as they are.

    >>> times = pa.array([9, None, 9, 9]).cast(pa.timestamp("us"))
    >>> columns = {SUBJECT_ID: [2, 2, 1, 2], TIME: times, CODE: ["B", "S", "A", "A"]}
    >>> order_of(pa.table(columns | {NUMERIC_VALUE: [None, None, 1.0, 2.0]})).tolist()
    [2, 1, 3, 0]
    """
    subject, time, code, number = _keys(events)
    later = (subject[1:] > subject[:-1]) | ((subject[1:] == subject[:-1]) & (time[1:] >= time[:-1]))
    # Many a source comes by patient and time
    order = np.arange(len(subject)) if later.all() else np.lexsort((time, subject))
    same = (subject[order][1:] == subject[order][:-1]) & (time[order][1:] == time[order][:-1])
    tied = np.zeros(len(order), np.bool_)
    tied[1:] = same
    tied[:-1] |= same
    moment = np.zeros(len(order), np.int64)
    moment[1:] = np.cumsum(~same)
    at = order[tied]
    place = moment[tied] * (code.max(initial=0) + 1) + code[at]
    order[tied] = at[np.lexsort((number[at], place))]
    return order


def _keys(events: pa.Table) -> tuple[Places, Places, Places, Places]:
    """What events are sorted by, the first first, as numbers; a missing number is the last one."""
    time = pc.fill_null(events[TIME].cast(pa.int64()), np.iinfo(np.int64).min).to_numpy()
    number = pc.cast(events[NUMERIC_VALUE], pa.float64()).to_numpy()
    last = np.where(np.isnan(number), np.inf, number)
    return _ranks(events[SUBJECT_ID]), time, _ranks(events[CODE]), last


def _merge_order(events: pa.Table, first: int) -> Places:
    """The sorted order of two runs that each are sorted, the first `first` events and the others."""
    keys = _keys(events)
    others = np.arange(first, events.num_rows)
    low, high = np.zeros(len(others), np.int64), np.full(len(others), first)
    while (is_open := low < high).any():
        middle = (low + high) // 2
        at = np.minimum(middle, max(first - 1, 0))
        before = np.ones(len(others), np.bool_)
        for key in reversed(keys):
            before = (key[at] < key[others]) | ((key[at] == key[others]) & before)
        low = np.where(is_open & before, middle + 1, low)
        high = np.where(is_open & ~before, middle, high)
    return np.insert(np.arange(first), low, others)


def _ranks(column: pa.ChunkedArray) -> Places:
    """Numbers that sort as the values do, nulls last: texts by their letters' code points."""
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), np.int64)
    found = pc.dictionary_encode(column.combine_chunks())
    values = len(found.dictionary)
    rank = np.full(values + 1, values, np.int64)
    rank[pc.array_sort_indices(found.dictionary).to_numpy()] = np.arange(values)
    return np.asarray(rank[found.indices.fill_null(values).to_numpy()])


# ---------------------------------------------------------------- rows that are written again


class Writings(NamedTuple):
    """Of which row some events are (n,), and of which of its writings."""

    row: Places
    """Numbers from 0 on."""
    writing: Places
    """Rises from older to newer ones."""
    rows: int


def writings_of(events: pa.Table) -> Writings:
    """The rows of some events, told apart by patient and ROW, and their writings, ordered by WRITING."""
    subject = pc.dictionary_encode(events[SUBJECT_ID].combine_chunks()).indices.to_numpy().astype(np.int64)
    hashed = pc.dictionary_encode(events[ROW].combine_chunks())
    pair = hashed.indices.to_numpy().astype(np.int64) * (subject.max(initial=0) + 1) + subject
    row = pc.dictionary_encode(pa.array(pair))
    # Of two writings of one id in one file, whose order nobody knows, the digest says which counts: always the same
    digest = pc.fill_null(events[ROW_DIGEST_OF_ID], 0).to_numpy()
    _, of_file = np.unique(digest, return_inverse=True)
    writing = _ranks(events[WRITING]) * (of_file.max(initial=0) + 1) + of_file
    return Writings(row.indices.to_numpy().astype(np.int64), writing, len(row.dictionary))


def counted_events(events: pa.Table) -> pa.Table:
    """The events that count among all writings of rows."""
    newest = newest_writings(events)
    return newest.filter(pc.is_valid(newest[CODE]))


def newest_of_runs(runs: Sequence[pa.Table]) -> tuple[pa.Table, pa.Table]:
    """The newest writing of each row of a bucket's files, each of which has a row once.

    Returns:
        Those of the largest file of rows that no other has, as they are sorted there, and the others.
    """
    *others, largest = sorted(runs, key=lambda run: run.num_rows)
    if not others:
        return largest, largest.slice(0, 0)
    more = pa.concat_tables(others)
    again = pc.is_in(largest[ROW], value_set=more[ROW].combine_chunks())
    contested = pa.concat_tables([largest.filter(again), more]).unify_dictionaries()
    return largest.filter(pc.invert(again)), newest_writings(contested)


def merge_runs(runs: Sequence[pa.Table]) -> pa.Table:
    """The same, sorted."""
    rest, others = newest_of_runs(runs)
    both = pa.concat_tables([rest, others.take(pa.array(order_of(others)))]).unify_dictionaries()
    return both.take(pa.array(_merge_order(both, rest.num_rows)))


def newest_writings(events: pa.Table) -> pa.Table:
    """The events of each row's newest writing, each once, in the order in which they stand."""
    row, writing, rows = writings_of(events)
    newest = np.full(rows, -1)
    np.maximum.at(newest, row, writing)
    kept = np.flatnonzero(writing == newest[row])
    rule = pc.fill_null(events[EVENT_OF_ROW], 0).to_numpy().astype(np.int64)[kept]
    # A row that stands in a file twice makes its events twice
    _, once = np.unique(row[kept] * (rule.max(initial=0) + 1) + rule, return_index=True)
    return events.take(pa.array(np.sort(kept[once])))
