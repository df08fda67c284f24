"""Rules of a source mapping."""

from collections.abc import Iterator, Mapping

from medspark.errors import did_you_mean
from medspark.schemas import SOURCE_FILE
from medspark.task.checks.columns import (
    columns_are_sound,
    derived_problems,
    duplicates_are_sound,
    known_columns,
    source_types,
    unknown_column,
    value_types,
    zone_exists,
)
from medspark.task.checks.dialects import dialect_problems
from medspark.task.columns import TextColumn
from medspark.task.conditions import condition_problems, logic_problems
from medspark.task.event_task import EventTask
from medspark.task.expression_types import ValueType
from medspark.task.mapping import PLACEHOLDER, EventRule, MappedTable
from medspark.task.view import unlike_columns, view_problems

_EXPRESSIONS = ("time", "date", "available", "value", "number", "text", "unit", "encounter", "when")


def mapping_zone_exists(task: EventTask) -> Iterator[str]:
    return zone_exists("mapping.timezone", task.mapping.timezone)


def tables_are_sound(task: EventTask) -> Iterator[str]:
    for name, table in task.mapping.tables.items():
        problems = [*_view_problems(table, task.source.format), *_joined_problems(name, table, task)]
        problems += _table_problems(table, _types_beside(table, task))
        problems += _dialect_problems(table, task)
        if task.source.increment is not None:
            problems += [*_growing_problems(table), *_written_problems(table, task.source.increment.by)]
        yield from (f"mapping.tables.{name}: {problem}" for problem in problems)


def _types_beside(table: MappedTable, task: EventTask) -> dict[str, ValueType | None]:
    """The columns that a table takes of others, and their types as far as they are known."""
    others = ((task.mapping.tables.get(other), joined) for other, joined in table.joined.items())
    types = ((value_types(other) if other is not None else {}, joined) for other, joined in others)
    return {name: known.get(name) for known, joined in types for name in joined.columns}


def _table_problems(table: MappedTable, beside: Mapping[str, ValueType | None]) -> Iterator[str]:
    columns: dict[str, ValueType | None] = {**source_types(table), SOURCE_FILE: "text"}
    known = {**columns, **value_types(table), **beside}
    if table.subject not in known:
        yield unknown_column("subject", table.subject, table)
    yield from columns_are_sound(table)
    for name, column in table.columns.items():
        if column.type == "image":
            yield f"columns.{name}: only a table task has images; expected another type, such as string for their paths"
    yield from (unknown_column("absent", name, table) for name in table.absent if name not in table.columns)
    for name, lookup in table.lookups.items():
        if lookup.path is not None:
            yield f"lookups.{name}: expected entries, received a path; a mapping reads no file beside its tables"
    for name, column in table.columns.items():
        if isinstance(column, TextColumn) and column.fasta is not None:
            yield f"columns.{name}.fasta: a mapping reads no file beside its tables"
    for name, derived in table.derived.items():
        yield from (f"derived.{name}: {problem}" for problem in derived_problems(derived, columns))
        if name in table.columns:
            yield f"derived.{name}: a column has this name already"
    for check in table.checks:
        yield from (
            f"checks.{check.name}: {problem}" for problem in condition_problems(check.expect, source_types(table))
        )
    for name in table.row.same if table.row is not None else ():
        if name not in table.columns:
            yield unknown_column("row", name, table)
    for skip in table.passed_over:
        yield from (f"skip.{skip.name}: {problem}" for problem in condition_problems(skip.when, known))
    if table.duplicates is not None:
        yield from duplicates_are_sound("duplicates", table.duplicates, table)
    for at, event in enumerate(table.events):
        yield from (f"events.{at}: {problem}" for problem in _event_problems(event, known))


def _dialect_problems(table: MappedTable, task: EventTask) -> Iterator[str]:
    mapping, dialect = task.mapping, table.dialect or task.mapping.dialect
    if dialect is None:
        return
    delimiter = table.delimiter or mapping.delimiter
    yield from dialect_problems(dialect, task.source.format, delimiter, mapping.quoted_newlines, table.columns)
    if dialect.writes_numbers_otherwise:
        for at, event in enumerate(table.events):
            if event.value is not None:
                yield (
                    f"events.{at}.value: reads numbers with a point; of a dialect with decimal or thousands expected "
                    "`number`, of a column that is typed as one"
                )


