"""Rules across the sections of a table task, and rules of any task: one function each. No Spark here."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel
from sqlglot.errors import SqlglotError

from medspark.errors import did_you_mean
from medspark.schemas import CASE_COLUMNS
from medspark.task.expressions import columns_of, problems_of
from medspark.task.raw_table import (
    CategoryColumn,
    Column,
    DateColumn,
    Derived,
    Duplicates,
    Lookup,
    NumberColumn,
    TextColumn,
)
from medspark.task.table_task import TableTask
from medspark.task.training import TaskBase


class HasColumns(Protocol):
    """A task or a table of a mapping: whatever declares columns."""

    @property
    def columns(self) -> Mapping[str, Column]: ...
    @property
    def derived(self) -> Mapping[str, Derived]: ...
    @property
    def lookups(self) -> Mapping[str, Lookup]: ...


NUMERIC_TYPES = frozenset({"long", "integer", "double", "decimal", "interval", "boolean"})
LEVEL_TYPES = frozenset({"category", "string", "code", "boolean", "integer", "long"})
KEY_TYPES = frozenset({"long", "integer", "string"})


def known_columns(task: HasColumns) -> list[str]:
    return [*task.columns, *task.derived]


def column_type(task: HasColumns, name: str) -> str:
    """The declared type of a column or derived column."""
    return task.columns[name].type if name in task.columns else task.derived[name].type


def unknown_column(where: str, name: str, task: HasColumns) -> str:
    known = known_columns(task)
    return f"{where} reads {name!r}, which is no column.{did_you_mean(name, known)}"


def keys_are_columns(task: TableTask) -> Iterator[str]:
    source = task.source
    for key, name in (("case", source.case), ("subject", source.subject)):
        if name not in task.columns:
            yield unknown_column(f"source.{key}", name, task)
        elif column_type(task, name) not in KEY_TYPES:
            received = f"{name!r} of {column_type(task, name)}"
            yield f"source.{key}: expected a column of {one_of(KEY_TYPES)}, received {received}"
    if source.time is not None and source.time not in task.columns:
        yield unknown_column("source.time", source.time, task)
    elif source.time is not None and not isinstance(task.columns[source.time], DateColumn):
        yield f"source.time: expected a date or timestamp, received {source.time!r} of {column_type(task, source.time)}"


def table_zone_exists(task: TableTask) -> Iterator[str]:
    return zone_exists("source.timezone", task.source.timezone)


def zone_exists(where: str, zone: str) -> Iterator[str]:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(zone, available_timezones())
        yield f"{where}: expected an IANA zone such as Europe/Paris, received {zone!r}.{hint}"


def duplicates_read_columns(task: TableTask) -> Iterator[str]:
    if task.source.duplicates is not None:
        yield from duplicates_are_sound("source.duplicates", task.source.duplicates, task)


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
        if name.startswith("_"):
            yield f"{where}: a name that starts with _ is kept for medspark's own columns"
    names: dict[str, str] = {}
    for name in known_columns(task):
        other = names.setdefault(name.lower(), name)
        if other != name:
            yield f"columns.{name}: {other!r} differs from it in case alone, which Spark does not tell apart"
    for name, lookup in task.lookups.items():
        if lookup.entries == {}:
            yield f"lookups.{name}: expected at least one entry, received none"


def _number_is_sound(where: str, column: NumberColumn, task: HasColumns) -> Iterator[str]:
    if column.units is not None and column.units.column not in task.columns:
        yield unknown_column(f"{where}.units.column", column.units.column, task)
    elif column.units is not None and column.units.column in task.columns:
        if task.columns[column.units.column].type not in ("category", "string"):
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
    if "(?P" in pattern or "(?#" in pattern:
        yield f"{where}: expected a regular expression of Java, received {pattern!r}: it has no (?P and no (?#"
    try:
        re.compile(re.sub(r"\\[pP]\{\w+\}", "x", pattern))  # Python knows no \p{L}
    except re.error as error:
        yield f"{where}: expected a regular expression, received {pattern!r}: {error}"


def _format_is_sound(where: str, pattern: str) -> Iterator[str]:
    letters = set(re.sub(r"'[^']*'|[^A-Za-z]", "", pattern))
    if unknown := sorted(letters - set("GyMLdDQqEFahKkHmsSVzOXxZ")):
        hint = did_you_mean("yyyy-MM-dd", [pattern.replace("Y", "y").replace("D", "d")])
        says = f"received {pattern!r}: it has no {' and no '.join(unknown)}"
        yield f"{where}: expected a Spark datetime pattern, {says}.{hint}"


def expressions_are_sound(task: TableTask) -> Iterator[str]:
    for name, derived in task.derived.items():
        yield from prefixed(f"derived.{name}", problems_of(derived.expression, task.columns))
        if name in task.columns:
            yield f"derived.{name}: a column has this name already"
    for check in task.checks:
        yield from prefixed(f"checks.{check.name}", problems_of(check.expect, task.columns))
    for exclusion in task.exclude:
        yield from prefixed(f"exclude.{exclusion.name}", problems_of(exclusion.when, known_columns(task)))
    yield from prefixed("outcome", problems_of(task.outcome.when, known_columns(task)))


def features_read_columns(task: TableTask) -> Iterator[str]:
    features = task.features
    kinds = [("numeric", f.column, NUMERIC_TYPES) for f in features.numeric]
    kinds += [("categorical", f.column, LEVEL_TYPES) for f in features.categorical]
    kinds += [
        (f"codes.{name}", column, frozenset({"code", "category", "string"}))
        for name, codes in features.codes.items()
        for column in codes.columns
    ]
    if not kinds:
        yield "features: expected at least one feature, received none"
    for kind, name, allowed in kinds:
        if name not in known_columns(task):
            yield unknown_column(f"features.{kind}", name, task)
        elif column_type(task, name) not in allowed:
            received = f"{name!r} of {column_type(task, name)}"
            yield f"features.{kind}: expected a column of {one_of(allowed)}, received {received}"
    seen: set[tuple[str, str]] = set()
    for kind, name, _ in kinds:
        if (kind, name) in seen:
            yield f"features.{kind}: {name!r} is named twice"
        seen.add((kind, name))


def features_do_not_leak(task: TableTask) -> Iterator[str]:
    leaky = set(outcome_columns(task))
    derived = {name: set(columns_or_none(d.expression)) for name, d in task.derived.items()}
    for name in task.features.columns():
        if name in leaky or derived.get(name, set()) & leaky:
            yield f"features: {name!r} is read by the outcome too: it would leak the label"
        if name in (task.source.case, task.source.subject):
            yield f"features: {name!r} identifies a case or a patient, so it cannot be a feature"


def outcome_columns(task: TableTask) -> list[str]:
    """The source columns that the outcome reads, through derived columns as well."""
    names: list[str] = []
    for name in columns_or_none(task.outcome.when):
        names += [*columns_or_none(task.derived[name].expression), name] if name in task.derived else [name]
    return list(dict.fromkeys(names))


def subgroups_read_columns(task: TableTask) -> Iterator[str]:
    for name in task.report.subgroups:
        if name not in known_columns(task):
            yield unknown_column("report.subgroups", name, task)
        elif column_type(task, name) not in LEVEL_TYPES:
            yield f"report.subgroups: expected a column with levels, received {name!r} of {column_type(task, name)}"


def names_are_free(task: TableTask) -> Iterator[str]:
    keys = {task.source.case, task.source.subject, task.source.time}
    for name in dict.fromkeys([*task.features.columns(), *task.report.subgroups]):
        if name in CASE_COLUMNS and name not in keys:
            yield f"columns.{name}: this name is kept for the table of cases; rename the column in the source"


def exclusions_have_names(task: TableTask) -> Iterator[str]:
    for kind, names in (
        ("exclude", [e.name for e in task.exclude]),
        ("checks", [c.name for c in task.checks]),
    ):
        for name in {name for name in names if names.count(name) > 1}:
            yield f"{kind}: two entries are named {name!r}; counts need one name each"


def settings_do_something(task: TableTask) -> Iterator[str]:
    for name, column in task.columns.items():
        given = changed(column) & {"precision", "scale"}
        if given and column.type != "decimal":
            yield f"columns.{name}: only a decimal has {one_of(given)}"
    csv_only = {"delimiter", "header", "quoted_newlines"} & changed(task.source)
    if csv_only and task.source.format != "csv":
        yield f"source: only csv has {one_of(csv_only)}, received format {task.source.format!r}"
    if "encoding" in changed(task.source) and task.source.format in ("parquet", "orc"):
        yield f"source: {task.source.format} has no encoding"
    read = {column.lookup for column in task.columns.values() if isinstance(column, CategoryColumn)}
    for name in task.lookups:
        if name not in read:
            yield f"lookups.{name}: no column reads it"


TABLE_RULES: tuple[Callable[[TableTask], Iterator[str]], ...] = (
    keys_are_columns,
    table_zone_exists,
    duplicates_read_columns,
    columns_are_sound,
    expressions_are_sound,
    features_read_columns,
    features_do_not_leak,
    subgroups_read_columns,
    names_are_free,
    exclusions_have_names,
    settings_do_something,
)


# ---------------------------------------------------------------- rules of any task


def bands_are_sound(task: TaskBase) -> Iterator[str]:
    thresholds = list(task.risk_bands.values())
    if len(set(thresholds)) != len(thresholds):
        yield "risk_bands: two bands start at the same probability"
    if "low" in task.risk_bands:
        yield "risk_bands: `low` is the band below all others and needs no threshold"


def optimizer_reads_settings(task: TaskBase) -> Iterator[str]:
    if task.training.optimizer != "adamw" and "weight_decay" in changed(task.training):
        yield "training.weight_decay: only adamw reads it; use l2 with other optimisers"


SHARED_RULES: tuple[Callable[[TaskBase], Iterator[str]], ...] = (bands_are_sound, optimizer_reads_settings)


# ---------------------------------------------------------------- sentences


def prefixed(where: str, problems: list[str]) -> list[str]:
    return [f"{where}: {problem}" for problem in problems]


def changed(model: BaseModel) -> set[str]:
    """The settings that differ from their defaults."""
    fields = type(model).model_fields
    return {name for name in model.model_fields_set if getattr(model, name) != fields[name].default}


def one_of(words: frozenset[str] | set[str]) -> str:
    return " or ".join(sorted(words))


def columns_or_none(expression: str) -> list[str]:
    """The columns of an expression; none where it cannot be read, which `expressions_are_sound` reports."""
    try:
        return columns_of(expression)
    except SqlglotError:
        return []
