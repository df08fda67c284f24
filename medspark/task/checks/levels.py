"""Conditions that no row can meet: a level that its column does not have, a number beyond its range, an exclusion that
stands above already.

They are advice and no problems, since a bundle's task passes the rules again when it is loaded.
"""

from collections.abc import Iterator
from math import inf
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from medspark.errors import did_you_mean
from medspark.task.columns import CategoryColumn, IntervalColumn, NumberColumn
from medspark.task.expressions import parse
from medspark.task.spelling import normalised
from medspark.task.table_task import TableTask


def levels_exist(task: TableTask) -> Iterator[str]:
    """A level that a condition compares with is one of the column's, where the column lists them."""
    for where, text in _expressions(task).items():
        for name, level in _compared(text):
            column = task.columns.get(name)
            if not isinstance(column, CategoryColumn) or column.levels is None or column.lookup is not None:
                continue
            if level not in column.levels:
                hint = did_you_mean(level, column.levels)
                yield f"{where}: no row has the level {level!r} of {name!r} after cleaning, which lists others.{hint}"


def numbers_are_in_range(task: TableTask) -> Iterator[str]:
    """A number that a condition compares with leaves some value of the column's range on its side."""
    for where, text in _expressions(task).items():
        for name, sign, number in _limits(text):
            column = task.columns.get(name)
            if not isinstance(column, NumberColumn | IntervalColumn) or column.range is None:
                continue
            low, high = column.range.low, column.range.high
            least, most = (-inf if low is None else low), (inf if high is None else high)
            reached = {">": number < most, ">=": number <= most, "<": number > least, "<=": number >= least}
            if not reached.get(sign, least <= number <= most):
                ends = f"{'' if low is None else f' from {low:g}'}{'' if high is None else f' up to {high:g}'}"
                yield f"{where}: no row has {name} {sign} {number:g} after cleaning, by the column's range{ends}"


def exclusions_are_reached(task: TableTask) -> Iterator[str]:
    """An exclusion with the condition of an earlier one takes out nobody."""
    first: dict[str, str] = {}
    for item in task.exclude:
        try:
            condition = parse(item.when).sql(dialect="spark")
        except SqlglotError:
            continue  # which expressions_are_sound reports
        other = first.setdefault(condition, item.name)
        if other != item.name:
            yield f"exclude.{item.name}: its condition is that of {other!r}, which takes out the same rows before it"


def _expressions(task: TableTask) -> dict[str, str]:
    """Each expression of a task with its place."""
    found = {f"exclude.{item.name}": item.when for item in task.exclude}
    found |= {f"outcome.{place}": text for place, text in task.outcome.conditions().items()}
    found |= {f"checks.{check.name}": check.expect for check in task.checks}
    return found | {f"derived.{name}": derived.expression for name, derived in task.derived.items()}


_SIGNS: Final = {exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.EQ: "="}
_TURNED: Final = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "="}


def _limits(expression: str) -> Iterator[tuple[str, str, float]]:
    """Each column that an expression compares with a number, the sign, and the number."""
    try:
        tree = parse(expression)
    except SqlglotError:
        return
    for node in tree.find_all(*_SIGNS):
        sign = _SIGNS[type(node)]
        for column, number, said in ((node.left, node.right, sign), (node.right, node.left, _TURNED[sign])):
            value = _number(number)
            if isinstance(column, exp.Column) and value is not None:
                yield column.name, said, value


def _number(node: exp.Expr) -> float | None:
    if isinstance(node, exp.Neg):
        value = _number(node.this)
        return None if value is None else -value
    if not isinstance(node, exp.Literal) or node.is_string:
        return None
    try:
        return float(node.name)
    except ValueError:
        return None


def _compared(expression: str) -> Iterator[tuple[str, str]]:
    """Each column that an expression compares with a text, and the text."""
    try:
        tree = parse(expression)
    except SqlglotError:
        return
    for node in tree.walk():
        if isinstance(node, exp.EQ | exp.NEQ):
            sides = (node.this, node.expression)
            for column, literal in (sides, sides[::-1]):
                yield from _pair(column, literal)
        elif isinstance(node, exp.In):
            for literal in node.expressions:
                yield from _pair(node.this, literal)


def _pair(column: exp.Expr, literal: exp.Expr) -> Iterator[tuple[str, str]]:
    if isinstance(column, exp.Column) and isinstance(literal, exp.Literal) and literal.is_string:
        yield column.name, normalised(literal.name)
