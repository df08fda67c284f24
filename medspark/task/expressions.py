"""Spark SQL expressions in a task file: what they read, and whether they stay inside the row.

An expression is parsed, checked and written anew from its tree, so what Spark gets is exactly what was checked.
Only functions of one row that are deterministic are allowed: none can reach the JVM, a file, the session or
another table. No Spark here.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from medspark.errors import did_you_mean
from medspark.task.clock import texts_of_the_clock
from medspark.task.columns import AS_IT_STANDS, READS_AS_IT_STANDS, TWO_DIGITS
from medspark.task.expression_types import ValueType, with_types
from medspark.task.patterns import pattern_problems

FUNCTIONS = frozenset(
    [
        "abs",
        "add_months",
        "array",
        "array_contains",
        "array_distinct",
        "array_max",
        "array_min",
        "array_size",
        "bround",
        "cast",
        "ceil",
        "ceiling",
        "char_length",
        "coalesce",
        "concat",
        "concat_ws",
        "contains",
        "date_add",
        "date_diff",
        "date_format",
        "date_sub",
        "date_trunc",
        "datediff",
        "day",
        "dayofmonth",
        "dayofweek",
        "dayofyear",
        "element_at",
        "endswith",
        "exp",
        "floor",
        "greatest",
        "hour",
        "if",
        "ifnull",
        "in",
        "initcap",
        "instr",
        "int",
        "isnan",
        "isnotnull",
        "isnull",
        "last_day",
        "least",
        "left",
        "len",
        "length",
        "ln",
        "locate",
        "log",
        "log10",
        "log1p",
        "log2",
        "lower",
        "lpad",
        "ltrim",
        "make_date",
        "minute",
        "mod",
        "month",
        "months_between",
        "nanvl",
        "not",
        "nullif",
        "nvl",
        "nvl2",
        "pmod",
        "position",
        "pow",
        "power",
        "quarter",
        "regexp_extract",
        "regexp_like",
        "regexp_replace",
        "replace",
        "reverse",
        "right",
        "rint",
        "rlike",
        "round",
        "rpad",
        "rtrim",
        "second",
        "shiftleft",
        "shiftright",
        "sign",
        "size",
        "split",
        "sqrt",
        "startswith",
        "substr",
        "substring",
        "substring_index",
        "timestampdiff",
        "to_date",
        "to_timestamp",
        "translate",
        "trim",
        "trunc",
        "try_add",
        "try_cast",
        "try_divide",
        "try_element_at",
        "try_multiply",
        "try_subtract",
        "try_to_timestamp",
        "unix_timestamp",
        "upper",
        "weekday",
        "weekofyear",
        "when",
        "width_bucket",
        "year",
    ]
)

_TREE = (
    exp.Binary,
    exp.Unary,
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Bracket,
    exp.In,
    exp.Between,
    exp.Case,
    exp.If,
    exp.Cast,
    exp.DataType,
    exp.DataTypeParam,
    exp.Tuple,
    exp.Interval,
    exp.Var,
    exp.Alias,
    exp.Func,
)
_NEVER = (exp.Query, exp.Window, exp.AggFunc, exp.Lambda, exp.Command, exp.Star, exp.Dot)
_CLOCK = (exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.CurrentUser, exp.CurrentDatetime)
_CALL_WORDS = frozenset(
    ["and", "or", "in", "not", "between", "when", "then", "else", "case", "like", "is", "from", "interval"]
)


def columns_of(expression: str) -> list[str]:
    """The columns that an expression reads, once each.

    >>> columns_of("a > 1 or b < a")
    ['a', 'b']
    """
    return list(dict.fromkeys(column.name for column in parse(expression).find_all(exp.Column)))


def spark_sql(expression: str) -> str:
    """The expression as Spark gets it, written from the checked tree.

    >>> spark_sql("age>80 and not died -- of the first stay")
    'age > 80 AND NOT died'
    """
    return parse(expression).sql(dialect="spark", comments=False)


def problems_of(expression: str, known: Mapping[str, ValueType | None] | Iterable[str]) -> list[str]:
    """Everything wrong with an expression that may read the columns `known`; empty when it is fine.

    >>> problems_of("age > 80", ["age"])
    []
    >>> problems_of("agee > 80", ["age"])
    ["'agee > 80' reads 'agee', which is no column. Did you mean 'age'?"]
    """
    try:
        tree = parse(expression)
        text = tree.sql(dialect="spark", comments=False)
    except (TooLargeError, RecursionError) as error:
        reason = str(error) if isinstance(error, TooLargeError) else _NESTED
        return [f"expected a Spark SQL expression, received {expression[:60]!r}...: {reason}"]
    except SqlglotError as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        return [f"expected a Spark SQL expression, received {expression!r}: {reason}"]
    types = known if isinstance(known, Mapping) else dict.fromkeys(known)
    problems = [
        f"{expression!r} reads {column!r}, which is no column.{did_you_mean(column, types)}"
        for column in columns_of(expression)
        if column not in types
    ]
    problems += [
        f"{expression!r} depends on when it is run: {part}" for part in texts_of_the_clock(with_types(tree, types))
    ]
    problems += [f"{expression!r}: {problem}" for problem in pattern_problems(tree)]
    problems += _problems_of_parts(tree, expression)
    problems += [
        f"{expression!r} calls {name}(), which is not allowed here.{did_you_mean(name, FUNCTIONS)}"
        for name in _calls(text)
        if name not in FUNCTIONS
    ]
    return problems


def _problems_of_parts(tree: exp.Expr, expression: str) -> Iterator[str]:
    """What is wrong with a part of an expression by itself."""
    for node in tree.walk():
        if isinstance(node, _NEVER) or not isinstance(node, _TREE):
            yield f"{expression!r} is more than an expression over one row: {type(node).__name__}"
            return
        if isinstance(node, _CLOCK) or _asks_for_nothing(node):
            yield f"{expression!r} depends on when or by whom it is run: {node.sql(dialect='spark')}"
        if _reads_two_digits(node):
            yield (
                f"{expression!r} reads years of two digits, whose century is not told: declare the column as a date "
                "with a pivot_year"
            )
        if _reads_as_it_stands(node):
            yield f"{expression!r} {READS_AS_IT_STANDS}: write yyyy"
        if isinstance(node, exp.Literal) and not node.is_string and not _holds(node.name):
            yield f"{expression[:60]!r} has a number that Spark does not hold: {node.name[:40]}"
        if isinstance(node, exp.Column) and node.table:
            yield f"{expression!r} names a table in {node.sql(dialect='spark')!r}; expected a column"


def _asks_for_nothing(node: object) -> bool:
    """Whether a function reads no argument, so that its answer is of the clock, the user or the session."""
    fixed = isinstance(node, exp.Anonymous | exp.Array | exp.Case | exp.Null | exp.Boolean)
    return isinstance(node, exp.Func) and not fixed and next(node.iter_expressions(), None) is None


def _reads_two_digits(node: object) -> bool:
    """Whether text is read as a time by a format whose year has no century; the parser writes it %y."""
    if isinstance(node, exp.TsOrDsToDate | exp.StrToTime | exp.StrToUnix):
        given = [node.args.get("format")]
    else:
        reads = isinstance(node, exp.Anonymous) and node.name.lower() == "try_to_timestamp"
        given = node.expressions[1:2] if reads and isinstance(node, exp.Anonymous) else []
    formats = [part.name for part in given if isinstance(part, exp.Literal)]
    return any("%y" in text or TWO_DIGITS.search(text) for text in formats)


def _reads_as_it_stands(node: object) -> bool:
    """Whether text that is not put together here is read by a format with a single y.

    In the functions that the parser knows it writes yyyy.
    """
    if not isinstance(node, exp.Anonymous) or node.name.lower() != "try_to_timestamp":
        return False
    text, *formats = node.expressions
    is_one = any(AS_IT_STANDS.search(part.name) for part in formats if isinstance(part, exp.Literal))
    return is_one and text.find(exp.Concat, exp.DPipe) is None


def _holds(number: str) -> bool:
    """Whether a number's text is one to Spark: a double, or up to 38 digits."""
    try:
        return math.isfinite(float(number)) and len(re.sub(r"[eE].*|\D", "", number)) <= 38
    except ValueError:
        return True  # with a letter behind it, as 1L, which the parser judges


