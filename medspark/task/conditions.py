"""Whether what must be true or false is: a number or a text is neither, and is not cast in silence."""

from collections.abc import Iterator, Mapping

from sqlglot import exp

from medspark.task.expression_types import ValueType, type_of, with_types
from medspark.task.expressions import parse, problems_of

_WORDS = {"number": "a number", "text": "a text", "null": "null alone", "other": "several values"}


def condition_problems(expression: str, types: Mapping[str, ValueType | None]) -> list[str]:
    """Everything wrong with an expression that must be true or false.

    >>> condition_problems("age > 80", {"age": "number"})
    []
    >>> condition_problems("status", {"status": "number"})
    ["'status' is a number; expected true or false, as of: status = 2"]
    """
    return problems_of(expression, types) or list(_untrue(expression, types))


def logic_problems(expression: str, types: Mapping[str, ValueType | None]) -> list[str]:
    """Everything wrong with an expression of any type, in which `and`, `not` and `when` join what is true or false."""
    return problems_of(expression, types) or list(_unfit_parts(with_types(parse(expression), types), expression))


def _untrue(expression: str, types: Mapping[str, ValueType | None]) -> Iterator[str]:
    tree = with_types(parse(expression), types)
    kind = type_of(tree)
    told = all(types.get(column.name) is not None for column in parse(expression).find_all(exp.Column))
    if kind == "boolean":
        yield from _unfit_parts(tree, expression)
    elif kind is not None or told:
        yield _not_boolean(expression, expression, kind)


def _unfit_parts(tree: exp.Expr, expression: str) -> Iterator[str]:
    """Each operand of `and`, `or` and `not`, and each condition of `if` and `case`, that is not boolean."""
    for node in tree.walk():
        for part in _operands(node):
            kind = type_of(part)
            if kind not in ("boolean", "null", None):
                typed = isinstance(part, exp.Cast) and isinstance(part.this, exp.Column)
                yield _not_boolean((part.this if typed else part).sql(dialect="spark"), expression, kind)


def _operands(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Connector):
        return [node.this, node.expression]
    if isinstance(node, exp.Not):
        return [node.this]
    compares = isinstance(node.parent, exp.Case) and node.parent.this is not None
    return [node.this] if isinstance(node, exp.If) and not compares else []


def _not_boolean(part: str, expression: str, kind: ValueType | None) -> str:
    within = "" if part == expression else f" in {expression!r}"
    is_a = _WORDS.get(kind, f"a {kind}") if kind is not None else "of a type that is not known"
    return f"{part!r}{within} is {is_a}; expected true or false, as of: {_proposal(part, kind)}"


def _proposal(part: str, kind: ValueType | None) -> str:
    """A comparison that may have been meant."""
    if kind == "number":
        return f"{part} = 2"
    return f"{part} = 'yes'" if kind == "text" else f"{part} is not null"
