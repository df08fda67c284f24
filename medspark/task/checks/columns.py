"""Rules of declared columns, whether a task or a table of a mapping declares them."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from medspark.errors import did_you_mean
from medspark.task.columns import (
    AS_IT_STANDS,
    READS_AS_IT_STANDS,
    TWO_DIGITS,
    UNREAD,
    CategoryColumn,
    Column,
    DateColumn,
    NumberColumn,
    TextColumn,
)
from medspark.task.conditions import condition_problems, logic_problems
from medspark.task.expression_types import ValueType, declared_types
from medspark.task.java_regex import java_refuses
from medspark.task.raw_table import Derived, Duplicates, Lookup


class HasColumns(Protocol):
    """A task or a table of a mapping: whatever declares columns."""

    @property
    def columns(self) -> Mapping[str, Column]: ...
    @property
    def derived(self) -> Mapping[str, Derived]: ...
    @property
    def lookups(self) -> Mapping[str, Lookup]: ...


def known_columns(task: HasColumns) -> list[str]:
    return [*task.columns, *task.derived]


def value_types(task: HasColumns) -> dict[str, ValueType | None]:
    """What expressions may read, and its types, as far as they are known."""
    return declared_types(task.columns, task.derived)


def source_types(task: HasColumns) -> dict[str, ValueType | None]:
    """The same of what the source has itself."""
    return declared_types(task.columns, {})


def derived_problems(derived: Derived, types: Mapping[str, ValueType | None]) -> list[str]:
    """Everything wrong with the expression of a derived column that may read columns of these types."""
    judge = condition_problems if derived.type == "boolean" else logic_problems
    return judge(derived.expression, types)


def column_type(task: HasColumns, name: str) -> str:
    """The declared type of a column or derived column."""
    return task.columns[name].type if name in task.columns else task.derived[name].type


def may_be(task: HasColumns, name: str, types: Collection[str]) -> bool:
    """Whether a column or derived column is of one of the types, as one that could not be read may be."""
    return column_type(task, name) in (UNREAD, *types)


def unknown_column(where: str, name: str, task: HasColumns) -> str:
    known = known_columns(task)
    return f"{where} reads {name!r}, which is no column.{did_you_mean(name, known)}"


def zone_exists(where: str, zone: str) -> Iterator[str]:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(zone, available_timezones())
        yield f"{where}: expected an IANA zone such as Europe/Paris, received {zone!r}.{hint}"


def duplicates_are_sound(where: str, duplicates: Duplicates, task: HasColumns) -> Iterator[str]:
    for name in duplicates.same if isinstance(duplicates.same, tuple) else ():
        if name not in task.columns:
            yield unknown_column(f"{where}.same", name, task)
    if duplicates.by is not None and duplicates.by not in task.columns:
        yield unknown_column(f"{where}.by", duplicates.by, task)
    if (duplicates.keep == "first") != (duplicates.by is None):
        yield f"{where}: keep {duplicates.keep!r} {'needs no' if duplicates.by else 'needs a'} `by` column"


def columns_are_sound(task: HasColumns) -> Iterator[str]:
    for name, column in task.columns.items():
        where = f"columns.{name}"
        if isinstance(column, CategoryColumn) and column.lookup is not None and column.lookup not in task.lookups:
            yield f"{where}.lookup: no look-up {column.lookup!r}.{did_you_mean(column.lookup, task.lookups)}"
        if isinstance(column, NumberColumn):
            yield from _number_is_sound(where, column, task)
        if isinstance(column, TextColumn) and column.matches is not None:
            yield from _pattern_is_sound(f"{where}.matches", column.matches)
        if isinstance(column, DateColumn):
            yield from _format_is_sound(f"{where}.format", column.format)
            yield from _century_is_told(where, column)
        yield from _name_is_sound("columns", name)
    for name in task.derived:
        yield from _name_is_sound("derived", name)
    names: dict[str, str] = {}
    for name in known_columns(task):
        other = names.setdefault(name.lower(), name)
        if other != name:
            yield f"columns.{name}: {other!r} differs from it in case alone, which Spark does not tell apart"
    for name, lookup in task.lookups.items():
        if lookup.entries == {}:
            yield f"lookups.{name}: expected at least one entry, received none"


def _name_is_sound(section: str, name: str) -> Iterator[str]:
    if not name.strip():
        yield f"{section}: expected a name of each column, received {name!r}"
    elif not name.isprintable():
        yield f"{section}: expected a name without control characters, received {name!r}"
    if name.startswith("_"):
        yield f"{section}.{name}: a name that starts with _ is kept for medspark's own columns"


def _number_is_sound(where: str, column: NumberColumn, task: HasColumns) -> Iterator[str]:
    if column.units is not None and column.units.column not in task.columns:
        yield unknown_column(f"{where}.units.column", column.units.column, task)
    elif column.units is not None and column.units.column in task.columns:
        if not may_be(task, column.units.column, ("category", "string")):
            yield f"{where}.units.column: expected a category or string, received {column.units.column!r}"
        if column.type != "double":
            yield f"{where}.units: expected type double, since a conversion makes fractions, received {column.type}"
        if column.unit is None:
            yield f"{where}.units: expected `unit` beside it, the unit that all values are brought to"
        default = column.units.when_missing
        if default is not None and default not in column.units.to_unit:
            hint = did_you_mean(default, column.units.to_unit)
            yield f"{where}.units.when_missing: {default!r} is not in to_unit.{hint}"
    if column.type == "decimal" and column.scale > column.precision:
        yield f"{where}: expected scale <= precision, received {column.scale} > {column.precision}"


def _pattern_is_sound(where: str, pattern: str) -> Iterator[str]:
    refused = java_refuses(pattern) or java_refuses(f"(?:{pattern})")  # an open \\Q takes the bracket in
    if refused is not None:
        yield f"{where}: expected a regular expression of Java, received {pattern!r}: {refused}"


def _format_is_sound(where: str, pattern: str) -> Iterator[str]:
    letters = set(re.sub(r"'[^']*'|[^A-Za-z]", "", pattern))
    if unknown := sorted(letters - set("GyMLdDQqEFahKkHmsSVzOXxZ")):
        hint = did_you_mean("yyyy-MM-dd", [pattern.replace("Y", "y").replace("D", "d")])
        says = f"received {pattern!r}: it has no {' and no '.join(unknown)}"
        yield f"{where}: expected a Spark datetime pattern, {says}.{hint}"


def _century_is_told(where: str, column: DateColumn) -> Iterator[str]:
    if TWO_DIGITS.search(column.letters):
        if column.first_year is None:
            yield (
                f"{where}.format: {column.format!r} reads years of two digits, whose century is not told. "
                "Add pivot_year: 1930, for 1930 to 2029, or a range of a hundred years at most, "
                "as [1930-01-01, 2029-12-31]"
            )
        if "yyyy" in column.letters:
            yield f"{where}.format: expected either yy or yyyy, received {column.format!r}"
    elif AS_IT_STANDS.search(column.letters) and not _begins_late(column):
        yield (
            f"{where}.format: {column.format!r} {READS_AS_IT_STANDS}. Write yyyy, or add a range, as "
            "[1875-01-01, 2100-12-31], outside of which such a year is found"
        )
    elif column.pivot_year is not None:
        yield f"{where}.pivot_year: only a format with yy has it, received {column.format!r}"


def _begins_late(column: DateColumn) -> bool:
    """Whether a range leaves out all years of less than four digits."""
    return column.range is not None and column.range.low is not None and column.range.low.year >= 1000


def prefixed(where: str, problems: list[str]) -> list[str]:
    return [f"{where}: {problem}" for problem in problems]


def one_of(words: frozenset[str] | set[str]) -> str:
    return " or ".join(sorted(words))
