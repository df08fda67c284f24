"""What a source comes to at a time, by a bundle's task: where scoring and encoding both begin."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import TypeVar

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundles.bundle import Bundle
from medspark.cases.attrition import CANDIDATES, IMPOSSIBLE, impossible_ages
from medspark.cases.events import build_candidates
from medspark.cases.table import Criteria, build_cases, mark_excluded
from medspark.cases.worker.candidates import Plan
from medspark.errors import InputError, TaskError
from medspark.runs.chosen import Asked
from medspark.runs.run import Run
from medspark.schemas import (
    CASE_ID,
    EXCLUDED,
    FILE,
    LINE,
    PREDICTION_TIME,
    QUARANTINE,
    REASON,
    RECORDS,
    SOURCE_FILE,
    SOURCE_LINE,
    SUBJECT_ID,
    quoted,
)
from medspark.score.eligible import CasesToScore, Eligible
from medspark.score.serve import score_id
from medspark.stages.absent import absent_names, suddenly_empty, suddenly_silent
from medspark.stages.ages import tell_ages
from medspark.stages.clean import CleanSource, clean_source
from medspark.stages.past import read_earlier, tell_past
from medspark.stages.records import kept_records
from medspark.store.facts import (
    EventCounts,
    RecordsFacts,
    SourceRead,
    TableCounts,
    clean_rules,
    read_facts,
    records_fingerprint,
    require_rules,
    rows_quarantined,
)
from medspark.store.manifest import whole_path
from medspark.store.tables import read_parquet, read_table
from medspark.task.event_task import EventTask
from medspark.task.expressions import columns_of
from medspark.task.population import to_micros
from medspark.task.scoring import columns_asked_for, exclusions_in_force, exclusions_not_applied
from medspark.task.table_task import TableTask, has_history
from medspark.task.tasks import Task

AnyTask = TypeVar("AnyTask", TableTask, EventTask, TableTask | EventTask)


def eligible(
    run: Run,
    task: Task,
    source: str | None,
    as_of: str | None,
    history: str | None = None,
    reader: Asked = "auto",
    where_they_lie: bool = False,
) -> AbstractContextManager[Eligible]:
    """The source's eligible cases, and why its other rows are none; what was kept of it is freed at the end.

    Args:
        run: at work.
        task: a bundle's.
        source: the path that takes the place of the task's; None leaves it.
        as_of: a time such as 2026-11-27T06:00, UTC unless it has an offset. Of a table, cases whose prediction time is
            later are excluded; of events, what happened or became known later is left out, and the population is taken
            as it then stood.
        history: a store whose `records` are part of the cases' past, in place of the task's; None leaves it. Of
            events, a store whose records are read in place of the source.
        reader: who reads the source, as `medspark.clean.table.clean` has it.
        where_they_lie: whether workers are to score a table's rows where they put them down, if they can, so that
            nobody writes them for Spark.

    Raises:
        TaskError: what is asked for does not suit the task, or is no time.
        InputError: the source breaks its contract.
        AccountingError: rows do not add up.
    """
    until = _moment(as_of)
    if isinstance(task, EventTask):
        if history is not None:
            return _of_records(run, task, history, until)
        return _of_events(run, task, source, until, reader)
    if history is not None and not has_history(task):
        raise TaskError("--history", ["the bundle's task has no features.history, so that nobody reads earlier rows"])
    return _of_table(run, task, source, until, history, reader, where_they_lie)


def _moment(as_of: str | None) -> int | None:
    """An as-of time in microseconds since 1970.

    Raises:
        TaskError: it is no time, as a word is that the clock alone gives a meaning.
    """
    try:
        return to_micros(as_of) if as_of is not None else None
    except ValueError:
        raise TaskError("--as-of", ["expected a time such as 2026-11-27T06:00, received something else"]) from None


def begin(run: Run, bundle: Bundle, found: Eligible, as_of: str | None) -> str:
    """Note in the receipt what is scored, and give the scoring run's id."""
    run.receipt.bundle_id = bundle.bundle_id
    require_what_training_read(run, bundle, found.counts)
    run.receipt.inputs["source"] = found.read
    run.receipt.count("score", found.counts)
    if isinstance(bundle.task, TableTask) and (not_applied := exclusions_not_applied(bundle.task)):
        run.receipt.counts["score"]["not_applied"] = list(not_applied)
        for name in not_applied:
            run.say(f"  not applied               {name}: it reads the outcome's columns")
    if has_history(bundle.task):
        tell_past(run, bundle, found)
    earlier = found.earlier.fingerprint if found.earlier is not None else None
    run.receipt.version = score_id(bundle.bundle_id, found.read.fingerprint, as_of, earlier)
    return run.receipt.version


