"""New writings of rows beside those that a bucket has: which count, and what became of each row. No Spark here."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medspark.events.worker.by_patient import Part, events_aside, write_bucket
from medspark.schemas import CODE, ROW, ROW_COLUMNS, ROW_DIGEST_OF_ID, SUBJECT_ID, TIME, WRITING
from medspark.store.worker.buckets import (
    Kept,
    merge_runs,
    newest_of_runs,
    newest_writings,
    order_of,
    read_runs,
    writings_of,
)

MOST_RUNS: Final = 8
"""Files of a bucket: what would be one more is merged with them."""
_COMPARED = (SUBJECT_ID, TIME, CODE, *ROW_COLUMNS)
_READ_AGAIN: Final = "\0"
"""Begins what a writing has behind its time where a row of the same time was read before with other content."""


class Fates(NamedTuple):
    """What became of some rows that came."""

    new: int = 0
    seen_before: int = 0
    """There already, or older than what is there."""
    corrected: int = 0
    deleted: int = 0
    without_events: int = 0
    """Of an id that no event is of, neither before nor now."""
    late: int = 0
    """New ones with an event before the newest one that their patient had."""


class Added(NamedTuple):
    """What a bucket got."""

    bucket: int
    came: int
    """Events that tasks had put aside of it, in all writings."""
    events: int
    """Of the file that was written; 0 where none was."""
    is_whole: bool
    """Whether that file has all that the bucket's files before it had."""
    counted: int
    """By how many the events that count became more, or fewer."""
    fates: Fates


def add_to_bucket(parts: Iterable[Part], aside: str, kept: Kept | None, bucket: int, folder: str, run: int) -> Added:
    """Write a bucket's file of a run: what is new of what tasks put aside.

    Args:
        parts: of the bucket.
        aside: the address of the folder with them.
        kept: what the store has; None where it is new.
        bucket: whose events they are.
        folder: the address of the one that the file goes to.
        run: its number.
    """
    came = events_aside(parts, aside)
    arrived = came.num_rows - came[CODE].null_count
    if ROW not in came.schema.names:
        return Added(bucket, arrived, write_bucket(came, folder, bucket, run), True, came.num_rows, Fates())
    came = newest_writings(came)
    runs = read_runs(kept, bucket, _COMPARED) if kept is not None else []
    there = pa.concat_tables(newest_of_runs([_plain(run) for run in runs] or [came.select(_COMPARED).slice(0, 0)]))
    counts, replaces, more, fates = compare(there, came)
    events, is_whole = _read_again(came, replaces, run).filter(pa.array(counts)), kept is None
    if events.num_rows and kept is not None and len(kept.files(bucket)) >= MOST_RUNS:
        events, is_whole = _merged(kept, bucket, events), True
    written = write_bucket(events, folder, bucket, run) if events.num_rows else 0
    return Added(bucket, arrived, written, is_whole and written > 0, more, fates)


def merge_bucket(kept: Kept, bucket: int, folder: str, run: int) -> Added:
    """Write all that a bucket's files have into one."""
    events = _merged(kept, bucket, None)
    return Added(bucket, 0, write_bucket(events, folder, bucket, run), True, 0, Fates())


def _merged(kept: Kept, bucket: int, more: pa.Table | None) -> pa.Table:
    runs = [_plain(run) for run in read_runs(kept, bucket, None)]
    runs += [more.cast(runs[0].schema).take(pa.array(order_of(more)))] if more is not None else []
    return merge_runs(runs)


def _plain(events: pa.Table) -> pa.Table:
    """Events whose codes are text, as they came."""
    return events.set_column(events.schema.get_field_index(CODE), CODE, events[CODE].cast(pa.string()))


def _read_again(events: pa.Table, replaces: np.ndarray, run: int) -> pa.Table:
    """Events of which some are, of a writing as old as the one that is there, the newer for they were read later."""
    later = pc.binary_join_element_wise(events[WRITING], f"{_READ_AGAIN}{run:08}", "")
    writing = pc.if_else(pa.array(replaces), later, events[WRITING])
    return events.set_column(events.schema.get_field_index(WRITING), WRITING, writing)


