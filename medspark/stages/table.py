"""The stages of a task whose source is a table: read, compose, write, count.

Every table of a stage is written whole, its counts are checked, and only then is it published.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.cases.attrition import count_attrition
from medspark.cases.eligible import Eligible
from medspark.cases.table import build_cases, mark_excluded
from medspark.clean.lookups import freeze_lookups
from medspark.clean.table import Counts, clean
from medspark.errors import TaskError
from medspark.runs.run import Run
from medspark.schemas import (
    CASE_ID,
    EXCLUDED,
    FILE,
    LINE,
    QUARANTINE,
    REASON,
    RECORDS,
    SOURCE_FILE,
    SOURCE_LINE,
    SUBJECT_ID,
    quoted,
)
from medspark.sources.repairs import read_repairs
from medspark.stages.features import publish_cases
from medspark.store.facts import read_facts, require_rows, require_rules, rules_digest, write_facts
from medspark.store.files import read_text
from medspark.store.tables import publish, read_table, table_path, write_version
from medspark.task.table_task import TableTask

CLEAN_SECTIONS = ("source", "columns", "derived", "lookups", "checks")
CASE_SECTIONS = ("exclude", "outcome", "features", "split", "report")


def clean_stage(run: Run, task: TableTask, repairs_path: str | None = None) -> TableTask:
    """Source to `records` and `quarantine`; returns the task with its look-ups frozen.

    Raises:
        InputError: see `medspark.clean.table.clean`.
    """
    spark = run.spark
    with run.receipt.timed("clean"), run.progress("clean"):
        task = with_lookups(run, task)
        repairs = read_repairs(spark, repairs_path) if repairs_path is not None else None
        cleaned = clean(spark, task, repairs=repairs)
        written = write_version(cleaned.records, run.store, RECORDS, run.version)
        aside = write_version(cleaned.quarantine, run.store, QUARANTINE, run.version)
        cleaned.release()
        require_rows(spark, written, cleaned.counts.records)
        require_rows(spark, aside, sum(cleaned.counts.quarantined.values()) + cleaned.counts.duplicates)
        facts = {"rules": rules_digest(task, CLEAN_SECTIONS), "fingerprint": cleaned.fingerprint}
        write_facts(run.context, written, {**facts, "counts": cleaned.counts._asdict()})
        publish(run.context, run.store, (RECORDS, QUARANTINE), run.version)
    run.receipt.inputs["source"] = {
        "path": task.source.path,
        "files": len(cleaned.files),
        "fingerprint": cleaned.fingerprint,
    }
    run.receipt.counts["clean"] = cleaned.counts._asdict()
    run.receipt.outputs |= {RECORDS: written, QUARANTINE: aside}
    _tell_clean(run, cleaned.counts)
    return task


def with_lookups(run: Run, task: TableTask) -> TableTask:
    """The task with its look-up tables read, from wherever Spark can read them.

    Raises:
        InputError: with every look-up that cannot be read, by name.
    """
    return freeze_lookups(task, partial(read_text, run.context))


def features_stage(run: Run, task: TableTask) -> None:
    """`records` to `cases` and `attrition`."""
    spark = run.spark
    with run.receipt.timed("features"), run.progress("features"):
        path = table_path(run.context, run.store, RECORDS)
        facts = read_facts(run.context, path)
        require_rules(facts, "rules", rules_digest(task, CLEAN_SECTIONS), "clean")
        marked = mark_excluded(read_table(spark, run.store, RECORDS), task)
        attrition = partial(count_attrition, marked, task)
        publish_cases(
            run, build_cases(marked, task), attrition, {**facts, "case_rules": rules_digest(task, CASE_SECTIONS)}
        )


@contextmanager
def eligible(run: Run, task: TableTask, source: str | None, as_of: str | None) -> Iterator[Eligible]:
    """The source's eligible cases, and why the other rows are none.

    Args:
        run: at work.
        task: a bundle's.
        source: the path that takes the place of the task's; None leaves it.
        as_of: a timestamp; cases whose prediction time is later are excluded.

    Raises:
        TaskError: there is an as-of time and no time to compare it with.
        InputError: the source breaks its contract.
        AccountingError: rows do not add up.
    """
    path = source or task.source.path
    task = task.model_copy(update={"source": task.source.model_copy(update={"path": path})})
    if as_of is not None and task.source.time is None:
        raise TaskError("--as-of", ["the task's source has no `time`, so there is nothing to compare it with"])
    with run.receipt.timed("clean"), run.progress("clean"):
        cleaned = clean(run.spark, task, scoring=True)
    marked = reject_later(mark_excluded(cleaned.records, task), task, as_of)
    excluded = marked.where(F.col(EXCLUDED).isNotNull()).select(
        F.col(quoted(task.source.case)).alias(CASE_ID),
        F.col(quoted(task.source.subject)).alias(SUBJECT_ID),
        F.col(SOURCE_FILE).alias(FILE),
        F.col(SOURCE_LINE).alias(LINE),
        F.col(EXCLUDED).alias(REASON),
    )
    inputs = {"path": path, "files": len(cleaned.files), "fingerprint": cleaned.fingerprint}
    counts = cleaned.counts
    cases = build_cases(marked, task)
    yield Eligible(
        cases, excluded, cleaned.quarantine, cleaned.fingerprint, inputs, counts._asdict(), lambda: counts.rows_in
    )
    cleaned.release()


def reject_later(marked: DataFrame, task: TableTask, as_of: str | None) -> DataFrame:
    """Exclude the cases whose prediction time is later than the as-of time, or unknown when one is asked for."""
    if as_of is None or task.source.time is None:
        return marked
    time = F.col(quoted(task.source.time)).cast("timestamp")
    late = F.when(time.isNull(), "no prediction time").when(
        time > F.lit(as_of).cast("timestamp"), "after the as-of time"
    )
    return marked.withColumn(EXCLUDED, F.coalesce(EXCLUDED, late))


def _tell_clean(run: Run, counts: Counts) -> None:
    run.say(f"  rows in     {counts.rows_in:>12,}")
    for rule, rows in counts.quarantined.items():
        run.say(f"  set aside   {rows:>12,}  {rule}")
    if counts.duplicates:
        run.say(f"  duplicates  {counts.duplicates:>12,}")
    if counts.repaired:
        run.say(f"  repaired    {counts.repaired:>12,}")
    run.say(f"  records     {counts.records:>12,}")
    for rule, rows in counts.set_missing.items():
        run.say(f"    emptied   {rows:>12,}  {rule}")