def require_what_training_read(run: Run, bundle: Bundle, counts: TableCounts | EventCounts) -> None:
    """Refuse a source that lacks a table or a column that training read, or any value of one: everybody would lack what
    it says. Tables without a row on a night of few patients are told of, and no more.

    Raises:
        InputError: naming them, unless the task only warns.
    """
    trained = bundle.manifest.get("counts", {})
    early: list[str] = []
    if isinstance(bundle.task, EventTask):
        assert isinstance(counts, EventCounts)
        tables = trained.get("tables", {})
        silent, early = suddenly_silent(tables, counts, bundle.task)
        absent = [*absent_names(tables, counts), *silent]
    else:
        assert isinstance(counts, TableCounts)
        absent = suddenly_empty(trained, counts, columns_asked_for(bundle.task))
    told = f"training read {', '.join([*absent, *early])}, which this source lacks"
    if absent and bundle.task.scoring.absent == "stop":
        raise InputError(f"{told}: expected all that training read. A task whose `scoring: absent` is warn goes on.")
    run.receipt.absent = [*absent, *early]
    if run.receipt.absent:
        run.say(f"  absent      {told}")


@contextmanager
def _of_table(
    run: Run,
    task: TableTask,
    source: str | None,
    until: int | None,
    history: str | None,
    reader: Asked,
    where_they_lie: bool,
) -> Iterator[Eligible]:
    task = moved(task, source)
    if until is not None and task.source.time is None:
        raise TaskError("--as-of", ["the task's source has no `time`, so there is nothing to compare it with"])
    with ExitStack() as stack:
        criteria = _criteria(task, until)
        as_they_lie = where_they_lie and _scored_as_they_lie(task, criteria)
        found = _cleaned(run, task, stack, reader, criteria if as_they_lie else None)
        rows = found.counts.rows_in
        earlier, read = read_earlier(run, task, history)

        @cache
        def marked() -> DataFrame:
            return criteria.mark(found.records)

        @cache
        def cases() -> DataFrame:
            built = build_cases(marked(), task, scoring=True, earlier=earlier)
            if has_history(task):  # they are counted before they are scored
                stack.callback(built.persist(StorageLevel.MEMORY_AND_DISK).unpersist)
            return built

        frames = (cases, lambda: _excluded(marked(), task), found.read_quarantine)
        to_score = CasesToScore(found.to_score, _keys(task)) if found.to_score is not None else None
        aside = rows_quarantined(found.counts)
        yield Eligible(*frames, found.read, found.counts, lambda: rows, aside, read, to_score)


def _keys(task: TableTask) -> dict[str, str | None]:
    return {CASE_ID: task.source.case, SUBJECT_ID: task.source.subject, PREDICTION_TIME: task.source.time}


def _excluded(marked: DataFrame, task: TableTask) -> DataFrame:
    keys = (quoted(task.source.case), quoted(task.source.subject), SOURCE_FILE, SOURCE_LINE, EXCLUDED)
    names = (CASE_ID, SUBJECT_ID, FILE, LINE, REASON)
    return marked.where(F.col(EXCLUDED).isNotNull()).select(
        *(F.col(key).alias(name) for key, name in zip(keys, names, strict=True))
    )


def _criteria(task: TableTask, until: int | None) -> Criteria:
    applied, late = exclusions_in_force(task), until is not None and task.source.time is not None
    reads = {name for item in applied for name in columns_of(item.when)} | ({str(task.source.time)} if late else set())

    def mark(records: DataFrame) -> DataFrame:
        return exclude_later(mark_excluded(records, task, scoring=True), task, until)

    return Criteria(bool(applied) or late, frozenset(reads), mark)


def _scored_as_they_lie(task: TableTask, criteria: Criteria) -> bool:
    """Whether workers can score records as they clean them: a case is what its record says, at a time of day."""
    time, typed = task.source.time, {**task.columns, **task.derived}
    at_a_time = time is None or (time in typed and typed[time].type == "timestamp")
    return at_a_time and not has_history(task) and criteria.reads <= {*task.columns, *task.derived}


