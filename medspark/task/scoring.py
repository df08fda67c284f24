"""What scoring asks of a source: what a feature or a rule in force reads, and nothing of the outcome. No Spark here."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from medspark.task.columns import Column, NumberColumn
from medspark.task.event_task import EventTask
from medspark.task.expressions import columns_of
from medspark.task.mapping import PLACEHOLDER, EventRule
from medspark.task.population import Concept
from medspark.task.raw_table import Derived, Limits, RawTable
from medspark.task.table_task import Exclusion, TableTask
from medspark.task.tasks import Task


def exclusions_in_force(task: TableTask) -> tuple[Exclusion, ...]:
    """The exclusions that scoring applies: those that read none of the outcome's columns, which lie in the future."""
    outcome = outcome_columns(task)
    return tuple(item for item in task.exclude if not _reads(task, item.when, outcome))


def exclusions_not_applied(task: TableTask) -> tuple[str, ...]:
    """The names of the others, which only training applies."""
    outcome = outcome_columns(task)
    return tuple(item.name for item in task.exclude if _reads(task, item.when, outcome))


def columns_asked_for(task: TableTask) -> list[str]:
    """The source columns that scoring reads, in the task's order: keys, features, and rules in force."""
    source, derived, beside, outcome = task.source, task.derived, task.beside, outcome_columns(task)
    names = {source.case, source.subject, *task.features.reads()} | ({source.time} if source.time else set())
    for item in exclusions_in_force(task):
        names |= set(columns_of(item.when))
    for check in task.checks:
        names |= set(columns_of(check.expect)) if not _reads(task, check.expect, outcome) else set()
    if source.duplicates is not None:
        names |= set(source.duplicates.same) if isinstance(source.duplicates.same, tuple) else set()
        names |= {source.duplicates.by} if source.duplicates.by else set()
    names |= {column for name in list(names) for column in _sources(name, derived)}
    for name in list(names):
        column = task.columns.get(name)
        if column is not None and (unit := _unit_column(column)) is not None:
            names.add(unit)
        if name in beside and beside[name].id is not None:
            names.add(str(beside[name].id))
    return [name for name in task.columns if name in names and name not in beside]


def table_to_score(task: TableTask) -> RawTable:
    """The table as scoring reads it: what a feature or a rule in force reads.

    A column of subgroups is told of where it is there, and decides nothing. The source may have the others, in their
    place, and nobody reads them: nor is a rule in force that does, or a limit on what they lack.
    """
    whole, asked, outcome = task.raw_table(), set(columns_asked_for(task)), outcome_columns(task)
    told = {name for name in task.report.subgroups if name in whole.columns and name not in asked}
    told = {name for name in told if _unit_column(whole.columns[name]) in {None, *asked, *told}}
    silent = {"required": False, "otherwise": "missing"}
    columns = {
        name: column.model_copy(update=silent) if name in told else column
        for name, column in whole.columns.items()
        if name in asked | told
    }
    return replace(
        whole,
        columns=columns,
        checks=tuple(check for check in task.checks if not _reads(task, check.expect, outcome)),
        limits=_limits_on(task.limits, asked | set(whole.beside)),
        optional=frozenset(told),
        decide_nothing=frozenset(told),
        order=tuple(whole.columns),
    )


def _limits_on(limits: Limits | None, names: Collection[str]) -> Limits | None:
    if limits is None:
        return None
    shares = {name: share for name, share in limits.missing_at_most.items() if name in names}
    return limits.model_copy(update={"missing_at_most": shares})


def _unit_column(column: Column) -> str | None:
    return column.units.column if isinstance(column, NumberColumn) and column.units is not None else None


def asked_by_scoring(task: Task) -> Iterator[str]:
    """What scoring asks of the source, a line each: tables, columns with their types, rules that it does not apply."""
    if isinstance(task, EventTask):
        for name, table in task.mapping.tables.items():
            yield f"{name}{' (may be absent)' if table.optional else ''}"
            for column, spec in table.columns.items():
                yield f"  {column}: {spec.type}{' (may be absent)' if column in table.absent else ''}"
        return
    for name in columns_asked_for(task):
        yield f"{name}: {task.columns[name].type}"
    for name, sequence in task.beside.items():
        yield f"{name}: the sequence in {sequence.fasta} of the id in {sequence.id}"
    for name in exclusions_not_applied(task):
        yield f"exclude.{name} reads the outcome's columns, so that scoring does not apply it"


def columns_that_say(task: EventTask) -> dict[str, list[str]]:
    """The tables with events that scoring reads, each with the columns that say what they are: codes, values, units.

    Deaths and what only the outcome reads are none of them: of the patients of a night nobody may have one yet. Nor are
    times, since many a stay has not ended.
    """
    begun, found = _codes_read(task), {}
    for name, table in task.mapping.tables.items():
        rules = [rule for rule in table.events if any(_may_be(pattern, begun) for pattern in rule.code)]
        read = {column for rule in rules for text in _said_by(rule) for column in _sources(text, table.derived)}
        if rules:
            found[name] = [column for column in table.columns if column in read]
    return found


def _codes_read(task: EventTask) -> Concept:
    """What scoring reads of events, of population and features."""
    mapping, population = task.mapping, task.population
    names = [*task.features.reads(), *(rule.had for rule in population.require)]
    names += [rule.had for rule in population.exclude]
    names += population.index.event if population.index is not None else ()
    sets = [task.concepts.get(name, Concept(prefixes=(name,))) for name in names]
    codes = {mapping.birth, *(code for one in sets for code in one.codes)}
    codes |= {task.observation.start, task.observation.end} if task.observation is not None else set()
    first = {f"{first}/" for name, first in mapping.demographics.items() if name in task.features.demographics}
    return Concept(codes=tuple(codes), prefixes=(*first, *(prefix for one in sets for prefix in one.prefixes)))


def _may_be(pattern: str, read: Concept) -> bool:
    """Whether a code by a pattern may be one of those read."""
    begin = PLACEHOLDER.split(pattern)[0]
    if begin == pattern:
        return pattern in read.codes or pattern.startswith(read.prefixes)
    alike = any(prefix.startswith(begin) or begin.startswith(prefix) for prefix in read.prefixes)
    return alike or any(code.startswith(begin) for code in read.codes)


def _said_by(rule: EventRule) -> list[str]:
    """The columns and derived columns of a rule that its event's code, value and unit are of."""
    expressions = [text for text in (rule.value, rule.number, rule.text, rule.unit) if text is not None]
    names = [name for pattern in rule.code for name in PLACEHOLDER.findall(pattern)]
    return [*names, *(column for text in expressions for column in columns_of(text))]


def outcome_columns(task: TableTask) -> frozenset[str]:
    """The source columns that the outcome reads, through derived columns as well, keys and times aside."""
    read = {column for name in outcome_reads(task) for column in _sources(name, task.derived)}
    return frozenset(read - {task.source.case, task.source.subject, task.source.time})


def outcome_reads(task: TableTask) -> list[str]:
    """The columns and derived columns that the outcome reads, once each."""
    names = [name for condition in task.outcome.conditions().values() for name in columns_of(condition)]
    return list(dict.fromkeys([*names, *([task.outcome.days] if task.outcome.days is not None else [])]))


def _reads(task: TableTask, expression: str, columns: frozenset[str]) -> bool:
    """Whether an expression reads some of the source's columns, through derived columns as well."""
    read = {column for name in columns_of(expression) for column in _sources(name, task.derived)}
    return not read.isdisjoint(columns)


def _sources(name: str, derived: Mapping[str, Derived]) -> list[str]:
    return columns_of(derived[name].expression) if name in derived else [name]
