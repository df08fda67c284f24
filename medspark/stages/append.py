"""`medspark clean --append` and `--compact`: what is new of a source with `increment` beside what a store has."""

import hashlib
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from typing import Final

from pyspark import StorageLevel

from medspark.errors import InputError, TaskError
from medspark.events.by_patient import Grown, append_by_patient, compact_by_patient, require_came
from medspark.events.count import total_counts
from medspark.events.read import Events, read_events
from medspark.events.since import read_from, require_same_tables
from medspark.events.take import Taken, take_files
from medspark.runs.lock import alone
from medspark.runs.run import Run
from medspark.runs.tables import making, publish_tables
from medspark.schemas import DIGEST, QUARANTINE, RECORDS, SOURCE
from medspark.spark.failures import expressions_hold
from medspark.stages.absent import absent_columns, suddenly_silent
from medspark.stages.clean import first_of, grows_by, tell_unread, watched
from medspark.stages.features import require_records
from medspark.stages.freeze import freeze
from medspark.stages.records import kept_records
from medspark.store.facts import (
    EventCounts,
    ReadTo,
    RecordsFacts,
    SourceRead,
    require_rows,
    rows_quarantined,
    write_facts,
)
from medspark.store.files import list_files, make_folder
from medspark.store.grown_counts import added_counts, counts_without
from medspark.store.manifest import whole_path
from medspark.store.tables import is_parquet, link_files, read_parquet, table_path, write_version
from medspark.store.worker.buckets import Kept
from medspark.task.event_task import EventTask
from medspark.task.places import expression_places
from medspark.task.tasks import Task

SEEN: Final = "seen_before"
"""The rows of a fate that changes nothing."""


@alone
def append_stage(run: Run, task: Task) -> Task:
    """Take what is new of a source into `records` and `quarantine`; returns the task frozen.

    Raises:
        TaskError: the task's source has no `increment`.
        InputError: there are no records that can grow, a file that was read has changed or is gone, or the new ones
            cannot be read, or break a rule that fails the run.
    """
    with run.receipt.timed("clean"), run.progress("append"):
        task = _growing(task)
        facts, kept = _records(run, task)
        if grows_by(task) == "files":
            taken = take_files(run.spark, task, facts.taken)
            if taken.new:
                _append(run, task, facts, kept, taken)
            else:
                run.receipt.counts["append"] = {"files": 0}
                run.say("nothing new: the store has read every file of the source")
        else:
            with suppress(_NothingNewError):
                _append(run, task, facts, kept, None)
    frozen = freeze(run, task)
    assert isinstance(frozen, EventTask)
    return frozen


@alone
def compact_stage(run: Run, task: Task) -> None:
    """The same records in one file a bucket.

    Raises:
        TaskError, InputError: as `append_stage` has them.
    """
    with run.receipt.timed("compact"), run.progress("compact"):
        facts, kept = _records(run, _growing(task))
        files = sum(len(kept.files(bucket)) for bucket in range(kept.buckets))
        with making(run, (RECORDS, QUARANTINE), run.version):
            path = f"{run.store}/{RECORDS}/{run.version}"
            buckets = compact_by_patient(run.spark, path, kept)
            _carry_quarantine(run)
            write_facts(run.context, path, replace(facts, buckets=buckets))
            publish_tables(run, (RECORDS, QUARANTINE), run.version)
    left = sum(rows > 0 for found in buckets.runs for rows in found.rows)
    run.receipt.counts["compact"] = {"files_before": files, "files": left}
    run.say(f"  files       {files:>12,}  before")
    run.say(f"  files       {left:>12,}  now")


def _growing(task: Task) -> EventTask:
    if not isinstance(task, EventTask) or task.source.increment is None:
        raise TaskError("--append", ["expected `increment` in the task's source, which says what is new"])
    return task


def _records(run: Run, task: EventTask) -> tuple[RecordsFacts, Kept]:
    facts = require_records(run, task)
    kept = kept_records(run.context, table_path(run.context, run.store, RECORDS), facts)
    if kept is None or not kept.has_writings or kept.reader != "workers":
        raise InputError(
            f"{run.store}: expected records that can grow, by patient and where workers reach them, received others. "
            "Run `medspark clean` once, while every file of the source is there."
        )
    return facts, kept


class _NothingNewError(Exception):
    """Rows were read again, and none of them is new: what was written of them goes."""


