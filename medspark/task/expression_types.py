"""The type of every part of an expression, as far as it can be told without Spark."""

from collections.abc import Mapping
from typing import Final, Literal

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

from medspark.task.columns import Column
from medspark.task.raw_table import Derived

ValueType = Literal["boolean", "number", "text", "date", "timestamp", "other", "null"]

_OF_DECLARED: Final[Mapping[str, ValueType]] = {
    "long": "number",
    "integer": "number",
    "double": "number",
    "decimal": "number",
    "interval": "number",
    "boolean": "boolean",
    "category": "text",
    "string": "text",
    "code": "text",
    "date": "date",
    "timestamp": "timestamp",
    "image": "other",
}
_SQL_TYPES: Final = {
    "boolean": "BOOLEAN",
    "number": "DOUBLE",
    "text": "STRING",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
_UNTOLD: Final[Mapping[str, ValueType]] = {
    "isnull": "boolean",
    "isnotnull": "boolean",
    "bround": "number",
    "log1p": "number",
    "pmod": "number",
    "weekday": "number",
    "rint": "number",
    "widthbucket": "number",
    "safeadd": "number",
    "safesubtract": "number",
    "safemultiply": "number",
    "make_date": "date",
    "try_to_timestamp": "timestamp",
    "timestamptrunc": "timestamp",
    "substringindex": "text",
}
"""Functions whose type the parser does not know, by its name of them, or Spark's where it has none."""


def declared_types(columns: Mapping[str, Column], derived: Mapping[str, Derived]) -> dict[str, ValueType | None]:
    """The type of each column's values in expressions; None where the column could not be read."""
    declared = {name: column.type for name, column in columns.items()}
    return {name: _OF_DECLARED.get(kind) for name, kind in (declared | {n: d.type for n, d in derived.items()}).items()}


def with_types(tree: exp.Expr, types: Mapping[str, ValueType | None]) -> exp.Expr:
    """A copy of an expression's tree whose parts know their types; columns stand in it as nulls of their types."""

    def typed(node: exp.Expr) -> exp.Expr:
        kind = types.get(node.name) if isinstance(node, exp.Column) else None
        return exp.cast(exp.column(node.name), _SQL_TYPES[kind], dialect="spark") if kind in _SQL_TYPES else node

    return annotate_types(tree.transform(typed), dialect="spark")


def type_of(node: exp.Expr) -> ValueType | None:
    """The type of a part of a tree that `with_types` made; None where it is not known."""
    if isinstance(node, exp.Paren):
        return type_of(node.this)
    if isinstance(node, exp.Nvl2):
        return type_of(node.args["true"])
    name = node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__.lower()
    if name in _UNTOLD:
        return _UNTOLD[name]
    kind = _element(node.this.type) if isinstance(node, exp.ArrayMax | exp.ArrayMin) else node.type
    if kind is None or kind.is_type(exp.DType.UNKNOWN):
        return None
    if kind.is_type(exp.DType.NULL):
        return "null"
    if kind.is_type(exp.DType.BOOLEAN):
        return "boolean"
    if kind.is_type(*exp.DataType.TEXT_TYPES):
        return "text"
    if kind.is_type(*exp.DataType.NUMERIC_TYPES):
        return "number"
    if kind.is_type(exp.DType.DATE):
        return "date"
    return "timestamp" if kind.is_type(*exp.DataType.TEMPORAL_TYPES) else "other"


def _element(array: exp.DataType | None) -> exp.DataType | None:
    found = array.expressions if array is not None else []
    return found[0] if found and isinstance(found[0], exp.DataType) else None
