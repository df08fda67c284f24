"""Texts that Spark reads by the clock: 'today', 'now', a time without its day."""

import re
from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from medspark.task.expression_types import type_of

_BY_THE_CLOCK: Final = re.compile(r"(?:now|today|tomorrow|yesterday)(?:[^a-z].*)?|t?[0-9]{1,2}:.*", re.DOTALL)
"""A word, perhaps with a zone behind it, or a time without a day, which Spark reads as of today."""

_OF_TEXT: Final = (
    exp.Like,
    exp.ILike,
    exp.RegexpLike,
    exp.RegexpILike,
    exp.RegexpExtract,
    exp.RegexpReplace,
    exp.RegexpSplit,
    exp.Replace,
    exp.Contains,
    exp.StartsWith,
    exp.EndsWith,
    exp.StrPosition,
    exp.Split,
    exp.SubstringIndex,
    exp.Substring,
    exp.Concat,
    exp.ConcatWs,
    exp.DPipe,
    exp.Trim,
    exp.Pad,
    exp.Upper,
    exp.Lower,
    exp.Initcap,
    exp.Length,
    exp.Reverse,
    exp.Left,
    exp.Right,
    exp.Translate,
    exp.TimeToStr,
)
"""What takes a text for a text; the format of a date's text among it."""
_ALIKE: Final = (
    exp.EQ,
    exp.NEQ,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.In,
    exp.Between,
    exp.Coalesce,
    exp.Nullif,
    exp.Greatest,
    exp.Least,
    exp.Array,
)
"""What brings all that it reads to one type."""


def texts_of_the_clock(tree: exp.Expr) -> Iterator[str]:
    """Each part of a tree with types that Spark would read, or might read, by the clock, as it is written.

    Spark does so with constants wherever a date or a timestamp is wanted, and with a time alone in any row.
    """
    for node in tree.walk():
        text = _constant_text(node)
        if isinstance(node.parent, exp.Concat | exp.DPipe) and _constant_text(node.parent) is not None:
            continue  # a part of a text, which is judged as a whole
        if text is not None and _BY_THE_CLOCK.fullmatch(text) and not _is_wanted_as_text(node):
            yield node.sql(dialect="spark")
        elif text is None and type_of(node) == "text" and _becomes_timestamp(node):
            yield f"{_written(node)} as a timestamp, where a text such as 10:30 is of today; give to_timestamp a format"


def _constant_text(node: exp.Expr) -> str | None:
    """The text of a constant, bare and small; WORKED_OUT where constants make it, None where it is no constant.

    White space and control characters around it are none of it to Spark.
    """
    if isinstance(node, exp.Literal):
        return _bare(node.name) if node.is_string else None
    if type_of(node) not in ("text", None) or isinstance(node, exp.Paren) or not isinstance(node, exp.Condition):
        return None
    leaves = [leaf for leaf in node.walk() if isinstance(leaf, exp.Column | exp.Literal)]
    if any(isinstance(leaf, exp.Column) for leaf in leaves) or not any(leaf.is_string for leaf in leaves):
        return None
    if isinstance(node, exp.Concat | exp.DPipe) and all(isinstance(part, exp.Literal) for part in _parts(node)):
        return _bare("".join(part.name for part in _parts(node)))
    return _WORKED_OUT


_WORKED_OUT: Final = "now: worked out of constants"


def _bare(text: str) -> str:
    return re.sub(r"^[\s\x00-\x20]+|[\s\x00-\x20]+$", "", text).lower()


def _parts(node: exp.Expr) -> list[exp.Expr]:
    return node.expressions if isinstance(node, exp.Concat) else [node.this, node.expression]


def _is_wanted_as_text(node: exp.Expr) -> bool:
    """Whether what stands above a constant takes it for a text, so that no clock is asked."""
    above = _above(node)
    if isinstance(above, exp.Cast):  # TryCast too
        return type_of(above) in ("text", "number", "boolean")
    if isinstance(above, exp.If) and isinstance(above.parent, exp.Case) and node is above.this:
        return above.parent.this is not None and type_of(above.parent.this) == "text"
    if isinstance(above, exp.Case | exp.If):
        return type_of(above) == "text" and all(type_of(value) in ("text", "null") for value in _values(above))
    if isinstance(above, _ALIKE):
        others = [child for child in above.iter_expressions() if child is not node]
        return all(type_of(other) in ("text", "null") for other in others)
    return isinstance(above, _OF_TEXT)


def _values(node: exp.Expr) -> list[exp.Expr]:
    """What a case or an if may come to, and what a case compares."""
    ifs = [*node.args.get("ifs", ())] if isinstance(node, exp.Case) else [node]
    found = [part.args.get("true") for part in ifs] + [node.args.get("default"), node.args.get("false")]
    return [value for value in found if value is not None]


def _becomes_timestamp(node: exp.Expr) -> bool:
    """Whether a text that is no constant is read as a timestamp, without a format."""
    above = _above(node)
    if isinstance(above, exp.Cast):
        return type_of(above) == "timestamp"
    if isinstance(above, exp.Anonymous):
        return above.name.lower() == "try_to_timestamp" and len(above.expressions) == 1
    others = [child for child in above.iter_expressions() if child is not node] if isinstance(above, _ALIKE) else []
    return any(type_of(other) == "timestamp" for other in others)


def _above(node: exp.Expr) -> exp.Expr | None:
    above = node.parent
    while isinstance(above, exp.Paren):
        above = above.parent
    return above


def _written(node: exp.Expr) -> str:
    """A part as it was written: a column without the type that it was given."""
    typed = isinstance(node, exp.Cast) and isinstance(node.this, exp.Column)
    return (node.this if typed else node).sql(dialect="spark")
