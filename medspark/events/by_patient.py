"""Events to buckets by patient: each task puts its events aside by bucket, then a worker sorts and writes each bucket.

What is put aside lies in the version that is written, where every worker reaches it, and goes when all is written.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa
from pyspark import SparkContext, TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.tasks import each
from medspark.errors import AccountingError
from medspark.events.worker.append import Added, Fates, add_to_bucket, merge_bucket
from medspark.events.worker.by_patient import ASIDE_TYPES, BUCKET, carry, parts_of, put_aside, unpacked
from medspark.schemas import ROW, SUBJECT_ID, ddl
from medspark.spark.arrow import map_batches
from medspark.store.facts import Buckets
from medspark.store.files import delete, full_path, make_folder
from medspark.store.tables import read_parquet
from medspark.store.worker.buckets import Kept, SortedRun

EVENTS_A_BUCKET: Final = 500_000
"""What one worker holds at once, some 100 MB of it."""
MOST_BUCKETS: Final = 2**16
_ASIDE: Final = "_aside"


class Grown(NamedTuple):
    """Records that were written."""

    came: int
    """Events that came, in all writings of rows."""
    buckets: Buckets
    fates: dict[str, int]
    """What became of the rows of a source with `increment`, by the names of `Fates`."""
    counted: int
    """By how many events that count the records grew."""


def buckets_for(events: int) -> int:
    """How many buckets so many events are kept in.

    >>> buckets_for(0), buckets_for(500_001), buckets_for(10**8)
    (1, 2, 200)
    """
    return min(MOST_BUCKETS, max(1, -(-events // EVENTS_A_BUCKET)))


def write_by_patient(records: DataFrame, path: str, buckets: int) -> Grown:
    """Write events into the files of their buckets, below a path that every worker can write to."""
    folder, run = full_path(records.sparkSession.sparkContext, path), 0
    added = _added(records, folder, None, buckets, run)
    written = _buckets(None, added, buckets, run, ROW in records.columns)
    if not _has_events(written):
        _write_columns(records, folder)
    return _grown(added, written)


def append_by_patient(records: DataFrame, path: str, kept: Kept) -> Grown:
    """A version of records with what they had and what is new in these: files that stay are linked, or copied.

    Raises:
        InputError: a bucket's files are not as they were written.
    """
    folder, run = full_path(records.sparkSession.sparkContext, path), kept.runs[-1].number + 1
    added = _added(records, folder, kept, kept.buckets, run)
    buckets = _buckets(kept, added, kept.buckets, run, True)
    _carry(records.sparkSession.sparkContext, kept, buckets, run, folder)
    if not _has_events(buckets):
        _write_columns(records, folder)
    return _grown(added, buckets)


def compact_by_patient(spark: SparkSession, path: str, kept: Kept) -> Buckets:
    """A version of the same records with one file a bucket.

    Raises:
        InputError: as `append_by_patient`.
    """
    context = spark.sparkContext
    folder, run = full_path(context, path), kept.runs[-1].number + 1
    make_folder(context, folder)
    many = [bucket for bucket in range(kept.buckets) if len(kept.files(bucket)) > 1]

    def work(bucket: int) -> Added:
        return merge_bucket(kept, bucket, folder, run)

    added = each(context, many, work)
    buckets = _buckets(kept, added, kept.buckets, run, kept.has_writings)
    _carry(context, kept, buckets, run, folder)
    if not _has_events(buckets):
        _write_columns(read_parquet(spark, kept.folder), folder)
    return buckets


def _has_events(buckets: Buckets) -> bool:
    return any(any(found.rows) for found in buckets.runs)


def _write_columns(records: DataFrame, folder: str) -> None:
    """Write a file without rows, so that readers find the columns."""
    records.limit(0).coalesce(1).write.mode("append").parquet(folder, compression="zstd")


def _added(records: DataFrame, folder: str, kept: Kept | None, buckets: int, run: int) -> list[Added]:
    """Put events aside by bucket, then write each bucket's file of a run."""
    context = records.sparkSession.sparkContext
    aside = f"{folder}/{_ASIDE}"
    make_folder(context, aside)
    files, filled = _put_aside(records, aside, buckets)

    def work(bucket: int) -> Added:
        return add_to_bucket(parts_of(files, aside, bucket), aside, kept, bucket, folder, run)

    added = each(context, filled, work)
    delete(context, aside)
    return added


def _buckets(kept: Kept | None, added: list[Added], buckets: int, run: int, has_writings: bool) -> Buckets:
    """What the buckets have afterwards; a run of which nothing is left goes."""
    written = {found.bucket: found.events for found in added}
    whole = {found.bucket for found in added if found.is_whole}
    before = [
        SortedRun(old.number, [0 if bucket in whole else rows for bucket, rows in enumerate(old.rows)])
        for old in (kept.runs if kept is not None else ())
    ]
    newest = SortedRun(run, [written.get(bucket, 0) for bucket in range(buckets)])
    return Buckets([found for found in (*before, newest) if any(found.rows)] or [newest], has_writings)


def _carry(context: SparkContext, kept: Kept, buckets: Buckets, run: int, folder: str) -> None:
    """Take the files that stay into another version."""
    there = Kept(folder, tuple(found for found in buckets.runs if found.number != run))
    names = [name for bucket in range(kept.buckets) for name, _ in there.files(bucket)] if there.runs else []
    pairs = [(f"{kept.folder}/{name}", f"{folder}/{name}") for name in names]
    if pairs:
        context.parallelize(pairs, min(len(pairs), context.defaultParallelism)).foreach(carry)


def _grown(added: list[Added], buckets: Buckets) -> Grown:
    fates = {name: sum(getattr(found.fates, name) for found in added) for name in Fates._fields}
    return Grown(sum(found.came for found in added), buckets, fates, sum(found.counted for found in added))


def require_came(grown: Grown, expected: int) -> None:
    """Refuse records of which some were lost, or doubled, on their way to the buckets.

    Raises:
        AccountingError: other events arrived than the source has.
    """
    if grown.came != expected:
        raise AccountingError(f"{expected} events were to be written by patient, {grown.came} arrived. Run again.")


def _put_aside(records: DataFrame, aside: str, buckets: int) -> tuple[list[str], list[int]]:
    """The files that tasks wrote, sorted, and the buckets that have events in them."""

    def put(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        assert task is not None, "in a Spark task"
        yield from put_aside(batches, aside, task.partitionId())

    # Of a text's CRC-32, which is positive
    bucket = (F.crc32(F.col(SUBJECT_ID).cast("string")) % buckets).cast("int").alias(BUCKET)
    found = map_batches(records.select(bucket, *records.columns), put, ddl(ASIDE_TYPES)).collect()
    return sorted(row["file"] for row in found), unpacked(row["buckets"] for row in found)
