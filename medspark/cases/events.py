"""Events to cases: each Spark task holds whole patients and makes all their cases in one pass, after one shuffle."""

from collections.abc import Iterator
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.cases.split import assign_fold, assign_split
from medspark.cases.worker.candidates import Plan, make_candidates
from medspark.cases.worker.concepts import as_concept
from medspark.schemas import (
    AGE,
    AVAILABLE_TIME,
    CANDIDATE_TYPES,
    CASE_ID,
    CODE,
    EXCLUDED,
    FOLD,
    INDEX_TIME,
    LABEL,
    NUMERIC_VALUE,
    PREDICTION_TIME,
    SPLIT,
    SUBJECT_ID,
    TARGET_TYPES,
    TIME,
    ddl,
    quoted,
    with_keys,
)
from medspark.spark.arrow import map_batches
from medspark.task.population import Concept

SEQUENCE = "array<struct<code: string, hours_before: double, number: double>>"

READ = (SUBJECT_ID, TIME, CODE, NUMERIC_VALUE, AVAILABLE_TIME)

_CASE_TIME = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"

EVENTS_A_TASK = 1_000_000
"""Events that one Spark task holds: some 200 MB of a Python worker."""


def build_candidates(records: DataFrame, plan: Plan, events: int) -> DataFrame:
    """Every candidate of the population: its keys, the criterion that excludes it, its label and its features.

    The features of a candidate that is no case are null.

    Args:
        records: the events of a source.
        plan: what is asked for.
        events: how many records there are, from which the number of tasks is told.
    """
    schema = ddl(candidate_types(plan, records))

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        if held:
            yield from make_candidates(pa.Table.from_batches(held), plan).to_batches()

    parts = max(1, -(-events // EVENTS_A_TASK))
    wanted = records.select(*READ).where(_is_read(plan))
    made = map_batches(wanted.repartition(parts, SUBJECT_ID), make, schema)
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


def _is_read(plan: Plan) -> Column:
    """The events that any part of the task reads; the others need not cross the network."""
    task, mapping, population = plan.task, plan.task.mapping, plan.task.population
    followed = any(end is not None for end in task.outcome.ends)
    if mapping.observation is None and (population.history_days is not None or followed):
        return F.lit(True)  # observed from the first event, followed to the last, whatever they are
    names = [*task.outcome.concepts().values(), *task.features.reads(), *(rule.had for rule in population.require)]
    names += [rule.had for rule in population.exclude]
    if population.index is None:
        return F.lit(True)  # everybody with any event
    sets = [as_concept(name, task.concepts) for name in [*population.index.event, *names]]
    first_parts = [f"{mapping.demographics[name]}/" for name in task.features.demographics if name != AGE]
    own = [mapping.birth, mapping.death]
    own += [mapping.observation.start, mapping.observation.end] if mapping.observation is not None else []
    sets.append(Concept(codes=tuple(own), prefixes=tuple(first_parts)))
    codes = {code for concept in sets for code in concept.codes}
    prefixes = {prefix for concept in sets for prefix in concept.prefixes}
    return in_concept(Concept(codes=tuple(sorted(codes)), prefixes=tuple(sorted(prefixes))))


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
