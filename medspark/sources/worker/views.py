"""FHIR resources, one a line, to the rows of a view. No Spark here."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import product
from typing import Any, Final, NamedTuple

import pyarrow as pa

from medspark.schemas import RECORD_RULE, ROW_OF_LINE, TEXT
from medspark.sources.record_rules import BAD_JSON, NO_ROW, OTHER_RESOURCE, REPEATED_KEY, UNREADABLE_RESOURCE
from medspark.task.fhirpath import Path, compile_path
from medspark.task.view import ROW_INDEX, Select, View

Row = dict[str, Any]
"""The values by column; None where there is none."""
Constants = Mapping[str, Any]


class _Select(NamedTuple):
    """A select whose paths are compiled."""

    names: tuple[str, ...]
    columns: tuple[tuple[str, Path, bool], ...]
    each: Path | None
    or_null: bool
    repeat: tuple[Path, ...]
    beside: tuple["_Select", ...]
    under: tuple["_Select", ...]


class CompiledView(NamedTuple):
    """A view whose paths are compiled; it cannot be sent to another process."""

    resource: str
    names: tuple[str, ...]
    selects: tuple[_Select, ...]
    wheres: tuple[Path, ...]
    constants: Row


class _RepeatedKeyError(Exception):
    """An object has a key twice: which of the values counts cannot be known."""


def compile_view(view: View) -> CompiledView:
    """A view to be followed many times; it is without problems, as `view_problems` finds them."""
    return CompiledView(
        view.resource,
        view.names,
        tuple(map(_compile, view.select)),
        tuple(compile_path(where.path) for where in view.where),
        {constant.name: _exact(constant.value) for constant in view.constant},
    )


def _exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


def _compile(select: Select) -> _Select:
    each = select.for_each if select.for_each is not None else select.for_each_or_null
    return _Select(
        select.names,
        tuple((column.name, compile_path(column.path), column.collection) for column in select.column),
        None if each is None else compile_path(each),
        select.for_each_or_null is not None,
        tuple(map(compile_path, select.repeat)),
        tuple(map(_compile, select.select)),
        tuple(map(_compile, select.union_all)),
    )


def view_rows(view: CompiledView, resource: Row) -> list[Row]:
    """The rows that a resource becomes; none where it is of another type or a condition is not met.

    Args:
        view: which rows.
        resource: whose decimals are exact.

    Raises:
        Exception: a path gives several values where one is expected, or no truth, or cannot be followed.
    """
    if resource.get("resourceType") != view.resource:
        return []
    at = {**view.constants, "resource": resource, ROW_INDEX: 0}
    if not all(_is_true(_follow(where, resource, at)) for where in view.wheres):
        return []
    return _beside([_rows(select, resource, at) for select in view.selects])


def _rows(select: _Select, element: Any, constants: Constants) -> list[Row]:
    if select.each is None and not select.repeat:
        return _row(select, element, constants)
    if select.each is not None:
        elements = _follow(select.each, element, constants)
    else:
        elements = list(_repeated(select.repeat, element, constants))
    if not elements and select.or_null:
        return _row(select, None, {**constants, ROW_INDEX: 0})
    numbered = ((found, {**constants, ROW_INDEX: place}) for place, found in enumerate(elements))
    return [row for found, at in numbered for row in _row(select, found, at)]


def _row(select: _Select, element: Any, constants: Constants) -> list[Row]:
    """The rows of one element; of one that is not there, a single row without values."""
    if element is None:
        index = {name: _value(path, {}, constants, False) for name, path, _ in select.columns if _is_index(path)}
        return [dict.fromkeys(select.names) | index]
    own: Row = {name: _value(path, element, constants, many) for name, path, many in select.columns}
    parts = [[own], *(_rows(part, element, constants) for part in select.beside)]
    if select.under:
        parts.append([row for part in select.under for row in _rows(part, element, constants)])
    return _beside(parts)


def _is_index(path: Path) -> bool:
    return path is compile_path(f"%{ROW_INDEX}")


def _beside(parts: list[list[Row]]) -> list[Row]:
    """Each row of each part with each of the others."""
    if all(len(rows) == 1 for rows in parts):
        return [{name: value for (row,) in parts for name, value in row.items()}]
    return [{name: value for row in rows for name, value in row.items()} for rows in product(*parts)]


def _repeated(paths: tuple[Path, ...], element: Any, constants: Constants) -> Iterator[Any]:
    """Every element that the paths lead to from this one, each followed by those that they lead to from it."""
    for path in paths:
        for found in _follow(path, element, constants):
            yield found
            yield from _repeated(paths, found, constants)


def _follow(path: Path, element: Any, constants: Constants) -> list[Any]:
    return [node for node in path(element, constants) if getattr(node, "data", node) is not None]


def _is_true(found: list[Any]) -> bool:
    values = [getattr(node, "data", node) for node in found]
    if len(values) > 1 or not all(isinstance(value, bool) for value in values):
        raise ValueError("expected true, false or nothing")
    return values == [True]


def _value(path: Path, element: Any, constants: Constants, many: bool) -> Any:
    values = [_plain(node) for node in _follow(path, element, constants)]
    if many:
        return values
    if len(values) > 1:
        raise ValueError("expected one value")
    return values[0] if values else None


def _plain(node: Any) -> Any:
    value = _exact(getattr(node, "data", node))
    return value if isinstance(value, bool | int | Decimal | str | dict | list) else str(value)


# ---------------------------------------------------------------- lines

MOST_TEXT: Final = 2**26
"""Letters of the lines' text in a batch of rows: each row has its line's, and Arrow's text ends at 2 GiB."""


