"""The clean stage: a source to `records` and `quarantine`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame, SparkSession

from medspark.cases.table import Criteria
from medspark.clean.by_workers import NOTHING_WRITTEN, RowsToScore, Written
from medspark.clean.limits import empty_columns
from medspark.clean.table import Cleaned, clean
from medspark.errors import InputError, TaskError
from medspark.events.by_patient import Grown, buckets_for, require_came, write_by_patient
from medspark.events.count import total_counts
from medspark.events.read import read_events
from medspark.events.take import require_kept, take_files
from medspark.runs.chosen import Asked
from medspark.runs.lock import alone
from medspark.runs.run import Run
from medspark.runs.tables import making, publish_tables
from medspark.schemas import QUARANTINE, RECORDS
from medspark.score.choose_way import choose
from medspark.sources.repairs import read_repairs
from medspark.sources.unchanged import FileStates, require_unchanged
from medspark.spark.failures import expressions_hold
from medspark.stages.freeze import freeze
from medspark.store.facts import (
    EventCounts,
    ReadTo,
    RecordsFacts,
    SourceRead,
    TableCounts,
    TakenFile,
    clean_rules,
    read_facts,
    require_rows,
    rows_quarantined,
    write_facts,
)
from medspark.store.files import exists, full_path, make_folder
from medspark.store.manifest import FACTS
from medspark.store.tables import current_version, take_version, write_version
from medspark.task.event_task import EventTask
from medspark.task.places import expression_places
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task

TOLD: Final = 8
"""Names on a line of the console."""
RULES_TOLD: Final = 50
"""Rules of a kind that have a line of the console each."""


@dataclass(frozen=True)
class CleanSource:
    """A source's records and quarantine, to be written while it is open, and what became of its rows."""

    read_records: Callable[[], DataFrame]
    read_quarantine: Callable[[], DataFrame]
    counts: TableCounts | EventCounts
    read: SourceRead
    written: Written = NOTHING_WRITTEN
    to_score: RowsToScore | None = None
    """Of a table, where workers can score its rows as they lie."""
    read_to: ReadTo = field(default_factory=ReadTo)
    """Of events."""

    @property
    def records(self) -> DataFrame:
        return self.read_records()

    @property
    def quarantine(self) -> DataFrame:
        return self.read_quarantine()


@alone
def clean_stage(run: Run, task: Task, repairs_path: str | None = None, reader: Asked = "auto") -> Task:
    """Source to `records` and `quarantine`; returns the task frozen.

    Args:
        run: its store is where the tables go.
        task: as `load_task` gives it.
        repairs_path: repaired rows of the quarantine, which are read in place of theirs.
        reader: workers: each reads spans of the files itself; spark: Spark reads; auto: workers where they can.

    Raises:
        TaskError: workers are asked for where they cannot.
        InputError: the source cannot be read, breaks a rule that fails the run, or lacks files whose rows are to stay.
        AccountingError: rows do not add up.
    """
    with run.receipt.timed("clean"), run.progress("clean"):
        task = freeze(run, task)
        repairs = read_repairs(run.spark, repairs_path) if repairs_path is not None else None
        taken = _taken(run, task)
        source = clean_source(run, task, repairs=repairs, reader=reader)
        with making(run, (RECORDS, QUARANTINE), run.version), source as found:
            records, grown = _put_records(run, task, found)
            quarantine = _put(run, found.read_quarantine, found.written.quarantine, QUARANTINE)
            if grown is None:
                require_rows(run.context, records, found.counts.records)
            require_rows(run.context, quarantine, rows_quarantined(found.counts))
            write_facts(run.context, records, _facts(task, found, grown, taken))
            publish_tables(run, (RECORDS, QUARANTINE), run.version)
    run.receipt.inputs["source"] = found.read
    run.receipt.count("clean", found.counts)
    run.receipt.outputs |= {RECORDS: records, QUARANTINE: quarantine}
    if isinstance(found.counts, EventCounts):
        _tell_events(run, found.counts)
        if isinstance(task, EventTask):
            _tell_observation(run, task, found.counts)
    else:
        _tell_table(run, found.counts)
    return task


