"""A column of text to typed values, and the step at which each value breaks a rule. No Spark here."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.clean.worker.codes import code_of
from medspark.clean.worker.numbers import convert, decimal_of, interval_of, read_double, read_whole, within
from medspark.clean.worker.plan import ColumnPlan, TablePlan
from medspark.clean.worker.texts import Texts, by_text, flags, only
from medspark.clean.worker.times import read_times, shapes_of, within_days
from medspark.task.columns import (
    BooleanColumn,
    CategoryColumn,
    CodeColumn,
    DateColumn,
    IntervalColumn,
    NumberColumn,
    TextColumn,
)

DOUBT: Final = -1
MOST_PLAIN_INTERVAL: Final = 300
"""Letters: of more, an end may be infinite."""


class Judged(NamedTuple):
    """A column's values with the type that they have in `records`, and what became of each text."""

    values: pa.Array
    broken: npt.NDArray[np.int8]
    """The step whose rule a value breaks, from 1; 0 where none; DOUBT where only Spark can tell."""


def judge_column(plan: ColumnPlan, texts: Texts, table: TablePlan, unit: pa.Array | None = None) -> Judged:
    """Type a column's texts and judge them.

    Args:
        plan: its rules.
        texts: of its rows.
        table: which the column is of.
        unit: of a column that mixes units each row's, null where it has none.
    """
    match plan.spec:
        case NumberColumn(type="decimal"):
            return _each(plan, texts, partial(_decimal, plan.spec))
        case NumberColumn():
            return _numbers(plan, plan.spec, texts, table, unit)
        case IntervalColumn():
            return _each(plan, texts, partial(_interval, plan.spec))
        case BooleanColumn():
            return _booleans(plan.spec, texts)
        case CategoryColumn():
            return _levels(plan, plan.spec, texts)
        case CodeColumn():
            return _each(plan, texts, partial(_code, plan.spec))
        case DateColumn():
            return _times(plan.spec, texts, table)
        case TextColumn():
            return _texts(plan, plan.spec, texts)
    raise AssertionError(type(plan.spec))


def _numbers(plan: ColumnPlan, spec: NumberColumn, texts: Texts, table: TablePlan, unit: pa.Array | None) -> Judged:
    broken = np.zeros(len(texts.array), np.int8)
    values: npt.NDArray[Any]
    if spec.type == "double":
        values, there = read_double(texts)
    else:
        values, there = read_whole(texts, plan.dtype, table.point_zero)
    broken[texts.given & ~there] = step = 1
    if spec.units is not None and unit is not None:
        values, step = convert(values.astype(np.float64), unit, spec.units), step + 1
        broken[there & np.isnan(values)] = step
        there = there & ~np.isnan(values)
    if spec.range is not None:
        inside = within(values, spec.range)
        broken[there & ~inside] = step + 1
        there = there & inside
    kind = {"bigint": pa.int64(), "int": pa.int32(), "double": pa.float64()}[plan.dtype]
    return Judged(pa.array(values.astype(kind.to_pandas_dtype()), kind, mask=~there), broken)


def _times(spec: DateColumn, texts: Texts, table: TablePlan) -> Judged:
    found = read_times(texts, spec, shapes_of(spec), table.zone)
    broken = np.where(texts.given & ~found.there, 1, 0).astype(np.int8)
    there = found.there
    if spec.range is not None:
        inside = within_days(found.days, spec.range)
        broken[there & ~inside] = 2
        there = there & inside
    broken[found.doubtful] = DOUBT
    if spec.type == "date":
        return Judged(pa.array(found.days.astype(np.int32), pa.int32(), mask=~there).cast(pa.date32()), broken)
    return Judged(pa.array(found.micros, pa.int64(), mask=~there).cast(pa.timestamp("us", tz="UTC")), broken)


def _booleans(spec: BooleanColumn, texts: Texts) -> Judged:
    named = (pa.array(values, pa.string()) for values in (spec.true_values, spec.false_values))
    says = [flags(pc.is_in(texts.array, value_set=values)) for values in named]
    there = texts.given & (says[0] | says[1])
    return Judged(pa.array(says[0], mask=~there), (texts.given & ~there).astype(np.int8))


