"""Reads a task file and reports every problem in it at once: first what each section allows, then one rule a function.

No Spark here: `medspark check` answers in a second.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from sqlglot.errors import SqlglotError

from medspark.columns import CASE_COLUMNS
from medspark.errors import TaskError, did_you_mean
from medspark.expressions import columns_of, problems_of
from medspark.raw_table import CategoryColumn, Column, DateColumn, NumberColumn, TextColumn
from medspark.task import TableTask
from medspark.yaml_text import read_yaml

NUMERIC_TYPES = frozenset({"long", "integer", "double", "decimal", "interval", "boolean"})
LEVEL_TYPES = frozenset({"category", "string", "code", "boolean", "integer", "long"})
KEY_TYPES = frozenset({"long", "integer", "string"})


def load_task(path: str | Path) -> TableTask:
    """The task in a YAML file, checked.

    Raises:
        TaskError: with every problem found, each saying what was expected and received, and a hint.
    """
    path = Path(path)
    task, problems = check_task(read_yaml(path))
    if problems or task is None:
        raise TaskError(str(path), problems)
    return task


def check_task(raw: dict[str, Any]) -> tuple[TableTask | None, list[str]]:
    """The task and every problem in `raw`; the task is None where too little was right to build one."""
    task, problems = _build(raw)
    if task is not None:
        unread = [repr(name) for name in set(raw["columns"]) - set(task.columns)]  # reported already
        found = [problem for rule in RULES for problem in rule(task)]
        problems += [text for text in found if not any(name in text for name in unread)]
    return task, problems


def _build(raw: dict[str, Any]) -> tuple[TableTask | None, list[str]]:
    """Validate; then leave out what was wrong and go on, so that the rules across sections run as well."""
    problems: list[str] = []
    told: set[tuple[int | str, ...]] = set()
    for _ in range(5):
        try:
            return TableTask.model_validate(raw), problems
        except ValidationError as error:
            # What is missing because it was left out has been told already
            details = [detail for detail in error.errors() if detail["type"] != "missing" or detail["loc"] not in told]
            told |= {detail["loc"] for detail in details}
            if not details:
                break
            problems += [text for text in map(_sentence, details) if text not in problems]
            raw = _without(raw, [detail["loc"] for detail in details if detail["type"] != "missing"])
            absent = [detail["loc"] for detail in details if detail["type"] == "missing"]
            if absent and not all(loc in (("task",), ("title",)) for loc in absent):
                break
            raw = {**raw, **{str(loc[0]): "absent" for loc in absent}}
    return None, problems


def _without(value: Any, locations: list[tuple[int | str, ...]]) -> Any:
    """A copy of nested `value` without the items at the given places."""
    if not isinstance(value, dict | list):
        return value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    kept = {}
    for key, item in items:
        below = [loc[1:] for loc in locations if loc and str(loc[0]) == str(key)]
        if () in below:
            continue
        kept[key] = _without(item, [loc[1:] if _is_tag(item, loc) else loc for loc in below])
    return kept if isinstance(value, dict) else list(kept.values())


def _is_tag(item: Any, location: tuple[int | str, ...]) -> bool:
    """Whether a location's next part is the type that pydantic chose, which the file nests nothing under."""
    return isinstance(item, dict) and bool(location) and item.get("type") == location[0]


