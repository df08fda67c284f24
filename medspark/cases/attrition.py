"""How many each criterion excluded, and how many cases each split has."""

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from medspark.cases.criteria import Criterion
from medspark.schemas import AGE, EXCLUDED, LABEL, SPLIT, SUBJECT_ID, TARGETS
from medspark.store.facts import Attrition, SplitCounts
from medspark.task.history import EARLIER_ROWS
from medspark.task.outcome import Targets
from medspark.task.table_task import TableTask


def count_attrition(marked: DataFrame, task: TableTask) -> list[Attrition]:
    """How many records each exclusion removed, in the task's order, in one grouped job."""
    counts = {row[EXCLUDED]: row["count"] for row in marked.groupBy(EXCLUDED).count().collect()}
    remaining = sum(counts.values())
    rows = [Attrition("records", "", 0, remaining)]
    for item in task.exclude:
        removed = counts.get(item.name, 0)
        remaining -= removed
        rows.append(Attrition(item.name, item.because, removed, remaining))
    return rows


def count_cases(cases: DataFrame, targets: Targets) -> dict[str, SplitCounts]:
    """For each split its cases, those with the outcome, and those whose outcome is unknown, in one job."""
    names = () if targets.kind == "binary" else targets.names
    each = [
        F.count_if(F.col(TARGETS)[at] == known).alias(f"{known} {name}")
        for at, name in enumerate(names)
        for known in (False, True)
    ]
    rows = (
        cases.groupBy(SPLIT)
        .agg(
            F.count(F.lit(1)).alias("cases"),
            F.count_if(F.col(LABEL)).alias("positives"),
            F.count_if(F.col(LABEL).isNull()).alias("unknown"),
            F.countDistinct(SUBJECT_ID).alias("subjects"),
            *each,
        )
        .collect()
    )
    return {
        row[SPLIT]: SplitCounts(
            row["cases"],
            row["subjects"],
            row["positives"],
            row["unknown"],
            {name: (row[f"False {name}"], row[f"True {name}"]) for name in names},
        )
        for row in rows
    }


def count_with_past(cases: DataFrame) -> tuple[int, int]:
    """How many cases there are, and how many of them have an earlier row."""
    found = cases.agg(F.count("*").alias("cases"), F.count_if(F.col(EARLIER_ROWS) > 0).alias("past")).collect()[0]
    return found["cases"], found["past"]


def count_impossible_ages(cases: DataFrame) -> int:
    """How many cases of events have a birth that no patient could have."""
    return cases.where(F.isnan(AGE)).count()


CANDIDATES = "candidates"


def observed_attrition(seen: Observation, reasons: list[Criterion]) -> list[Attrition]:
    """What each criterion removed, counted while the cases were written."""
    counts = seen.get
    remaining = counts[CANDIDATES]
    rows = [Attrition(CANDIDATES, "", 0, remaining)]
    for at, reason in enumerate(reasons):
        remaining -= counts[f"n{at}"]
        rows.append(Attrition(reason.name, reason.because, counts[f"n{at}"], remaining))
    return rows