def flatten(view: View, others: tuple[str, ...], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Lines to the rows of a view, at least one each.

    Args:
        view: whose columns become text.
        others: the batches' columns that each row takes over from its line, TEXT and RECORD_RULE among them.
        batches: of lines.

    Yields: `others`, ROW_OF_LINE and the view's columns. A line that makes no row, and one that breaks a record rule,
    has one row without values; ROW_OF_LINE is then null. The lines' text in a batch is MOST_TEXT letters at most, or
    that of one row.
    """
    compiled = compile_view(view)
    for batch in batches:
        texts, rules = batch.column(TEXT).to_pylist(), batch.column(RECORD_RULE).to_pylist()
        found = (
            _of_line(compiled, text) if rule is None else ([], rule) for text, rule in zip(texts, rules, strict=True)
        )
        for made in _slices(found, list(map(len, texts))):
            yield _batch(batch, others, view.names, made)


class _Made(NamedTuple):
    """A row, the place of its line in the batch and its own place in the line, and the rule that the line breaks."""

    line: int
    place: int | None
    row: Row
    rule: str | None


def _slices(found: Iterator[tuple[list[Row], str | None]], sizes: list[int]) -> Iterator[list[_Made]]:
    """The rows of some lines in slices, as each row has all of its line's text with it."""
    made: list[_Made] = []
    size = 0
    for line, (rows, rule) in enumerate(found):
        for place, row in enumerate(rows) if rows else [(None, {})]:
            if made and size + sizes[line] > MOST_TEXT:
                yield made
                made, size = [], 0
            made.append(_Made(line, place, row, rule))
            size += sizes[line]
    if made:
        yield made


def _batch(batch: pa.RecordBatch, others: tuple[str, ...], names: tuple[str, ...], made: list[_Made]) -> pa.RecordBatch:
    line = pa.array([one.line for one in made], pa.int64())
    columns = {name: batch.column(name).take(line) for name in others if name != RECORD_RULE}
    columns[RECORD_RULE] = pa.array([one.rule for one in made], pa.string())
    columns = {name: columns[name] for name in others}
    columns[ROW_OF_LINE] = pa.array([one.place for one in made], pa.int32())
    columns |= {name: pa.array([_text(one.row.get(name)) for one in made], pa.string()) for name in names}
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _of_line(view: CompiledView, text: str) -> tuple[list[Row], str | None]:
    """The rows of a line, or the rule that it breaks."""
    try:
        resource = json.loads(text, parse_float=Decimal, object_pairs_hook=_object, parse_constant=_no_number)
    except _RepeatedKeyError:
        return [], REPEATED_KEY
    except (ValueError, RecursionError):
        return [], BAD_JSON
    if not isinstance(resource, dict):
        return [], BAD_JSON
    if resource.get("resourceType") != view.resource:
        return [], OTHER_RESOURCE
    try:
        rows = view_rows(view, resource)
    except Exception:  # the library's errors are of no one kind, and hold values
        return [], UNREADABLE_RESOURCE
    return rows, None if rows else NO_ROW


def _object(pairs: list[tuple[str, Any]]) -> Row:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError
    return found


def _no_number(word: str) -> Any:
    raise ValueError(word)


def _text(value: Any) -> str | None:
    """A value as its column reads it: text as it is, nested ones as JSON; an empty collection is none."""
    if value is None or value == []:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f") if -9 < value.adjusted() < 18 else str(value)
    return json.dumps(value, default=_number)


def _number(value: Any) -> Any:
    return float(value)
