"""The features stage: `records` to `cases` and `attrition`."""

from collections.abc import Callable
from dataclasses import asdict, astuple
from functools import partial
from typing import NamedTuple

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from medspark.cases.attrition import (
    CANDIDATES,
    Counted,
    count_attrition,
    count_cases,
    count_with_past,
    impossible_ages,
    observed_counts,
)
from medspark.cases.criteria import criteria
from medspark.cases.events import build_candidates
from medspark.cases.split import divided, faults_of_splits, gaps_of_splits
from medspark.cases.table import build_cases, mark_excluded
from medspark.cases.worker.candidates import Plan
from medspark.errors import AccountingError, InputError
from medspark.events.labels import read_labels
from medspark.events.write_cases import can_write_cases, write_cases_by_workers
from medspark.runs.lock import alone
from medspark.runs.run import Run
from medspark.runs.tables import making, publish_tables
from medspark.schemas import ATTRITION, ATTRITION_TYPES, CASES, EXCLUDED, RECORDS, SUBJECT_ID, ddl
from medspark.score.choose_way import choose
from medspark.spark.failures import expressions_hold
from medspark.stages.ages import tell_ages
from medspark.stages.records import kept_records
from medspark.store.facts import (
    Attrition,
    CasesFacts,
    EventCounts,
    RecordsFacts,
    TableCounts,
    case_rules,
    clean_rules,
    labels_of,
    read_facts,
    require_rules,
    write_facts,
)
from medspark.store.files import full_path, make_folder
from medspark.store.manifest import whole_path
from medspark.store.tables import read_parquet, read_table, table_path, write_version
from medspark.store.worker.buckets import Kept
from medspark.task.event_task import EventTask
from medspark.task.places import expression_places
from medspark.task.table_task import TableTask, has_history
from medspark.task.tasks import Task


class Built(NamedTuple):
    """The eligible cases, and what became of the candidates, to be asked for once the cases are written."""

    cases: DataFrame
    counted: Callable[[], Counted]


@alone
def features_stage(run: Run, task: Task) -> None:
    """`records` to `cases` and `attrition`; the task is frozen.

    Raises:
        InputError: there are no records, or another task file made them.
        AccountingError: more or fewer became cases than are eligible; then nothing is published.
    """
    held = expressions_hold(expression_places(task))
    with run.receipt.timed("features"), run.progress("features"), held:
        facts = require_records(run, task)
        task = observed_as(task, facts.counts)
        records = read_table(run.spark, run.store, RECORDS)
        with making(run, (CASES, ATTRITION), run.version):
            cases, counted = _put_cases(run, task, facts, records)
            _publish(run, cases, counted.attrition, facts, task)
    if counted.impossible_ages is not None:
        tell_ages(run, "features", counted.impossible_ages)


def observed_as(task: Task, counts: TableCounts | EventCounts) -> Task:
    """The task, which says so where no table of what was read tells a period of observation."""
    if isinstance(task, EventTask) and isinstance(counts, EventCounts):
        return task.observed_as(counts.tables_with_events)
    return task


def observed_as_cases(run: Run, task: Task) -> Task:
    """The same, by what the store's current cases are of.

    Raises:
        InputError: there are none.
    """
    facts = read_facts(run.context, table_path(run.context, run.store, CASES), CasesFacts)
    return observed_as(task, facts.counts)


def require_records(run: Run, task: Task) -> RecordsFacts:
    """The facts of the current records.

    Raises:
        InputError: there are none, a file of them is not as it was published, or another task file made them.
    """
    facts = read_facts(run.context, whole_path(run.context, run.store, RECORDS), RecordsFacts)
    require_rules(facts.rules, clean_rules(task), "clean")
    return facts


def require_cases(run: Run, task: Task, same_labels: bool = False) -> CasesFacts:
    """The facts of the current cases.

    Args:
        same_labels: whether they must be of the very labels that the frozen task says.

    Raises:
        InputError: there are none, a file of them is not as it was published, or another task file made them.
    """
    facts = read_facts(run.context, whole_path(run.context, run.store, CASES), CasesFacts)
    require_rules(facts.rules, clean_rules(task), "clean")
    require_rules(facts.case_rules, case_rules(task), "features")
    if same_labels and facts.labels != labels_of(task):
        raise InputError("the store's cases are of other labels than this task's. Run `medspark features` again first.")
    return facts