def _as_written(events: pa.Table) -> pa.Table:
    """Events with their writings as the source has them, which alone says which of two is older."""
    written = pc.replace_substring_regex(events[WRITING], f"{_READ_AGAIN}[0-9]+$", "")
    events = events.set_column(events.schema.get_field_index(WRITING), WRITING, written)
    nothing = pa.nulls(events.num_rows, events.schema.field(ROW_DIGEST_OF_ID).type)
    return events.set_column(events.schema.get_field_index(ROW_DIGEST_OF_ID), ROW_DIGEST_OF_ID, nothing)


def compare(there: pa.Table, came: pa.Table) -> tuple[np.ndarray, np.ndarray, int, Fates]:
    """Rows that came beside those that are there. Of two writings of one time the one that was read later counts.

    Args:
        there: the newest writing of each row of a bucket, of the columns _COMPARED.
        came: the newest writing of each row that came.

    Returns:
        Which events that came count (n,), which are of rows of the same time as those there (n,), by how many more
        count then, and what became of the rows.
    """
    again = there.filter(pc.is_in(there[ROW], value_set=came[ROW].combine_chunks()))
    both = pa.concat_tables([again, came.select(_COMPARED).cast(again.schema)])
    row, writing, rows = writings_of(_as_written(both))
    is_new = np.arange(both.num_rows) >= again.num_rows
    is_event = pc.is_valid(both[CODE]).to_numpy()
    before, now = (_of_rows(row[of], writing[of], rows) for of in (~is_new, is_new))
    had, has = (_any(row[of & is_event], rows) for of in (~is_new, is_new))
    digest = pc.fill_null(both[ROW_DIGEST_OF_ID], 0).to_numpy()
    has_id = _any(row[pc.is_valid(both[ROW_DIGEST_OF_ID]).to_numpy()], rows)
    alike = ~has_id | (_last(row[~is_new], digest[~is_new], rows) == _last(row[is_new], digest[is_new], rows))
    known, arrived = before >= 0, now >= 0
    same = known & (before == now)
    seen = arrived & known & (alike | (before > now))
    counts = arrived & ~(known & (~has_id | (before > now) | (same & alike)))
    other = arrived & known & ~seen
    fresh = arrived & ~known & has
    late = _any(row[is_new][_is_late(there, came.select(_COMPARED))], rows)
    fates = Fates(
        new=int(fresh.sum()),
        seen_before=int(seen.sum()),
        corrected=int((other & has).sum()),
        deleted=int((other & ~has & had).sum()),
        without_events=int((arrived & ~has & ~seen & ~(other & had)).sum()),
        late=int((fresh & late).sum()),
    )
    replaced = is_event & ~is_new & (known & counts)[row]
    added = is_event & is_new & counts[row]
    return counts[row[is_new]], same[row[is_new]], int(added.sum() - replaced.sum()), fates


def _of_rows(row: np.ndarray, writing: np.ndarray, rows: int) -> np.ndarray:
    """Each row's newest writing; -1 of one without any."""
    found = np.full(rows, -1)
    np.maximum.at(found, row, writing)
    return found


def _any(row: np.ndarray, rows: int) -> np.ndarray:
    found = np.zeros(rows, np.bool_)
    found[row] = True
    return found


def _last(row: np.ndarray, values: np.ndarray, rows: int) -> np.ndarray:
    found = np.zeros(rows, np.int64)
    found[row] = values
    return found


def _is_late(there: pa.Table, came: pa.Table) -> np.ndarray:
    """Which events that came happened before the newest one that their patient had."""
    both = pa.concat_tables([events.select([SUBJECT_ID, TIME]) for events in (there, came.cast(there.schema))])
    subject = pc.dictionary_encode(both[SUBJECT_ID].combine_chunks())
    patient = subject.indices.to_numpy().astype(np.int64)
    lowest = np.iinfo(np.int64).min
    time = pc.fill_null(both[TIME].cast(pa.int64()), lowest).to_numpy()
    newest = np.full(len(subject.dictionary), lowest)
    before = there.num_rows  # a writing that takes a row back has no time
    np.maximum.at(newest, patient[:before], time[:before])
    return np.asarray((time[before:] != lowest) & (time[before:] < newest[patient[before:]]))