def _sentence(detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    received = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            known = _keys_at(TableTask, detail["loc"][:-1])
            return f"{where}: unknown key. Allowed: {', '.join(known)}.{did_you_mean(key, known)}"
        case "missing":
            return f"{where}: expected a value, received none"
        case "union_tag_not_found" | "union_tag_invalid":
            kinds = sorted(_column_types())
            given = received.get("type") if isinstance(received, dict) else received
            return (
                f"{where}: expected a type of {', '.join(kinds)}, received {given!r}.{did_you_mean(str(given), kinds)}"
            )
        case "literal_error":
            expected = detail.get("ctx", {})["expected"]
            allowed = [word.strip("'") for word in str(expected).replace(" or ", ", ").split(", ")]
            return f"{where}: expected {expected}, received {received!r}.{did_you_mean(str(received), allowed)}"
        case "value_error":
            return f"{where or 'task'}: {detail['ctx']['error']!s}"
        case _:
            return f"{where}: {detail['msg'].replace('Input should be', 'expected')}, received {received!r}"


def _column_types() -> dict[str, type[BaseModel]]:
    union = get_args(get_args(Column)[0])
    return {kind: model for model in union for kind in get_args(model.model_fields["type"].annotation)}


def _keys_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model allows at a place in the task."""
    for part in location:
        if str(part) in _column_types():
            model = _column_types()[str(part)]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            names = {field.alias or name: field for name, field in model.model_fields.items()}
            model = _model_within(names[str(part)].annotation) if str(part) in names else model
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_within(annotation: Any) -> Any:
    """The section's model inside an annotation such as `tuple[Check, ...]` or `dict[str, Lookup]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_within(inner) for inner in get_args(annotation)]
    return next((model for model in found if model is not None), None)


# ---------------------------------------------------------------- rules across sections


def known_columns(task: TableTask) -> list[str]:
    return [*task.columns, *task.derived]


def column_type(task: TableTask, name: str) -> str:
    """The declared type of a column or derived column."""
    return task.columns[name].type if name in task.columns else task.derived[name].type


def _unknown(where: str, name: str, task: TableTask) -> str:
    known = known_columns(task)
    return f"{where} reads {name!r}, which is no column.{did_you_mean(name, known)}"


def keys_are_columns(task: TableTask) -> Iterator[str]:
    source = task.source
    for key, name in (("case", source.case), ("subject", source.subject)):
        if name not in task.columns:
            yield _unknown(f"source.{key}", name, task)
        elif column_type(task, name) not in KEY_TYPES:
            yield f"source.{key}: expected a column of {_or(KEY_TYPES)}, received {name!r} of {column_type(task, name)}"
    if source.time is not None and source.time not in task.columns:
        yield _unknown("source.time", source.time, task)
    elif source.time is not None and not isinstance(task.columns[source.time], DateColumn):
        yield f"source.time: expected a date or timestamp, received {source.time!r} of {column_type(task, source.time)}"


def timezone_exists(task: TableTask) -> Iterator[str]:
    zones = available_timezones()
    if task.source.timezone not in zones:
        hint = did_you_mean(task.source.timezone, zones)
        yield f"source.timezone: expected an IANA zone such as Europe/Paris, received {task.source.timezone!r}.{hint}"


def duplicates_read_columns(task: TableTask) -> Iterator[str]:
    duplicates = task.source.duplicates
    if duplicates is None:
        return
    for name in duplicates.same if isinstance(duplicates.same, tuple) else ():
        if name not in task.columns:
            yield _unknown("source.duplicates.same", name, task)
    if duplicates.by is not None and duplicates.by not in task.columns:
        yield _unknown("source.duplicates.by", duplicates.by, task)
    if (duplicates.keep == "first") != (duplicates.by is None):
        yield f"source.duplicates: keep {duplicates.keep!r} {'needs no' if duplicates.by else 'needs a'} `by` column"


def columns_are_sound(task: TableTask) -> Iterator[str]:
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


def _number_is_sound(where: str, column: NumberColumn, task: TableTask) -> Iterator[str]:
    if column.units is not None and column.units.column not in task.columns:
        yield _unknown(f"{where}.units.column", column.units.column, task)
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
        yield from _in(f"derived.{name}", problems_of(derived.expression, task.columns))
        if name in task.columns:
            yield f"derived.{name}: a column has this name already"
    for check in task.checks:
        yield from _in(f"checks.{check.name}", problems_of(check.expect, task.columns))
    for exclusion in task.exclude:
        yield from _in(f"exclude.{exclusion.name}", problems_of(exclusion.when, known_columns(task)))
    yield from _in("outcome", problems_of(task.outcome.when, known_columns(task)))


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
            yield _unknown(f"features.{kind}", name, task)
        elif column_type(task, name) not in allowed:
            received = f"{name!r} of {column_type(task, name)}"
            yield f"features.{kind}: expected a column of {_or(allowed)}, received {received}"
    seen: set[tuple[str, str]] = set()
    for kind, name, _ in kinds:
        if (kind, name) in seen:
            yield f"features.{kind}: {name!r} is named twice"
        seen.add((kind, name))


def features_do_not_leak(task: TableTask) -> Iterator[str]:
    leaky = set(outcome_columns(task))
    derived = {name: set(_columns_or_none(d.expression)) for name, d in task.derived.items()}
    for name in task.features.columns():
        if name in leaky or derived.get(name, set()) & leaky:
            yield f"features: {name!r} is read by the outcome too: it would leak the label"
        if name in (task.source.case, task.source.subject):
            yield f"features: {name!r} identifies a case or a patient, so it cannot be a feature"


def outcome_columns(task: TableTask) -> list[str]:
    """The source columns that the outcome reads, through derived columns as well."""
    names: list[str] = []
    for name in _columns_or_none(task.outcome.when):
        names += [*_columns_or_none(task.derived[name].expression), name] if name in task.derived else [name]
    return list(dict.fromkeys(names))


def subgroups_read_columns(task: TableTask) -> Iterator[str]:
    for name in task.report.subgroups:
        if name not in known_columns(task):
            yield _unknown("report.subgroups", name, task)
        elif column_type(task, name) not in LEVEL_TYPES:
            yield f"report.subgroups: expected a column with levels, received {name!r} of {column_type(task, name)}"


def names_are_free(task: TableTask) -> Iterator[str]:
    keys = {task.source.case, task.source.subject, task.source.time}
    for name in dict.fromkeys([*task.features.columns(), *task.report.subgroups]):
        if name in CASE_COLUMNS and name not in keys:
            yield f"columns.{name}: this name is kept for the table of cases; rename the column in the source"


def bands_are_sound(task: TableTask) -> Iterator[str]:
    thresholds = list(task.risk_bands.values())
    if len(set(thresholds)) != len(thresholds):
        yield "risk_bands: two bands start at the same probability"
    if "low" in task.risk_bands:
        yield "risk_bands: `low` is the band below all others and needs no threshold"


def exclusions_have_names(task: TableTask) -> Iterator[str]:
    for kind, names in (
        ("exclude", [e.name for e in task.exclude]),
        ("checks", [c.name for c in task.checks]),
    ):
        for name in {name for name in names if names.count(name) > 1}:
            yield f"{kind}: two entries are named {name!r}; counts need one name each"


def settings_do_something(task: TableTask) -> Iterator[str]:
    if task.training.optimizer != "adamw" and "weight_decay" in _changed(task.training):
        yield "training.weight_decay: only adamw reads it; use l2 with other optimisers"
    for name, column in task.columns.items():
        given = _changed(column) & {"precision", "scale"}
        if given and column.type != "decimal":
            yield f"columns.{name}: only a decimal has {_or(given)}"
    csv_only = {"delimiter", "header", "quoted_newlines"} & _changed(task.source)
    if csv_only and task.source.format != "csv":
        yield f"source: only csv has {_or(csv_only)}, received format {task.source.format!r}"
    if "encoding" in _changed(task.source) and task.source.format in ("parquet", "orc"):
        yield f"source: {task.source.format} has no encoding"
    read = {column.lookup for column in task.columns.values() if isinstance(column, CategoryColumn)}
    for name in task.lookups:
        if name not in read:
            yield f"lookups.{name}: no column reads it"


RULES: tuple[Callable[[TableTask], Iterator[str]], ...] = (
    keys_are_columns,
    timezone_exists,
    duplicates_read_columns,
    columns_are_sound,
    expressions_are_sound,
    features_read_columns,
    features_do_not_leak,
    subgroups_read_columns,
    names_are_free,
    bands_are_sound,
    exclusions_have_names,
    settings_do_something,
)


def _in(where: str, problems: list[str]) -> list[str]:
    return [f"{where}: {problem}" for problem in problems]


def _changed(model: BaseModel) -> set[str]:
    """The settings that differ from their defaults."""
    fields = type(model).model_fields
    return {name for name in model.model_fields_set if getattr(model, name) != fields[name].default}


def _or(words: frozenset[str] | set[str]) -> str:
    return " or ".join(sorted(words))


def _columns_or_none(expression: str) -> list[str]:
    """The columns of an expression; none where it cannot be read, which `expressions_are_sound` reports."""
    try:
        return columns_of(expression)
    except SqlglotError:
        return []