def _levels(plan: ColumnPlan, spec: CategoryColumn, texts: Texts) -> Judged:
    if plan.entries is None and spec.levels is None:
        return Judged(only(texts.array, texts.given), np.zeros(len(texts.array), np.int8))
    known = list(plan.entries) if plan.entries is not None else list(spec.levels or ())
    place = pc.index_in(texts.array, value_set=pa.array(known, pa.string()))
    there = texts.given & flags(place.is_valid())
    broken = (texts.given & ~there).astype(np.int8)
    if plan.entries is None:
        return Judged(only(texts.array, there), broken)
    return Judged(pa.array(list(plan.entries.values()), pa.string()).take(only(place, there)), broken)


def _texts(plan: ColumnPlan, spec: TextColumn, texts: Texts) -> Judged:
    broken = np.zeros(len(texts.array), np.int8)
    if spec.matches is not None:
        pattern, rows = plain_pattern(spec.matches), np.flatnonzero(texts.given)
        assert pattern is not None, "the plane was chosen"
        found, place = by_text(texts.array, rows, lambda text: pattern.fullmatch(text) is None)
        broken[rows] = np.array(found, np.int8)[place]
    return Judged(only(texts.array, texts.given & (broken == 0)), broken)


# ---------------------------------------------------------------- each different text once

Answer = tuple[Any, int]
"""A value and the step whose rule it breaks."""


def _each(plan: ColumnPlan, texts: Texts, function: Callable[[str], Answer]) -> Judged:
    rows = np.flatnonzero(texts.given)
    found, place = by_text(texts.array, rows, function)
    broken = np.zeros(len(texts.array), np.int8)
    broken[rows] = np.array([step for _, step in found], np.int8)[place]
    where = np.full(len(texts.array), len(found), np.int64)
    where[rows] = place
    return Judged(pa.array([*(value for value, _ in found), None], _arrow_type(plan)).take(pa.array(where)), broken)


def _arrow_type(plan: ColumnPlan) -> pa.DataType:
    if isinstance(plan.spec, NumberColumn):
        return pa.decimal128(plan.spec.precision, plan.spec.scale)
    return pa.float64() if isinstance(plan.spec, IntervalColumn) else pa.string()


def _decimal(spec: NumberColumn, text: str) -> Answer:
    value = decimal_of(text, spec)
    if value is None:
        return None, 1
    if spec.range is not None and not within(np.array([float(value)]), spec.range)[0]:
        return None, 2
    return value, 0


def _interval(spec: IntervalColumn, text: str) -> Answer:
    if len(text) > MOST_PLAIN_INTERVAL:
        return None, DOUBT
    value = interval_of(text)
    if value is None:
        return None, 1
    outside = spec.range is not None and not within(np.array([value]), spec.range)[0]
    return (None, 2) if outside else (value, 0)


def _code(spec: CodeColumn, text: str) -> Answer:
    if not text.isascii():
        return None, DOUBT
    code = code_of(text, spec)
    return code, int(code is None)


# ---------------------------------------------------------------- patterns

_LETTER: Final = r"(?:[A-Za-z0-9_ :;/@#%=,~!<>'\"&-]|\\[dDwWsS.\-/+*?()\[\]{}|\\])"
_CLASS: Final = r"\[\^?(?:[A-Za-z0-9_ :;/@#%=,~!.+*()-]|\\[dwsDWS.\-/])+\]"
_PLAIN: Final = re.compile(
    rf"(?:\(\?i\))?(?:{_LETTER}|{_CLASS}|\((?:\?:|(?!\?))|\)|\||[*+?]|\{{[0-9]+(?:,[0-9]*)?\}})*"
)


def plain_pattern(pattern: str) -> re.Pattern[str] | None:
    r"""A regular expression of Java's as Python's, where the two say the same; None where they may not.

    >>> plain_pattern("(?i)[ACGT]+").fullmatch("acgt") is not None, plain_pattern(r"\p{L}+"), plain_pattern("a.b")
    (True, None, None)
    >>> plain_pattern(r"(?u:\w+)"), plain_pattern(r"(?iu)a"), plain_pattern("(?:a|b)+") is not None
    (None, None, True)
    """
    if not _PLAIN.fullmatch(pattern) or re.search(r"[*+?}][+?]", pattern):
        return None
    try:
        return re.compile(pattern, re.ASCII)
    except (re.error, ValueError):
        return None