def _facts(task: Task, found: CleanSource, grown: Grown | None, taken: dict[str, TakenFile]) -> RecordsFacts:
    """What is noted beside the records.

    Raises:
        AccountingError: events were lost on their way to the buckets.
    """
    rules, fingerprint = clean_rules(task), found.read.fingerprint
    if grown is None or not isinstance(found.counts, EventCounts):
        return RecordsFacts(rules, fingerprint, found.counts)
    require_came(grown, found.counts.records)
    counts = replace(found.counts, records=grown.counted)
    return RecordsFacts(rules, fingerprint, counts, buckets=grown.buckets, taken=taken, read_to=found.read_to)


def grows_by(task: Task) -> str | None:
    """What kind of increment the task's source has; None where it has none."""
    increment = task.source.increment if isinstance(task, EventTask) else None
    return None if increment is None else increment.by


def _taken(run: Run, task: Task) -> dict[str, TakenFile]:
    """The files that are there, of a source that grows by files.

    Raises:
        InputError: the store's records are of more, whose rows are to stay.
    """
    if not isinstance(task, EventTask) or task.source.increment is None or task.source.increment.by != "files":
        return {}
    there = take_files(run.spark, task, {}).files
    if task.source.increment.vanished == "keep":
        require_kept(task, _taken_before(run), there)
    return there


def _taken_before(run: Run) -> dict[str, TakenFile]:
    """The files that the store's records are of; none where there are none.

    Raises:
        InputError: what says so is damaged, or another version of medspark wrote it.
    """
    version = current_version(run.context, run.store, RECORDS)
    path = f"{run.store}/{RECORDS}/{version}"
    if version is None or not exists(run.context, f"{path}/{FACTS}"):
        return {}
    try:
        return read_facts(run.context, path, RecordsFacts).taken
    except InputError as error:
        unknown = "Which rows `vanished: keep` lets stay is not known: clean into another store."
        raise InputError(f"{error} {unknown}") from None


def _put_records(run: Run, task: Task, found: CleanSource) -> tuple[str, Grown | None]:
    """Write the records, those of events by patient where workers can write them.

    Raises:
        InputError: the source has an `increment`, and workers cannot.
    """
    if not isinstance(found.counts, EventCounts) or not (found.counts.records or grows_by(task)):
        return _put(run, found.read_records, found.written.records, RECORDS), None
    path = f"{run.store}/{RECORDS}/{run.version}"
    make_folder(run.context, path)
    way = choose(run.context, "", "auto", [], [full_path(run.context, path)])
    if way.kind == "workers":
        return path, write_by_patient(found.records, path, buckets_for(found.counts.records))
    if grows_by(task):
        raise InputError(
            f"{path}: expected a place that workers can write to, as records of a source with `increment` are, "
            f"received another ({way.because})."
        )
    return _put(run, found.read_records, (), RECORDS), None


def _put(run: Run, rows: Callable[[], DataFrame], written: tuple[Path, ...], table: str) -> str:
    """Write a version of a table, of files where workers wrote them."""
    if written and run.here is not None:
        return take_version(run.context, written, run.store, table, run.version)
    return write_version(rows(), run.store, table, run.version)


@contextmanager
def clean_source(
    run: Run,
    task: Task,
    *,
    scoring: bool = False,
    repairs: DataFrame | None = None,
    reader: Asked = "auto",
    criteria: Criteria | None = None,
) -> Iterator[CleanSource]:
    """The records of a task's source, whatever its kind; what was kept of it is freed at the end.

    Args:
        scoring: whether the outcome's columns may be absent.
        repairs: repaired rows of the quarantine, read in place of theirs.
        reader: who reads, as `clean_stage` has it.
        criteria: that exclude records of a table, where workers are to score them.

    Raises:
        TaskError, InputError, AccountingError: see `medspark.clean.table.clean` and `medspark.events.read.read_events`.
    """
    with expressions_hold(expression_places(task)):  # what reads the records fails for them too
        if isinstance(task, EventTask):
            yield from _events(run, task, repairs, reader)
        else:
            yield from _table(
                run, task, partial(clean, scoring=scoring, repairs=repairs, reader=reader, criteria=criteria)
            )


def _events(run: Run, task: EventTask, repairs: DataFrame | None, reader: Asked) -> Iterator[CleanSource]:
    if reader == "workers":
        raise TaskError("--reader", ["workers cannot do it here: they read tables with a row a case. Use spark."])
    source = task.source
    with read_events(run.spark, source, task.mapping, repairs) as events:
        read = SourceRead(source.place, events.files, events.fingerprint, because="the source is events")
        tell_unread(run, events.unread)
        with watched(run, events.states):
            tables = (lambda: events.records, lambda: events.quarantine)
            yield CleanSource(*tables, total_counts(events.counts), read, read_to=events.read_to)


