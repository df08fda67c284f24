"""A store's records as other stages read them: whole, or where workers find them by patient."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import DataFrame

from medspark.errors import InputError
from medspark.runs.run import Run
from medspark.schemas import CODE, EVENT_COLUMNS, EVENT_TYPES, RECORDS, ddl, with_keys
from medspark.score.choose_way import choose
from medspark.spark.arrow import map_batches
from medspark.store.facts import RecordsFacts
from medspark.store.files import full_path
from medspark.store.manifest import whole_path
from medspark.store.tables import read_parquet
from medspark.store.worker.buckets import Kept, read_bucket


def kept_records(context: SparkContext, path: str, facts: RecordsFacts) -> Kept | None:
    """Where the records at a path are by patient, and who reads them; None where they are not kept so."""
    if facts.buckets is None:
        return None
    folder = full_path(context, path)
    reader = choose(context, "", "auto", [folder], []).kind
    return Kept(folder, tuple(facts.buckets.runs), facts.buckets.has_writings, reader)


def current_records(run: Run, facts: RecordsFacts) -> DataFrame:
    """The current records; of those whose rows may be written again, the events that count.

    Raises:
        InputError: there are none, a file of them is not as it was published, or rows may be written again and workers
            do not reach the files.
    """
    path = whole_path(run.context, run.store, RECORDS)
    records, kept = read_parquet(run.spark, path), kept_records(run.context, path, facts)
    if kept is None or not kept.has_writings:
        return records
    if kept.reader == "spark":
        raise InputError(
            f"{kept.folder}: expected a place that workers can read, as records of a source with `increment` are "
            "merged by them, received one that they do not reach."
        )

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for bucket in batch.column(0).to_pylist():
                events = read_bucket(kept, bucket, EVENT_COLUMNS)
                if events is not None:
                    at = events.schema.get_field_index(CODE)
                    yield from events.set_column(at, CODE, events[CODE].cast(pa.string())).to_batches()

    types = with_keys(EVENT_TYPES, dict(records.dtypes))
    return map_batches(run.spark.range(0, kept.buckets, 1, kept.buckets), read, ddl(types))