def _view_problems(table: MappedTable, kind: str) -> Iterator[str]:
    if (table.view is not None) != (kind == "fhir"):
        yield f"expected `view` of a source of format fhir and only of it, received format {kind}"
    if table.view is not None:
        yield from (f"view: {problem}" for problem in view_problems(table.view))
        yield from unlike_columns(table.view, tuple(table.columns))


def deletions_are_of_fhir(task: EventTask) -> Iterator[str]:
    if task.mapping.deleted is not None and task.source.format != "fhir":
        yield f"mapping.deleted: only a source of format fhir takes resources back, received {task.source.format}"


def _joined_problems(name: str, table: MappedTable, task: EventTask) -> Iterator[str]:
    taken: list[str] = known_columns(table)
    for other, joined in table.joined.items():
        where, found = f"joined.{other}", task.mapping.tables.get(other)
        if found is None or other == name or found.joined:
            others = [known for known, one in task.mapping.tables.items() if known != name and not one.joined]
            yield f"{where}: expected another table of the mapping that joins none itself.{did_you_mean(other, others)}"
            continue
        for column in joined.same:
            yield from (
                unknown_column(f"{where}.same", column, one) for one in (table, found) if column not in one.columns
            )
            types = [one.columns[column].type for one in (table, found) if column in one.columns]
            if len(set(types)) == 2:
                yield f"{where}.same: {column!r} is {' here and '.join(types)} there; expected one type"
        for column in joined.columns:
            if column not in known_columns(found):
                yield unknown_column(f"{where}.columns", column, found)
            if column in taken:
                yield f"{where}.columns: this table has a column {column!r} already"
        taken += joined.columns


def _growing_problems(table: MappedTable) -> Iterator[str]:
    """What would come out otherwise where files are read one after the other than where all are read at once."""
    if table.duplicates is not None and (table.duplicates.same != "whole_row" or table.row is not None):
        yield (
            "duplicates: expected none of a source with `increment`, but of the whole row in a table without `row`: "
            "what is new is not compared with rows read before. Say `row`, of whose writings the newest counts"
        )
    if table.joined:
        yield (
            "joined: expected none of a source with `increment`: a row of the other table may be new, or change, when "
            "this table's is read no more"
        )


def _written_problems(table: MappedTable, by: str) -> Iterator[str]:
    """What must say which of a row's writings is the newest."""
    written = table.row.written if table.row is not None else None
    if by == "files":
        if written is not None:
            yield "row.written: expected it of a source with `increment: {by: column}` only: files go by names"
    elif table.row is None:
        yield f"expected `row` in each table of a source with `increment: {{by: {by}}}`, by whose id writings are told"
    elif by == "column":
        kind = table.columns[written].type if written in table.columns else None
        if kind != "timestamp":
            got = f"{written!r} of type {kind}" if kind is not None else repr(written) if written else "none"
            yield f"row.written: expected a column of type timestamp, with the time of each writing, received {got}"
    elif table.row.deleted is not None or written is not None:
        yield "row: expected `same` alone of a source with `increment: {by: changes}`: the feed says the rest"


def _event_problems(event: EventRule, known: Mapping[str, ValueType | None]) -> Iterator[str]:
    for pattern in event.code:
        for name in PLACEHOLDER.findall(pattern):
            if name not in known:
                yield f"code {pattern!r} names {name!r}, which is no column.{did_you_mean(name, known)}"
    for part in _EXPRESSIONS:
        expression = getattr(event, part)
        if expression is not None:
            judge = condition_problems if part == "when" else logic_problems
            yield from (f"{part}: {problem}" for problem in judge(expression, known))


def values_have_units(task: EventTask) -> Iterator[str]:
    for code, rule in task.mapping.values.items():
        if rule.to_unit and rule.unit is None:
            yield f"mapping.values.{code}: expected `unit` beside to_unit, the unit that all numbers are brought to"
        if rule.unit is not None and not rule.to_unit:
            yield f"mapping.values.{code}: expected `to_unit` beside unit, the conversions into it"
        if rule.when_missing is not None and rule.when_missing not in rule.to_unit:
            hint = did_you_mean(rule.when_missing, rule.to_unit)
            yield f"mapping.values.{code}.when_missing: {rule.when_missing!r} is not in to_unit.{hint}"
