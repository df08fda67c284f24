"""Prediction times and outcomes that somebody else has drawn, as MEDS keeps labels."""

import hashlib
from collections.abc import Mapping
from typing import Final

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import LABEL, PREDICTION_TIME, SUBJECT_ID
from medspark.sources.failures import readable
from medspark.sources.parquet import look_at_parquet
from medspark.sources.stored import StoredFile
from medspark.store.files import list_files, sha256_of
from medspark.store.tables import read_parquet
from medspark.task.event_task import EventTask
from medspark.task.population import Labels

MOST: Final = 5_000_000
"""Labels that each Python worker is told of: some 150 MB."""
_KEYS: Final = {SUBJECT_ID: ("bigint", "int", "string"), PREDICTION_TIME: ("timestamp", "timestamp_ntz")}
_WHERE: Final = "population.labels"


def read_labels(spark: SparkSession, task: EventTask) -> pa.Table | None:
    """The labels of the task's population, in no order; None where it has no such.

    Returns:
        SUBJECT_ID as text, PREDICTION_TIME in microseconds since 1970, and LABEL, null where it is not known.

    Raises:
        InputError: they are others than before, cannot be read, lack a column or a value of it, are more than MOST, or
            a patient has two at one time.
    """
    labels, column = task.population.labels, task.outcome.label
    if labels is None or column is None:
        return None
    if labels.sha256 not in (None, received := digest_of(spark.sparkContext, labels)):
        raise InputError(
            f"{_WHERE}: expected {labels.path} with the digest {labels.sha256}, received one with {received}"
        )
    files, wanted = _files(spark.sparkContext, labels), {**_KEYS, column: ("boolean",)}
    problems = [problem for file in files for problem in _problems(look_at_parquet(spark.sparkContext, file), wanted)]
    if problems:
        raise InputError("\n  - ".join([f"{_WHERE}: {len(problems)} problems", *problems]))
    rows = read_parquet(spark, *files).select(
        F.col(SUBJECT_ID).cast("string").alias(SUBJECT_ID),
        F.unix_micros(F.col(PREDICTION_TIME).cast("timestamp")).alias(PREDICTION_TIME),
        F.col(column).alias(LABEL),
    )
    with readable(labels.path):
        if (count := rows.count()) > MOST:
            raise InputError(f"{_WHERE}: expected {MOST:,} labels at most, received {count:,}")
        read = rows.toArrow()
    lacking = sum(read[name].null_count for name in _KEYS)
    twice = read.num_rows - read.group_by([SUBJECT_ID, PREDICTION_TIME]).aggregate([]).num_rows
    if lacking or twice:
        raise InputError(
            f"{_WHERE}: expected each patient once at a time; received {lacking} without patient or time, and {twice} "
            "of a patient and a time that another has"
        )
    return read


def _problems(file: StoredFile, wanted: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Of each file, since Spark takes the first one's columns for those of all."""
    return [
        f"{file.file}: expected {name} as {' or '.join(kinds)}, received {file.dtypes.get(name, 'no such column')}"
        for name, kinds in wanted.items()
        if file.dtypes.get(name) not in kinds
    ]


def digest_of(context: SparkContext, labels: Labels) -> str:
    """The digest of a file of labels, or of all those in a folder.

    Raises:
        InputError: there is none.
    """
    files = _files(context, labels)
    if len(files) == 1:
        return sha256_of(context, files[0])
    return hashlib.sha256("\n".join(sha256_of(context, file) for file in files).encode()).hexdigest()


def _files(context: SparkContext, labels: Labels) -> list[str]:
    files = [file for file in list_files(context, labels.path) if file.endswith(".parquet")]
    if not files:
        raise InputError(f"{_WHERE}: there is no Parquet file at {labels.path}")
    return files