def _append(run: Run, task: EventTask, facts: RecordsFacts, kept: Kept, taken: Taken | None) -> None:
    """Append what new files have; without any the rows, or changes, past those that the store has read."""
    held = expressions_hold(expression_places(task))
    tables = (RECORDS, QUARANTINE)
    with held, making(run, tables, run.version), _read(run, task, facts, taken) as events, watched(run, events.states):
        require_same_tables(task.source.place, facts.read_to.ids, events.read_to.ids)
        tell_unread(run, events.unread)
        path = f"{run.store}/{RECORDS}/{run.version}"
        make_folder(run.context, path)
        grown = append_by_patient(events.records, path, kept)
        came = total_counts(events.counts)
        require_came(grown, came.records)
        aside = _put_quarantine(run, events, rows_quarantined(came), taken is not None)
        others = any(rows for name, rows in grown.fates.items() if name != SEEN)
        # Else a feed were read from the same commit on until it is no more kept
        marks = facts.read_to.marks
        is_further = grows_by(task) == "changes" and marks | events.read_to.marks != marks
        if taken is None and not (aside or others or is_further):
            run.receipt.counts["append"] = {"rows": {name: rows for name, rows in grown.fates.items() if rows}}
            run.say("nothing new: the store has every row that the source has")
            raise _NothingNewError
        assert isinstance(facts.counts, EventCounts)
        _tell_absent(run, task, facts.counts, came)
        counts = added_counts(counts_without(facts.counts, facts.read_to.again), came)
        counts = replace(counts, records=facts.counts.records + grown.counted)
        write_facts(run.context, path, _whole(facts, events, counts, grown, taken))
        publish_tables(run, tables, run.version)
    run.receipt.inputs["source"] = SourceRead(task.source.place, events.files, events.fingerprint)
    run.receipt.count("clean", came)
    _tell(run, taken, grown, counts)


def _read(run: Run, task: EventTask, facts: RecordsFacts, taken: Taken | None) -> AbstractContextManager[Events]:
    if taken is not None:
        return read_events(run.spark, task.source, task.mapping, only=frozenset(taken.new.values()))
    assert task.source.increment is not None
    since = read_from(task.source.increment, facts.read_to.marks)
    return read_events(run.spark, task.source, task.mapping, since=since)


def _whole(
    before: RecordsFacts, events: Events, counts: EventCounts, grown: Grown, taken: Taken | None
) -> RecordsFacts:
    """The facts of records that grew."""
    if taken is not None:
        return RecordsFacts(before.rules, taken.fingerprint, counts, buckets=grown.buckets, taken=taken.files)
    both = f"{before.fingerprint} {events.fingerprint}"
    fingerprint = hashlib.sha256(both.encode()).hexdigest()[:16]
    then, now = before.read_to, events.read_to
    marks = then.marks | {name: max(then.marks.get(name, mark), mark) for name, mark in now.marks.items()}
    read_to = ReadTo(marks, then.ids | now.ids, now.again)
    return RecordsFacts(before.rules, fingerprint, counts, buckets=grown.buckets, read_to=read_to)


def _put_quarantine(run: Run, events: Events, rows: int, once: bool) -> int:
    """Write what was set aside beside what was before, and how many rows that is.

    Args:
        events: that were read.
        rows: that were set aside of them.
        once: whether none of them was read before; else those that are in the quarantine stay out.
    """
    aside = events.quarantine
    if not once:
        known = read_parquet(run.spark, whole_path(run.context, run.store, QUARANTINE)).select(SOURCE, DIGEST)
        aside = aside.join(known, on=[SOURCE, DIGEST], how="left_anti").select(*aside.columns)
        aside = aside.persist(StorageLevel.MEMORY_AND_DISK)
        rows = aside.count()
    try:
        quarantine = write_version(aside, run.store, QUARANTINE, run.version)
    finally:
        if not once:
            aside.unpersist()
    require_rows(run.context, quarantine, rows)
    _carry_quarantine(run)
    return rows


def _carry_quarantine(run: Run) -> None:
    """Take the files of the quarantine so far into the version that is written."""
    old = whole_path(run.context, run.store, QUARANTINE)
    files = [path for path, below in list_files(run.context, old).items() if is_parquet(below)]
    link_files(run.context, files, f"{run.store}/{QUARANTINE}/{run.version}")


def _tell_absent(run: Run, task: EventTask, before: EventCounts, came: EventCounts) -> None:
    """Name columns that a table had before and its new files lack, and what in them says nothing; in full in the
    receipt."""
    tables = asdict(before)["tables"]
    silent, early = suddenly_silent(tables, came, task)
    absent = [*absent_columns(tables, came), *silent, *early]
    run.receipt.absent += absent
    if absent:
        run.say(f"  absent      {first_of(absent)}: the files before had it")


def _tell(run: Run, taken: Taken | None, grown: Grown, counts: EventCounts) -> None:
    files = {"files": len(taken.new)} if taken is not None else {}
    run.receipt.counts["append"] = {**files, "rows": grown.fates, "events": grown.counted}
    run.receipt.counts["append"]["records"] = counts.records
    run.receipt.outputs |= {
        RECORDS: f"{run.store}/{RECORDS}/{run.version}",
        QUARANTINE: f"{run.store}/{QUARANTINE}/{run.version}",
    }
    for found in files.values():
        run.say(f"  files       {found:>12,}  new")
    for name, rows in grown.fates.items():
        run.say(f"  rows        {rows:>12,}  {name.replace('_', ' ')}")
    run.say(f"  records     {counts.records:>12,}")