def _table(run: Run, task: TableTask, cleaned: Callable[[SparkSession, TableTask], Cleaned]) -> Iterator[CleanSource]:
    table = cleaned(run.spark, task)
    try:
        read = SourceRead(task.source.place, len(table.files), table.fingerprint, *table.reader)
        with watched(run, table.states, table.same):
            tables = (table.read_records, table.read_quarantine)
            yield CleanSource(*tables, table.counts, read, table.written, table.to_score)
    finally:
        table.release()


def tell_unread(run: Run, unread: dict[str, list[str]]) -> None:
    """Name what nobody reads, in full in the receipt: numbers in a column of another name are lost without a word."""
    run.receipt.unread = unread
    for table, names in unread.items():
        what = "" if table in ("files", "tables") else f"{table}: "
        run.say(f"  not read    {what}{first_of(names)}")


def first_of(names: list[str]) -> str:
    """The first of some names, and how many more the receipt has.

    >>> first_of(["a", "b"]), first_of(list("abcdefghij"))
    ('a, b', 'a, b, c, d, e, f, g, h and 2 more, in the receipt')
    """
    more = f" and {len(names) - TOLD} more, in the receipt" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more


@contextmanager
def watched(run: Run, states: FileStates, *others: Callable[[], None] | None) -> Iterator[None]:
    """Publish nothing of what is read in the block unless the source's files are still those of the first pass, and
    what others require holds."""
    requires: list[Callable[[], None]] = [partial(require_unchanged, run.context, states)]
    requires += [other for other in others if other is not None]
    run.before_publishing += requires
    try:
        yield
    finally:
        for require in requires:
            run.before_publishing.remove(require)


def _tell_table(run: Run, counts: TableCounts) -> None:
    run.say(f"  rows in     {counts.rows_in:>12,}")
    for rule, rows in counts.quarantined.items():
        run.say(f"  set aside   {rows:>12,}  {rule}")
    if counts.duplicates:
        run.say(f"  duplicates  {counts.duplicates:>12,}")
    if counts.repaired:
        run.say(f"  repaired    {counts.repaired:>12,}")
    run.say(f"  records     {counts.records:>12,}")
    for what, rules in (("missing", counts.set_missing), ("normalised", counts.normalised)):
        for line in commonest(rules):
            run.say(f"    {what:<10}{line}")
    if empty := empty_columns(counts):
        run.say(f"    no value in any record: {first_of(empty)}")


def commonest(rules: dict[str, int], most: int = RULES_TOLD) -> Iterator[str]:
    """A line for each rule, of many for those with the most rows, and one for the others.

    >>> list(commonest({"a: type": 2, "b: type": 9, "c: type": 7}, most=2))
    ['           9  b: type', '           7  c: type', '           2  by 1 more rules, in the receipt']
    """
    told = dict(sorted(rules.items(), key=lambda item: -item[1])[:most])
    yield from (f"{rows:>12,}  {rule}" for rule, rows in rules.items() if rule in told)
    if len(rules) > most:
        others = sum(rows for rule, rows in rules.items() if rule not in told)
        yield f"{others:>12,}  by {len(rules) - most} more rules, in the receipt"


def _tell_events(run: Run, counts: EventCounts) -> None:
    """What became of every table's rows."""
    run.say(f"  {'table':<22}{'rows':>12}{'with events':>12}{'events':>12}{'no event':>12}{'set aside':>12}")
    for name, table in counts.tables.items():
        numbers = (table.rows_in, table.with_events, table.events, sum(table.non_events.values()))
        run.say(f"  {name:<22}" + "".join(f"{number:>12,}" for number in (*numbers, rows_quarantined(table))))
        for what, rules in (
            ("no event", table.non_events),
            ("set aside", table.quarantined),
            ("missing", table.set_missing),
            ("normalised", table.normalised),
        ):
            for rule, rows in rules.items():
                run.say(f"    {what:<10}{rows:>12,}  {rule}")


def _tell_observation(run: Run, task: EventTask, counts: EventCounts) -> None:
    if task.observation is not None and task.observed_as(counts.tables_with_events).observation is None:
        tables = " or ".join(task.mapping.period_tables)
        there = not counts.tables.keys().isdisjoint(task.mapping.period_tables)
        what = "no row that could be kept of" if there else "no"
        run.say(f"  observed    from the first event to the last: the source has {what} {tables}")