def built_cases(
    records: DataFrame,
    task: Task,
    count: int,
    earlier: DataFrame | None = None,
    kept: Kept | None = None,
    as_of: int | None = None,
) -> Built:
    """Records to cases with their outcomes.

    Args:
        records: of the task's source.
        task: frozen.
        count: how many records there are.
        earlier: of a table, records that are no more than part of the others' past.
        kept: of events, where the same records are by patient.
        as_of: of events, microseconds since 1970: nothing that came later is read, and who is still at risk is no case.
    """
    if isinstance(task, EventTask):
        plan = Plan(task, as_of, labels=read_labels(records.sparkSession, task))
        built = _of_events(records, plan, count, kept)
    else:
        built = _of_table(records, task, earlier)
    return built._replace(cases=divided(built.cases, task.split))


def _of_table(records: DataFrame, task: TableTask, earlier: DataFrame | None) -> Built:
    marked = mark_excluded(records, task)
    return Built(build_cases(marked, task, earlier=earlier), partial(count_attrition, marked, task))


def _of_events(records: DataFrame, plan: Plan, events: int, kept: Kept | None) -> Built:
    """One shuffle of the events at most, whatever the features; what is excluded is counted while the cases are
    written."""
    found = build_candidates(records, plan, events, kept)
    reasons = criteria(plan.task, plan.scoring, plan.as_of)
    seen = Observation()
    removed = [F.count_if(F.col(EXCLUDED) == reason.name).alias(f"n{at}") for at, reason in enumerate(reasons)]
    counted = found.observe(seen, F.count("*").alias(CANDIDATES), impossible_ages(), *removed)
    cases = counted.where(F.col(EXCLUDED).isNull()).drop(EXCLUDED)
    return Built(cases, partial(observed_counts, seen, reasons, plan.labels_asked))


def _put_cases(run: Run, task: Task, facts: RecordsFacts, records: DataFrame) -> tuple[str, Counted]:
    """Write the cases, those of records by patient by the workers that read them; what became of the candidates."""
    kept = kept_records(run.context, table_path(run.context, run.store, RECORDS), facts)
    if isinstance(task, EventTask) and can_write_cases(kept, task.split, dict(records.dtypes)[SUBJECT_ID]):
        assert kept is not None
        path = f"{run.store}/{CASES}/{run.version}"
        make_folder(run.context, path)
        folder = full_path(run.context, path)
        if choose(run.context, "", "auto", [], [folder]).kind == "workers":
            plan = Plan(task, labels=read_labels(run.spark, task))
            return path, write_cases_by_workers(run.context, kept, plan, folder)
    built = built_cases(records, task, facts.counts.records, kept=kept)
    return write_version(built.cases, run.store, CASES, run.version), built.counted()


def _publish(run: Run, cases: str, attrition: list[Attrition], facts: RecordsFacts, task: Task) -> None:
    spark = run.spark
    flow = spark.createDataFrame([astuple(row) for row in attrition], ddl(ATTRITION_TYPES))
    flow_path = write_version(flow.coalesce(1), run.store, ATTRITION, run.version)
    splits = count_cases(read_parquet(spark, cases), task.outcome.targets)
    eligible = attrition[-1].remaining
    if sum(split.cases for split in splits.values()) != eligible:
        raise AccountingError(f"{eligible} candidates are eligible, but {splits} became cases")
    past = count_with_past(read_parquet(spark, cases))[1] if has_history(task) else None
    whole = CasesFacts(
        facts.rules, facts.fingerprint, facts.counts, case_rules(task), attrition, splits, past, labels_of(task)
    )
    write_facts(run.context, cases, whole)
    publish_tables(run, (CASES, ATTRITION), run.version)
    counts = asdict(whole)
    run.receipt.counts["features"] = {name: counts[name] for name in ("attrition", "splits")}
    found = [*faults_of_splits(splits, task), *gaps_of_splits(splits)]
    run.receipt.counts["features"]["splits_to_look_at"] = found
    run.receipt.outputs |= {CASES: cases, ATTRITION: flow_path}
    for row in attrition[1:]:
        run.say(f"  excluded    {row.removed:>12,}  {row.criterion}")
    run.say(f"  cases       {eligible:>12,}")
    run.say(f"  outcomes    {sum(split.positives for split in splits.values()):>12,}")
    if past is not None:
        run.receipt.counts["features"]["with_earlier_rows"] = past
        run.say(f"  with a past {past:>12,}  cases with an earlier row")
    for told in found:
        run.say(f"  look at     {told}")
