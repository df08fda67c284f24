"""How many each criterion excluded, and how many cases each split has."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from medspark.cases.criteria import Criterion
from medspark.schemas import AGE, EXCLUDED, LABEL, SPLIT, SUBJECT_ID, TARGETS
from medspark.store.facts import Attrition, SplitCounts
from medspark.task.history import EARLIER_ROWS
from medspark.task.outcome import Targets
from medspark.task.population import NO_EVENTS
from medspark.task.table_task import TableTask


class Counted(NamedTuple):
    """What became of the candidates, counted before any of them is excluded."""

    attrition: list[Attrition]
    impossible_ages: int | None = None
    """Of events: candidates born after their prediction time, or longer before it than anybody lives."""


def count_attrition(marked: DataFrame, task: TableTask) -> Counted:
    """How many records each exclusion removed, in the task's order, in one grouped job."""
    counts = {row[EXCLUDED]: row["count"] for row in marked.groupBy(EXCLUDED).count().collect()}
    remaining = sum(counts.values())
    rows = [Attrition("records", "", 0, remaining)]
    for item in task.exclude:
        removed = counts.get(item.name, 0)
        remaining -= removed
        rows.append(Attrition(item.name, item.because, removed, remaining))
    return Counted(rows)


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


CANDIDATES = "candidates"
IMPOSSIBLE = "impossible_ages"


def impossible_ages() -> Column:
    """How many candidates have an age that is no number, as one is that nobody can have."""
    return F.count_if(F.isnan(AGE)).alias(IMPOSSIBLE)


def observed_counts(seen: Observation, reasons: list[Criterion], labels: int | None = None) -> Counted:
    """What became of the candidates, counted while the cases were written, and of so many labels."""
    counts = seen.get
    removed = {reason.name: counts[f"n{at}"] for at, reason in enumerate(reasons)}
    return Counted(attrition_of(counts[CANDIDATES], removed, reasons, labels), counts[IMPOSSIBLE])


def attrition_of(
    candidates: int, removed: Mapping[Any, int], reasons: list[Criterion], labels: int | None = None
) -> list[Attrition]:
    """What each criterion left of so many candidates, or of so many labels, some of which no candidate came of."""
    rows = [Attrition(CANDIDATES, "", 0, candidates if labels is None else labels)]
    if labels is not None:
        because = "nothing was known of the patient by then"
        rows.append(Attrition(NO_EVENTS, because, labels - candidates, candidates))
    for reason in reasons:
        candidates -= removed[reason.name]
        rows.append(Attrition(reason.name, reason.because, removed[reason.name], candidates))
    return rows