class TooLargeError(SqlglotError):
    """An expression that would take the parser, or Spark, a long time or a deep stack."""


@lru_cache(maxsize=8192)
def parse(expression: str) -> exp.Expression:
    """The expression's tree, which nobody changes.

    Raises:
        SqlglotError: it cannot be read; `TooLargeError` where it is too long or too deep.
    """
    if len(expression) > MOST_CHARACTERS:
        raise TooLargeError(f"it has {len(expression):,} characters, more than {MOST_CHARACTERS:,}")
    depth = 0
    for token in sqlglot.tokenize(expression, read="spark"):
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth > MOST_BRACKETS:
            raise TooLargeError(_NESTED)
    try:
        tree = sqlglot.parse_one(expression, read="spark")
    except RecursionError:
        raise TooLargeError(_NESTED) from None
    assert isinstance(tree, exp.Expression)
    _require_shallow(tree)
    return tree


MOST_CHARACTERS = 100_000
MOST_BRACKETS, MOST_NESTED = 40, 200
"""Brackets in one another, and operations: of `a and b and c` the second holds the first."""
_NESTED = (
    f"it nests or joins too much: at most {MOST_BRACKETS} brackets, or {MOST_NESTED} operations, within one another; "
    "give parts of it a name under `derived`, or use in (...)"
)


def _require_shallow(tree: exp.Expression) -> None:
    left = [(tree, 1)]
    while left:
        node, depth = left.pop()
        if depth > MOST_NESTED:
            raise TooLargeError(_NESTED)
        left += [(child, depth + 1) for child in node.iter_expressions()]


def _calls(text: str) -> list[str]:
    """The names that stand before an opening bracket, as Spark will read them."""
    tokens = sqlglot.tokenize(text, read="spark")
    pairs = pairwise(tokens)
    names = [word.text.lower() for word, after in pairs if after.text == "("]
    words = [name for name in names if name and (name[0].isalpha() or name[0] == "_")]
    return [name for name in dict.fromkeys(words) if name not in _CALL_WORDS]
