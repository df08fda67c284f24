"""The stages of a task whose source is events: tables to MEDS records, records to cases, cases to scores."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import Observation
from pyspark.sql import functions as F

from medspark.cases.attrition import CANDIDATES, observed_attrition
from medspark.cases.criteria import criteria
from medspark.cases.eligible import Eligible
from medspark.cases.events import build_candidates, count_concepts
from medspark.cases.worker.candidates import Plan
from medspark.errors import TaskError
from medspark.events.concepts import freeze_concepts
from medspark.events.count import TableCounts
from medspark.events.read import Events, read_events
from medspark.runs.run import Run
from medspark.schemas import CASE_ID, EXCLUDED, FILE, LINE, QUARANTINE, REASON, RECORDS, SUBJECT_ID
from medspark.sources.repairs import read_repairs
from medspark.stages.features import publish_cases
from medspark.store.facts import read_facts, require_rows, require_rules, rules_digest, write_facts
from medspark.store.tables import publish, read_table, table_path, write_version
from medspark.task.event_task import EventTask
from medspark.task.population import to_micros

CLEAN_SECTIONS = ("source", "mapping")

CASE_SECTIONS = ("concepts", "population", "outcome", "time", "features", "split", "report")


def with_concepts(run: Run, task: EventTask) -> EventTask:
    """The task with the descendants and mappings of its concepts among their codes."""
    return freeze_concepts(run.spark, task, task.mapping)


def clean_stage(run: Run, task: EventTask, repairs_path: str | None = None) -> EventTask:
    """Every mapped table to `records`, in the MEDS columns, and `quarantine`; returns the task frozen.

    Raises:
        InputError: see `medspark.events.read.read_events`.
    """
    spark = run.spark
    with run.receipt.timed("clean"), run.progress("clean"):
        task = with_concepts(run, task)
        repairs = read_repairs(spark, repairs_path) if repairs_path is not None else None
        with read_events(spark, task.source, task.mapping, repairs) as found:
            written = write_version(found.records, run.store, RECORDS, run.version)
            aside = write_version(found.quarantine, run.store, QUARANTINE, run.version)
        events = sum(table.events for table in found.counts.values())
        require_rows(spark, written, events)
        require_rows(spark, aside, _set_aside(found))
        counts = _totals(found)
        facts = {"rules": rules_digest(task, CLEAN_SECTIONS), "fingerprint": found.fingerprint, "counts": counts}
        write_facts(run.context, written, facts)
        publish(run.context, run.store, (RECORDS, QUARANTINE), run.version)
    run.receipt.inputs["source"] = _input(task, found)
    run.receipt.counts["clean"] = counts
    run.receipt.outputs |= {RECORDS: written, QUARANTINE: aside}
    _tell_tables(run, found.counts)
    return task


def _input(task: EventTask, found: Events) -> dict[str, Any]:
    source = task.source
    where = source.database.url if source.database is not None else source.path
    return {"path": where, "files": found.files, "fingerprint": found.fingerprint}


def _totals(found: Events) -> dict[str, Any]:
    """The counts of all tables together, and of each."""
    tables = found.counts
    quarantined = {f"{name}, {rule}": rows for name, t in tables.items() for rule, rows in t.quarantined.items()}
    emptied = {f"{name}, {rule}": rows for name, t in tables.items() for rule, rows in t.set_missing.items()}
    return {
        "rows_in": sum(table.rows_in for table in tables.values()),
        "blank_lines": sum(table.blank_lines for table in tables.values()),
        "with_events": sum(table.with_events for table in tables.values()),
        "non_events": sum(sum(table.non_events.values()) for table in tables.values()),
        "records": sum(table.events for table in tables.values()),
        "quarantined": quarantined,
        "duplicates": sum(table.duplicates for table in tables.values()),
        "set_missing": emptied,
        "tables": {name: counts._asdict() for name, counts in tables.items()},
    }


def _set_aside(found: Events) -> int:
    return sum(sum(table.quarantined.values()) + table.duplicates for table in found.counts.values())


def concepts_stage(run: Run, task: EventTask) -> None:
    """Say for each concept of the task how many codes, events and patients it has in the store's records.

    Raises:
        InputError: there are no records, or they were made by another mapping.
    """
    with run.receipt.timed("concepts"), run.progress("concepts"):
        task = with_concepts(run, task)
        facts = read_facts(run.context, table_path(run.context, run.store, RECORDS))
        require_rules(facts, "rules", rules_digest(task, CLEAN_SECTIONS), "clean")
        found = count_concepts(read_table(run.spark, run.store, RECORDS), task.concepts)
    run.receipt.counts["concepts"] = {name: {"events": n, "patients": m} for name, (n, m) in found.items()}
    run.say(f"  {'concept':<22}{'codes':>12}{'events':>12}{'patients':>12}")
    for name, (events, patients) in found.items():
        concept = task.concepts[name]
        codes = f"{len(concept.codes):,}" + (" + prefix" if concept.prefixes else "")
        run.say(f"  {name:<22}{codes:>12}{events:>12,}{patients:>12,}")


def features_stage(run: Run, task: EventTask) -> None:
    """`records` to `cases` and `attrition`: one shuffle of the events, whatever the features."""
    spark = run.spark
    with run.receipt.timed("features"), run.progress("features"):
        facts = read_facts(run.context, table_path(run.context, run.store, RECORDS))
        require_rules(facts, "rules", rules_digest(task, CLEAN_SECTIONS), "clean")
        records = read_table(spark, run.store, RECORDS)
        found = build_candidates(records, Plan(task), facts["counts"]["records"])
        reasons = criteria(task, scoring=False)
        seen = Observation()
        removed = [F.count_if(F.col(EXCLUDED) == reason.name).alias(f"n{at}") for at, reason in enumerate(reasons)]
        counted = found.observe(seen, F.count("*").alias(CANDIDATES), *removed)
        cases = counted.where(F.col(EXCLUDED).isNull()).drop(EXCLUDED)
        case_facts = {**facts, "case_rules": rules_digest(task, CASE_SECTIONS)}
        publish_cases(run, cases, partial(observed_attrition, seen, reasons), case_facts)


@contextmanager
def eligible(run: Run, task: EventTask, source: str | None, as_of: str | None) -> Iterator[Eligible]:
    """The population as it stood at `as_of`: what happened or became known later is left out.

    Args:
        run: at work.
        task: a bundle's.
        source: the path that takes the place of the task's; None leaves it.
        as_of: a timestamp.

    Raises:
        TaskError: a path is given where the source is a database, or no time where the population is a snapshot.
        InputError: the source breaks its contract.
        AccountingError: rows do not add up.
    """
    if source is not None and task.source.format == "jdbc":
        raise TaskError("--source", ["the bundle reads a database, whose place is in its task; leave --source out"])
    if task.population.snapshot is not None and as_of is None:
        raise TaskError("--as-of", ["the population is a snapshot: say of what time, as in --as-of 2026-11-23T06:00"])
    moved = task.source.model_copy(update={"path": source or task.source.path})
    task = task.model_copy(update={"source": moved})
    plan = Plan(task, as_of=to_micros(as_of) if as_of is not None else None, scoring=True)
    with ExitStack() as stack:
        with run.receipt.timed("clean"), run.progress("clean"):
            found = stack.enter_context(read_events(run.spark, task.source, task.mapping))
        events = sum(table.events for table in found.counts.values())
        candidates = build_candidates(found.records, plan, events).persist(StorageLevel.MEMORY_AND_DISK)
        excluded = candidates.where(F.col(EXCLUDED).isNotNull()).select(
            CASE_ID,
            SUBJECT_ID,
            F.lit(None).cast("string").alias(FILE),
            F.lit(None).cast("bigint").alias(LINE),
            F.col(EXCLUDED).alias(REASON),
        )
        yield Eligible(
            cases=candidates.where(F.col(EXCLUDED).isNull()),
            excluded=excluded,
            quarantine=found.quarantine,
            fingerprint=found.fingerprint,
            inputs=_input(task, found),
            counts=_totals(found),
            expected=lambda: candidates.count() + _set_aside(found),
        )
        candidates.unpersist()


def _tell_tables(run: Run, counts: dict[str, TableCounts]) -> None:
    """What became of every table's rows."""
    run.say(f"  {'table':<22}{'rows':>12}{'with events':>12}{'events':>12}{'no event':>12}{'set aside':>12}")
    for name, table in counts.items():
        passed, aside = sum(table.non_events.values()), sum(table.quarantined.values()) + table.duplicates
        numbers = (table.rows_in, table.with_events, table.events, passed, aside)
        run.say(f"  {name:<22}" + "".join(f"{number:>12,}" for number in numbers))
        for rule, rows in {**table.non_events, **table.quarantined, **table.set_missing}.items():
            what = "no event" if rule in table.non_events else "set aside" if rule in table.quarantined else "emptied"
            run.say(f"    {what:<10}{rows:>12,}  {rule}")
