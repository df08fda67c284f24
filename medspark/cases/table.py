"""Records of a table to cases: one row for each (subject, prediction time) that is eligible."""

from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.cases.earlier_rows import with_past
from medspark.cases.split import assign_fold, assign_split
from medspark.schemas import (
    CASE_ID,
    EXCLUDED,
    FOLD,
    FOLLOWED,
    LABEL,
    PREDICTION_TIME,
    SOURCE_FILE,
    SOURCE_LINE,
    SPLIT,
    SUBJECT_ID,
    TARGET_TYPES,
    TARGETS,
    quoted,
)
from medspark.task.expressions import spark_sql
from medspark.task.outcome import Outcome
from medspark.task.scoring import exclusions_in_force, outcome_reads
from medspark.task.table_task import TableTask


class Criteria(NamedTuple):
    """What excludes a table's records from what is scored, for those who score them as they are cleaned."""

    applies: bool
    """Whether there is any."""
    reads: frozenset[str]
    """Columns and derived columns."""
    mark: Callable[[DataFrame], DataFrame]
    """Adds EXCLUDED to records that have these."""


def mark_excluded(records: DataFrame, task: TableTask, scoring: bool = False) -> DataFrame:
    """Add the name of the first criterion that excludes each record, null for an eligible one.

    A criterion that is unknown for a record (it reads a missing value) does not exclude it. Scoring applies none that
    reads the outcome's columns.
    """
    applied = exclusions_in_force(task) if scoring else task.exclude
    excluded = [F.when(F.expr(spark_sql(item.when)), item.name) for item in applied]
    return records.withColumn(EXCLUDED, F.coalesce(*excluded) if excluded else F.lit(None).cast("string"))


def build_cases(
    marked: DataFrame, task: TableTask, scoring: bool = False, earlier: DataFrame | None = None
) -> DataFrame:
    """The eligible records as cases: keys, split, label (null where the outcome is unknown), raw features, the past.

    When scoring every label is null, and so is a column of subgroups that the source lacks.

    Args:
        marked: records with the criterion that excludes each; what is excluded is past for those that come after it.
        task: whose records they are.
        scoring: whether for scoring.
        earlier: records that are no more than part of the others' past.
    """
    source = task.source
    past = task.features.history.columns() if task.features.history is not None else []
    marked = with_past(marked, task, earlier)
    time = F.col(quoted(source.time)) if source.time is not None else F.lit(None)
    subject = F.col(quoted(source.subject))
    return marked.where(F.col(EXCLUDED).isNull()).select(
        F.col(quoted(source.case)).alias(CASE_ID),
        subject.alias(SUBJECT_ID),
        time.cast("timestamp").alias(PREDICTION_TIME),
        assign_split(subject, task.split).alias(SPLIT),
        assign_fold(subject, task.split).alias(FOLD),
        *_labels(marked, task, scoring),
        *(F.col(quoted(name)) for name in task.features.columns()),
        *(_if_there(marked, name) if scoring else F.col(quoted(name)) for name in other_subgroups(task)),
        *(F.col(quoted(name)) for name in past),
        SOURCE_FILE,
        SOURCE_LINE,
    )


def _if_there(records: DataFrame, name: str) -> Column:
    """A column of subgroups; scoring asks no source for it."""
    return F.col(quoted(name)) if name in records.columns else F.lit(None).cast("string").alias(name)


def case_features(task: TableTask) -> list[str]:
    """The columns that cases carry: what features and subgroups read, once each."""
    return [*task.features.columns(), *other_subgroups(task)]


def other_subgroups(task: TableTask) -> list[str]:
    """The columns of subgroups that no feature reads."""
    return [name for name in dict.fromkeys(task.report.subgroups) if name not in task.features.columns()]


def _labels(records: DataFrame, task: TableTask, scoring: bool) -> list[Column]:
    """The label, and where there are several targets each one's label and how long the case was followed."""
    targets = task.outcome.targets
    if scoring or not set(outcome_reads(task)) <= set(records.columns):
        types = {LABEL: "boolean", **TARGET_TYPES}
        return [F.lit(None).cast(types[name]).alias(name) for name in targets.labels]
    found = _targets(task.outcome)
    columns = {LABEL: found[targets.headline], TARGETS: F.array(*found), FOLLOWED: _days(task.outcome)}
    return [columns[name].alias(name) for name in targets.labels]


def _targets(outcome: Outcome) -> list[Column]:
    """Each target's label, null where it is not known."""
    conditions = [F.expr(spark_sql(text)) for text in outcome.conditions().values()]
    kind = outcome.targets.kind
    if kind == "classes":  # the first that holds, as CASE has it
        place = F.coalesce(*(F.when(condition, F.lit(at)) for at, condition in enumerate(conditions)))
        return [place == at for at in range(len(conditions))]
    if kind == "horizons":
        event, days = conditions[0], _days(outcome)
        return [F.when(event & (days <= end), True).when(days >= end, False) for end in outcome.horizons_days]
    return conditions


def _days(outcome: Outcome) -> Column:
    """Days to the outcome or to the end of follow-up; null where either or the outcome is not known."""
    if outcome.days is None or outcome.event is None:
        return F.lit(None).cast("double")
    days = F.col(quoted(outcome.days)).cast("double")
    return F.when(F.expr(spark_sql(outcome.event)).isNotNull() & (days >= 0), days)
