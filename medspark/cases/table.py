"""Records of a table to cases: one row for each (subject, prediction time) that is eligible."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.cases.earlier_rows import with_past
from medspark.cases.split import assign_fold, assign_split
from medspark.schemas import (
    CASE_ID,
    EXCLUDED,
    FOLD,
    LABEL,
    PREDICTION_TIME,
    SOURCE_FILE,
    SOURCE_LINE,
    SPLIT,
    SUBJECT_ID,
    quoted,
)
from medspark.task.expressions import columns_of, spark_sql
from medspark.task.scoring import exclusions_in_force
from medspark.task.table_task import TableTask


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

    When scoring every label is null, and the features come without the columns of subgroups.

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
        _label(marked, task, scoring).alias(LABEL),
        *(F.col(quoted(name)) for name in (task.features.columns() if scoring else case_features(task))),
        *(F.col(quoted(name)) for name in past),
        SOURCE_FILE,
        SOURCE_LINE,
    )


def case_features(task: TableTask) -> list[str]:
    """The columns that cases carry: what features and subgroups read, once each."""
    return list(dict.fromkeys([*task.features.columns(), *task.report.subgroups]))


def _label(records: DataFrame, task: TableTask, scoring: bool) -> Column:
    if not scoring and set(columns_of(task.outcome.when)) <= set(records.columns):
        return F.expr(spark_sql(task.outcome.when))
    return F.lit(None).cast("boolean")
