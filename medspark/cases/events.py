"""Events to cases: each Spark task holds whole patients and makes all their cases in one pass.

Of records that are kept by patient workers read a bucket each, or Spark does, and nothing is shuffled; of others, the
events that a task reads are shuffled once.
"""

from collections.abc import Iterator
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.cases.split import assign_fold, assign_split
from medspark.cases.worker.candidates import Plan, make_candidates
from medspark.cases.worker.concepts import concept_read, events_read
from medspark.cases.worker.history import EVENTS_READ
from medspark.schemas import (
    AGE,
    CANDIDATE_TYPES,
    CASE_ID,
    CODE,
    EXCLUDED,
    FOLD,
    INDEX_TIME,
    LABEL,
    PREDICTION_TIME,
    ROW,
    ROW_COLUMNS,
    SPLIT,
    SUBJECT_ID,
    TARGET_TYPES,
    ddl,
    quoted,
    with_keys,
)
from medspark.spark.arrow import map_batches
from medspark.store.worker.buckets import Kept, counted_events, read_bucket
from medspark.task.population import Concept

SEQUENCE = "array<struct<code: string, hours_before: double, number: double>>"

_CASE_TIME = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"

EVENTS_A_TASK = 1_000_000
"""Events that one Spark task holds: some 200 MB of a Python worker."""


def build_candidates(records: DataFrame, plan: Plan, events: int, kept: Kept | None = None) -> DataFrame:
    """Every candidate of the population: its keys, the criterion that excludes it, its label and its features.

    The features of a candidate that is no case are null.

    Args:
        records: the events of a source.
        plan: what is asked for.
        events: how many records there are, from which the number of tasks is told.
        kept: where the same records are by patient; None where they are not kept so.
    """
    schema = ddl(candidate_types(plan, records))
    if kept is None:
        made = _shuffled(records, plan, events, schema)
    elif kept.reader == "workers":
        made = _read_by_workers(records.sparkSession, kept, plan, schema)
    else:
        made = _read_by_spark(records, kept, plan, schema)
    subject, split = F.col(SUBJECT_ID), plan.task.split
    labels = plan.task.outcome.targets.labels
    others = (SUBJECT_ID, INDEX_TIME, PREDICTION_TIME, EXCLUDED, *labels)
    features = [name for name in made.columns if name not in others]
    return made.select(
        F.concat_ws("@", subject.cast("string"), F.date_format(PREDICTION_TIME, _CASE_TIME)).alias(CASE_ID),
        SUBJECT_ID,
        PREDICTION_TIME,
        assign_split(subject, split).alias(SPLIT),
        assign_fold(subject, split).alias(FOLD),
        *labels,
        INDEX_TIME,
        *map(quoted, features),
        EXCLUDED,
    )


def _shuffled(records: DataFrame, plan: Plan, events: int, schema: str) -> DataFrame:
    parts = max(1, -(-events // EVENTS_A_TASK))
    concept = concept_read(plan.task)
    if ROW in records.columns:  # a writing that nothing reads may end one that is read
        wanted = records.select(*EVENTS_READ, *ROW_COLUMNS)
    else:
        wanted = records.select(*EVENTS_READ).where(F.lit(True) if concept is None else in_concept(concept))
    return _made(wanted.repartition(parts, SUBJECT_ID), plan, schema)


def _made(whole: DataFrame, plan: Plan, schema: str) -> DataFrame:
    """The candidates of events of which each task has whole patients."""
    concept = concept_read(plan.task)

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        if held:
            events = pa.Table.from_batches(held)
            events = counted_events(events) if ROW in events.schema.names else events
            yield from make_candidates(events_read(events, concept), plan).to_batches()

    return map_batches(whole, make, schema)


def _read_by_workers(spark: SparkSession, kept: Kept, plan: Plan, schema: str) -> DataFrame:
    """A task a bucket, which reads its file itself."""
    concept = concept_read(plan.task)

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for bucket in batch.column(0).to_pylist():
                events = read_bucket(kept, bucket, EVENTS_READ)
                if events is not None:
                    yield from make_candidates(events_read(events, concept), plan).to_batches()

    return map_batches(spark.range(0, kept.buckets, 1, kept.buckets), make, schema)


def _read_by_spark(records: DataFrame, kept: Kept, plan: Plan, schema: str) -> DataFrame:
    """A task a bucket, whose files Spark reads."""
    reader = records.sparkSession.read.option("__globPaths__", "false").schema(records.schema)
    columns = [*EVENTS_READ, *ROW_COLUMNS] if kept.has_writings else [*EVENTS_READ]
    files = [[f"{kept.folder}/{name}" for name, _ in kept.files(bucket)] for bucket in range(kept.buckets)]
    parts = [reader.parquet(*names).select(*columns).coalesce(1) for names in files if names]
    return _made(reduce(DataFrame.unionAll, parts), plan, schema)


def candidate_types(plan: Plan, records: DataFrame) -> dict[str, str]:
    """The Spark type of every column that workers return."""
    features = plan.task.features
    kinds = {
        "codes": "array<string>",
        "sequence": SEQUENCE,
        "grid": "map<string, array<double>>",
    }
    types: dict[str, str] = {}
    for name, kind in with_keys(CANDIDATE_TYPES, dict(records.dtypes)).items():
        types[name] = kind
        if name == LABEL:
            types |= {label: TARGET_TYPES[label] for label in plan.task.outcome.targets.labels[1:]}
    types |= {name: "string" for name in features.demographics if name != AGE}
    for column in features.columns():
        take = getattr(column.group, "take", ())
        fields = ", ".join(f"{name}: double" for name in take)
        types[column.name] = f"map<string, struct<{fields}>>" if column.kind == "values" else kinds[column.kind]
    return types


def in_concept(concept: Concept) -> Column:
    """Whether an event's code is in a concept."""
    begins = [F.col(CODE).startswith(prefix) for prefix in concept.prefixes]
    return reduce(Column.__or__, begins, F.col(CODE).isin(list(concept.codes)))


def count_concepts(records: DataFrame, concepts: dict[str, Concept]) -> dict[str, tuple[int, int]]:
    """For each concept its events and its patients, in one job."""
    found = [F.when(in_concept(concept), name) for name, concept in concepts.items()]
    rows = (
        records.select(SUBJECT_ID, F.explode(F.array_compact(F.array(*found))).alias("concept"))
        .groupBy("concept")
        .agg(F.count("*").alias("events"), F.countDistinct(SUBJECT_ID).alias("patients"))
        .collect()
    )
    counts = {row["concept"]: (row["events"], row["patients"]) for row in rows}
    return {name: counts.get(name, (0, 0)) for name in concepts}
