"""Text to numbers, as `medspark.clean.kinds.numbers` reads it. No Spark here."""

import re
from decimal import Context, Decimal
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.clean.worker.texts import Flags, Texts, by_text, only, rows_of
from medspark.task.base import Range
from medspark.task.columns import NumberColumn, Units

Floats = npt.NDArray[np.float64]

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_POINT_ZERO: Final = re.compile(r"([+-]?[0-9]+)\.0+")
_DECIMAL: Final = re.compile(r"[+-]?(?=\.?[0-9])[0-9]*(?:\.([0-9]*))?")
_END: Final = r"(-?[0-9]+(?:\.[0-9]+)?)"
_INTERVAL: Final = re.compile(rf"[\[(]\s*{_END}\s*-\s*{_END}\s*[\])]", re.ASCII)
_BOUND: Final = re.compile(rf"[<>]=?\s*{_END}", re.ASCII)
_MOST_DIGITS: Final = {"int": 9, "bigint": 18}
"""That every number fits with."""
_BITS: Final = {"int": 31, "bigint": 63}
_MOST_OF_ANY: Final = 19
"""Digits of the largest number of 64 bits."""
_MOST_PLAIN: Final = 30
_EXACT: Final = Context(prec=100, traps=[])
"""More digits than a decimal of Spark's has before and after its point."""


def read_whole(texts: Texts, dtype: str, point_zero: bool) -> tuple[npt.NDArray[np.int64], Flags]:
    """Whole numbers of a Spark type, and in which rows there is one."""
    plain = texts.given & (texts.lengths <= _MOST_DIGITS[dtype])
    plain[rows_of(texts.offsets, np.flatnonzero((texts.data - np.uint8(48)) > 9))] = False
    values = only(texts.array, plain).cast(pa.int64()).fill_null(0).to_numpy().copy()
    rest, there = np.flatnonzero(texts.given & ~plain), plain
    if len(rest):
        found, place = by_text(texts.array, rest, lambda text: whole_of(text, _BITS[dtype], point_zero))
        there[rest] = np.array([value is not None for value in found])[place]
        values[rest] = np.array([value or 0 for value in found], np.int64)[place]
    return values, there


def whole_of(text: str, bits: int, point_zero: bool) -> int | None:
    """A whole number of so many bits beside its sign; None where the text is none.

    >>> whole_of("+07", 31, False), whole_of("2147483648", 31, False), whole_of("3.0", 31, True)
    (7, None, 3)
    """
    if point_zero and (found := _POINT_ZERO.fullmatch(text)):
        text = found[1]
    digits = text.lstrip("+-").lstrip("0") or "0"
    if not _WHOLE.fullmatch(text) or len(digits) > _MOST_OF_ANY:
        return None
    value = -int(digits) if text[0] == "-" else int(digits)
    return value if -(2**bits) <= value < 2**bits else None


def read_double(texts: Texts) -> tuple[Floats, Flags]:
    """Numbers, and in which rows there is one: infinities are none."""
    data, offsets, lengths = texts.data, texts.offsets, texts.lengths
    plain = texts.given & (lengths <= _MOST_PLAIN)
    others = np.flatnonzero((data - np.uint8(48)) > 9)
    points = others[data[others] == ord(".")]
    plain[rows_of(offsets, others[data[others] != ord(".")])] = False
    with_points = rows_of(offsets, points)
    plain[with_points[1:][with_points[1:] == with_points[:-1]]] = False  # two points
    at_edge = (points == offsets[with_points]) | (points == offsets[with_points + 1] - 1)
    plain[with_points[at_edge]] = False
    values = only(texts.array, plain).cast(pa.float64()).fill_null(0.0).to_numpy().copy()
    rest, there = np.flatnonzero(texts.given & ~plain), plain
    if len(rest):
        found, place = by_text(texts.array, rest, double_of)
        there[rest] = np.isfinite(np.array(found, np.float64))[place]
        values[rest] = np.array(found, np.float64)[place]
    return values, there


def double_of(text: str) -> float:
    """A number; infinite or not a number where the text is none.

    >>> double_of("-1.5e3"), double_of("1e999"), double_of("1_0")
    (-1500.0, inf, nan)
    """
    return float(text) if NUMBER.fullmatch(text) else float("nan")


def decimal_of(text: str, spec: NumberColumn) -> Decimal | None:
    """A decimal without a digit rounded away; None where the text is none, or too large.

    >>> decimal_of("1.500", NumberColumn(type="decimal", precision=3, scale=1))
    Decimal('1.5')
    >>> decimal_of("9" * 38, NumberColumn(type="decimal", precision=38, scale=0)) == 10**38 - 1
    True
    """
    found = _DECIMAL.fullmatch(text)
    if found is None or len(decimals := (found[1] or "").rstrip("0")) > spec.scale:
        return None
    whole = text.partition(".")[0].lstrip("+-").lstrip("0")
    if len(whole) > spec.precision - spec.scale:
        return None
    sign = "-" if text[0] == "-" else ""
    return Decimal(f"{sign}{whole or '0'}.{decimals}").quantize(Decimal(1).scaleb(-spec.scale), context=_EXACT)


def interval_of(text: str) -> float | None:
    """The middle of an interval, or the end of one with a single end.

    >>> interval_of("[70-80)"), interval_of(">200"), interval_of("[9-1]")
    (75.0, 200.0, None)
    """
    if found := _INTERVAL.fullmatch(text):
        low, high = float(found[1]), float(found[2])
        return (low + high) / 2 if low <= high else None
    bound = _BOUND.fullmatch(text)
    return float(bound[1]) if bound else None


def convert(values: Floats, unit: pa.Array, units: Units) -> Floats:
    """Numbers in the one unit; not a number where the row's unit is none that is known.

    Args:
        values: as they stand.
        unit: each row's, null where there is none.
        units: the conversions.
    """
    named = unit if units.when_missing is None else unit.fill_null(units.when_missing)
    place = pc.index_in(named, value_set=pa.array(list(units.to_unit), pa.string()))
    place = place.fill_null(len(units.to_unit)).to_numpy()
    factors = np.array([*(scale.factor for scale in units.to_unit.values()), np.nan])
    offsets = np.array([*(scale.offset for scale in units.to_unit.values()), np.nan])
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values * factors[place] + offsets[place]
    return np.where(np.isfinite(converted), converted, np.nan)


def within(values: npt.NDArray[np.int64] | Floats, allowed: Range) -> Flags:
    """Whether each number is in a range, both ends included."""
    inside = np.ones(len(values), bool)
    if allowed.low is not None:
        inside &= values.astype(np.float64) >= allowed.low
    if allowed.high is not None:
        inside &= values.astype(np.float64) <= allowed.high
    return inside