@contextmanager
def _of_events(run: Run, task: EventTask, source: str | None, until: int | None, reader: Asked) -> Iterator[Eligible]:
    task = moved(task, source)
    plan = _plan_at(task, until)
    with ExitStack() as stack:
        found = _cleaned(run, task, stack, reader)
        candidates = build_candidates(found.records, plan, found.counts.records)
        aside = rows_quarantined(found.counts)
        yield _sorted_out(run, candidates, stack, found.quarantine, aside, found.read, found.counts)


@contextmanager
def _of_records(run: Run, task: EventTask, store: str, until: int | None) -> Iterator[Eligible]:
    """What was set aside of the source is in that store's quarantine, and no case of this one."""
    plan = _plan_at(task, until)
    path = whole_path(run.context, store, RECORDS)
    facts = read_facts(run.context, path, RecordsFacts)
    require_rules(facts.rules, clean_rules(task), "clean")
    fingerprint = records_fingerprint(facts, path)
    read = SourceRead(store, len(facts.taken), fingerprint, because="they are a store's records")
    with ExitStack() as stack:
        records = read_parquet(run.spark, path)
        kept = kept_records(run.context, path, facts)
        candidates = build_candidates(records, plan, facts.counts.records, kept)
        nothing = read_table(run.spark, store, QUARANTINE).limit(0)
        yield _sorted_out(run, candidates, stack, nothing, 0, read, facts.counts)


def _plan_at(task: EventTask, until: int | None) -> Plan:
    if task.population.index is None and until is None:
        raise TaskError(
            "--as-of",
            ["the population is everybody at one time: say which, as in --as-of 2026-11-23T06:00"],
        )
    return Plan(task, as_of=until, scoring=True)


def _sorted_out(
    run: Run,
    candidates: DataFrame,
    stack: ExitStack,
    quarantine: DataFrame,
    quarantined: int,
    read: SourceRead,
    counts: TableCounts | EventCounts,
) -> Eligible:
    """Candidates, kept until the stack is left, as cases and others."""
    candidates = candidates.persist(StorageLevel.MEMORY_AND_DISK)
    stack.callback(candidates.unpersist)
    excluded = candidates.where(F.col(EXCLUDED).isNotNull()).select(
        CASE_ID,
        SUBJECT_ID,
        F.lit(None).cast("string").alias(FILE),
        F.lit(None).cast("bigint").alias(LINE),
        F.col(EXCLUDED).alias(REASON),
    )
    cases = candidates.where(F.col(EXCLUDED).isNull())

    def expected() -> int:
        found = candidates.agg(F.count("*").alias(CANDIDATES), impossible_ages()).collect()[0]
        tell_ages(run, "score", found[IMPOSSIBLE])
        return int(found[CANDIDATES]) + quarantined

    return Eligible(lambda: cases, lambda: excluded, lambda: quarantine, read, counts, expected, quarantined)


def moved(task: AnyTask, source: str | None) -> AnyTask:
    """The task with another place of its source; None leaves it.

    Raises:
        TaskError: the source is a database, which is at no path.
    """
    if source is None:
        return task
    if task.source.format == "jdbc":
        raise TaskError("--source", ["the bundle reads a database, whose place is in its task; leave --source out"])
    return task.model_copy(update={"source": task.source.model_copy(update={"path": source})})


def _cleaned(run: Run, task: Task, stack: ExitStack, reader: Asked, criteria: Criteria | None = None) -> CleanSource:
    """The task's source, open until the stack is left."""
    with run.receipt.timed("clean"), run.progress("clean"):
        return stack.enter_context(clean_source(run, task, scoring=True, reader=reader, criteria=criteria))


def exclude_later(marked: DataFrame, task: TableTask, until: int | None) -> DataFrame:
    """Exclude the cases whose prediction time is later than the as-of time, in microseconds since 1970, or unknown when
    one is asked for."""
    if until is None or task.source.time is None:
        return marked
    time = F.col(quoted(task.source.time)).cast("timestamp")
    late = F.when(time.isNull(), "no prediction time").when(
        time > F.timestamp_micros(F.lit(until)), "after the as-of time"
    )
    return marked.withColumn(EXCLUDED, F.coalesce(EXCLUDED, late))
