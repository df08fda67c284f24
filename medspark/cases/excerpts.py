"""The histories of the training split's patients, outcome or none, as excerpts for pretraining: one shuffle."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.cases.events import EVENTS_A_TASK, SEQUENCE
from medspark.cases.split import assign_split
from medspark.cases.worker.excerpts import make_excerpts
from medspark.cases.worker.history import EVENTS_READ
from medspark.schemas import SUBJECT_ID, TRAIN, quoted
from medspark.spark.arrow import map_batches
from medspark.task.event_task import EventTask
from medspark.task.features import GroupColumn


def build_excerpts(records: DataFrame, task: EventTask, column: GroupColumn) -> DataFrame:
    """The sequences of a column, one a excerpt of a history. No event of another split's patient is read."""
    concepts = task.concepts

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        if held:
            yield from make_excerpts(pa.Table.from_batches(held), column, concepts).to_batches()

    known = records.select(*EVENTS_READ).where(assign_split(F.col(SUBJECT_ID), task.split) == TRAIN)
    parts = max(1, -(-known.count() // EVENTS_A_TASK))
    return map_batches(known.repartition(parts, SUBJECT_ID), make, f"{quoted(column.name)} {SEQUENCE}")
