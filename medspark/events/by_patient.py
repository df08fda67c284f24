"""Events to buckets by patient: each task puts its events aside by bucket, then a worker sorts and writes each bucket.

What is put aside lies in the version that is written, where every worker reaches it, and goes when all is written.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.events.worker.by_patient import ASIDE_TYPES, BUCKET, Part, gather, put_aside
from medspark.schemas import SUBJECT_ID, ddl
from medspark.spark.arrow import map_batches
from medspark.store.facts import Buckets
from medspark.store.files import delete, full_path, make_folder

EVENTS_A_BUCKET: Final = 500_000
"""What one worker holds at once, some 100 MB of it."""
MOST_BUCKETS: Final = 2**16
_ASIDE: Final = "_aside"


def buckets_for(events: int) -> int:
    """How many buckets so many events are kept in.

    >>> buckets_for(0), buckets_for(500_001), buckets_for(10**8)
    (1, 2, 200)
    """
    return min(MOST_BUCKETS, max(1, -(-events // EVENTS_A_BUCKET)))


def write_by_patient(records: DataFrame, path: str, buckets: int) -> Buckets:
    """Write events into the files of their buckets, below a path that every worker can write to."""
    spark = records.sparkSession
    folder = full_path(spark.sparkContext, path)
    aside = f"{folder}/{_ASIDE}"
    make_folder(spark.sparkContext, aside)
    by_bucket = defaultdict(list)
    for part in _put_aside(records, aside, buckets):
        by_bucket[part.bucket].append(part)

    def work(item: tuple[int, list[Part]]) -> tuple[int, int]:
        bucket, parts = item
        return bucket, gather(parts, aside, folder, bucket)

    items = sorted(by_bucket.items())
    written = dict(spark.sparkContext.parallelize(items, max(1, len(items))).map(work).collect())
    delete(spark.sparkContext, aside)
    return Buckets([written.get(bucket, 0) for bucket in range(buckets)])


def _put_aside(records: DataFrame, aside: str, buckets: int) -> list[Part]:
    def put(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        assert task is not None, "in a Spark task"
        yield from put_aside(batches, aside, task.partitionId())

    # Of a text's CRC-32, which is positive
    bucket = (F.crc32(F.col(SUBJECT_ID).cast("string")) % buckets).cast("int").alias(BUCKET)
    found = map_batches(records.select(bucket, *records.columns), put, ddl(ASIDE_TYPES)).collect()
    return sorted(Part(*row) for row in found)
