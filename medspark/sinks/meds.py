"""A store as a dataset of the Medical Event Data Standard: records as data, cases as labels, scores as predictions.

    OUT/data/*.parquet                    all events of a patient in one file, by patient and time, static ones first
    OUT/metadata/codes.parquet            every code; dataset.json; subject_splits.parquet
    OUT/labels/TASK/*.parquet             subject_id, prediction_time, boolean_value
    OUT/predictions/TASK/*.parquet        the same, with predicted_boolean_value and predicted_boolean_probability

https://medical-event-data-standard.github.io
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.cases.split import MEDS_SIDES, assign_split, divided, renamed
from medspark.errors import AccountingError, InputError, TaskError
from medspark.runs.lock import LOCK
from medspark.runs.receipt import now, package_versions
from medspark.runs.run import local_path
from medspark.schemas import (
    AVAILABLE_TIME,
    CODE,
    ENCOUNTER_ID,
    LABEL,
    NUMERIC_VALUE,
    PREDICTION_TIME,
    PROBABILITY,
    SPLIT,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    UNIT,
    UNUSED,
)
from medspark.store.files import list_files, rename_only_file, write_text
from medspark.store.tables import read_parquet
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task

MEDS_VERSION = "0.4"
DATA = [
    (SUBJECT_ID, pa.int64()),
    (TIME, pa.timestamp("us")),
    (CODE, pa.string()),
    (NUMERIC_VALUE, pa.float32()),
    (TEXT_VALUE, pa.large_string()),
    (UNIT, pa.string()),
    (ENCOUNTER_ID, pa.string()),
    (AVAILABLE_TIME, pa.timestamp("us")),
]
"""The standard's columns and this project's beside them; times are UTC."""
EVENTS_A_FILE = 5_000_000


def write_dataset(
    records: DataFrame, cases: DataFrame | None, scores: DataFrame | None, task: EventTask, out: str, threshold: float
) -> dict[str, int]:
    """Write a store's tables, whole, into a folder that is empty or absent.

    Args:
        records: the events.
        cases: whose labels are written; None where there are none.
        scores: which become predictions; None where there are none.
        task: whose cases and scores these are.
        out: the dataset's folder.
        threshold: the probability from which a prediction is positive.

    Returns:
        The rows of each part.

    Raises:
        InputError: the folder has files, or patients are not whole numbers, as the standard wants them.
    """
    context = records.sparkSession.sparkContext
    if any(not below.startswith(LOCK) for below in list_files(context, out).values()):
        raise InputError(f"{out}: expected an empty folder for the dataset, received one with files")
    kind = dict(records.dtypes)[SUBJECT_ID]
    if kind not in ("bigint", "int"):
        raise InputError(f"expected patients told apart by whole numbers, as MEDS has them, received {kind}")
    counts = {"events": records.count()}
    _write_data(records, out, counts["events"])
    _one_file(_codes(records), f"{out}/metadata/codes.parquet")
    _one_file(_splits(records, task), f"{out}/metadata/subject_splits.parquet")
    labels = _labels(cases) if cases is not None else None
    if labels is not None:
        counts["labels"] = _write(labels, f"{out}/labels/{task.task}")
    if scores is not None:
        counts["predictions"] = _write(_predictions(scores, labels, threshold), f"{out}/predictions/{task.task}")
    write_text(context, f"{out}/metadata/dataset.json", json.dumps(_about(task), indent=1))
    return counts


def require_carried(task: Task) -> None:
    """Refuse an outcome that the standard has no labels for: it knows yes and no.

    Raises:
        TaskError: the task has classes, several outcomes or horizons.
    """
    kind = task.outcome.targets.kind
    if kind != "binary":
        raise TaskError(task.task, [f"outcome: MEDS has labels of yes and no alone, and cannot carry {kind}"])


def _write_data(records: DataFrame, out: str, events: int) -> None:
    """Files written by pyarrow, since the standard wants `text_value` as Arrow's large_string, which Spark has not."""
    folder = local_path(f"{out}/data")
    folder.mkdir(parents=True)
    data = records.select(F.col(SUBJECT_ID).cast("bigint").alias(SUBJECT_ID), *(name for name, _ in DATA[1:]))
    files = -(-events // EVENTS_A_FILE) or 1
    ordered = data.repartition(files, SUBJECT_ID).sortWithinPartitions(SUBJECT_ID, F.col(TIME).asc_nulls_first(), CODE)
    written = ordered.mapInArrow(partial(_write_file, folder), "events bigint").agg(F.sum("events")).collect()[0][0]
    if (written or 0) != events:
        raise AccountingError(f"{events} events were to be written, {written} were")


def _write_file(folder: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One file of a task's events, moved into place when it is whole: a task that is tried again writes it again."""
    context = TaskContext.get()
    assert context is not None
    file = folder / f"{context.partitionId()}.parquet"
    aside = folder / f".{file.name}.{context.taskAttemptId()}"
    schema, events = pa.schema(DATA), 0
    with pq.ParquetWriter(aside, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            columns = [_as_type(batch.column(field.name), field.type) for field in schema]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            events += batch.num_rows
    aside.rename(file)
    yield pa.RecordBatch.from_arrays([pa.array([events], pa.int64())], names=["events"])


def _as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column as the standard has it; a number is rounded to 32 bits, as it asks."""
    return column.cast(kind, safe=not pa.types.is_floating(kind))


def _naive(name: str) -> Column:
    """A time without a zone, as the standard writes them; it is UTC."""
    return F.col(name).cast("timestamp_ntz").alias(name)


def _codes(records: DataFrame) -> DataFrame:
    none = F.lit(None)
    described = (none.cast("string").alias("description"), none.cast("array<string>").alias("parent_codes"))
    return records.groupBy(CODE).agg(F.count("*").alias("count")).select(CODE, *described, "count").orderBy(CODE)


def _splits(records: DataFrame, task: EventTask) -> DataFrame:
    subjects = records.select(F.col(SUBJECT_ID).cast("bigint").alias(SUBJECT_ID)).distinct()
    sided = subjects.withColumn(SPLIT, assign_split(F.col(SUBJECT_ID), task.split))
    if task.split.subjects is not None:
        sided = divided(sided, task.split).where(F.col(SPLIT) != UNUSED)
    names = {side: name for name, side in MEDS_SIDES.items()}
    return sided.select(SUBJECT_ID, renamed(F.col(SPLIT), names).alias(SPLIT)).orderBy(SUBJECT_ID)


def _labels(cases: DataFrame) -> DataFrame:
    known = cases.where(F.col(LABEL).isNotNull())
    return known.select(F.col(SUBJECT_ID).cast("bigint").alias(SUBJECT_ID), _naive(PREDICTION_TIME), LABEL)


def _predictions(scores: DataFrame, labels: DataFrame | None, threshold: float) -> DataFrame:
    """Scores by the standard's names; the label where the store's cases have it."""
    named = scores.select(
        F.col(SUBJECT_ID).cast("bigint").alias(SUBJECT_ID),
        _naive(PREDICTION_TIME),
        (F.col(PROBABILITY) >= threshold).alias("predicted_boolean_value"),
        F.col(PROBABILITY).alias("predicted_boolean_probability"),
    )
    if labels is None:
        labelled = named.withColumn(LABEL, F.lit(None).cast("boolean"))
    else:
        labelled = named.join(labels, on=[SUBJECT_ID, PREDICTION_TIME], how="left")
    return labelled.select(
        SUBJECT_ID, PREDICTION_TIME, LABEL, "predicted_boolean_value", "predicted_boolean_probability"
    )


def _about(task: EventTask) -> dict[str, object]:
    return {
        "dataset_name": task.source.mapping,
        "etl_name": "medspark",
        "etl_version": package_versions()["medspark"],
        "meds_version": MEDS_VERSION,
        "created_at": now(),
        "other_extension_columns": [UNIT, ENCOUNTER_ID, AVAILABLE_TIME],
    }


def _write(frame: DataFrame, path: str) -> int:
    frame.write.parquet(path)
    return read_parquet(frame.sparkSession, path).count()


def _one_file(frame: DataFrame, path: str) -> None:
    frame.coalesce(1).write.parquet(f"{path}.parts")
    rename_only_file(frame.sparkSession.sparkContext, f"{path}.parts", path, ".parquet")
