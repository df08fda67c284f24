"""Text to dates and times, as `medspark.clean.kinds.times` reads it, of patterns with fields of fixed widths.

Of what Spark's own reader may take for a time beyond that, such as a year with a sign, nothing is said. No Spark here.
"""

import re
from datetime import date
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.clean.worker.texts import Flags, Texts, by_text
from medspark.clean.worker.zones import SECOND, Micros, Zone, to_utc
from medspark.task.base import DateRange
from medspark.task.columns import ISO_8601, TWO_DIGITS, DateColumn

_WIDTHS: Final = {"y": 4, "M": 2, "d": 2, "H": 2, "m": 2, "s": 2}
_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_NO_TIME: Final = frozenset({frozenset("yMd"), frozenset("yMdHm"), frozenset("yMdHms")})
_ISO: Final = {
    "date": ("yyyy-MM-dd", *(f"yyyy-MM-dd'{between}00:00:00{end}'" for between in " T" for end in ("", ".0000000"))),
    "timestamp": tuple(f"yyyy-MM-dd'{between}'HH:mm{end}" for between in " T" for end in (":ss", "", ":ss'.0000000'")),
}
"""The shapes that texts of ISO_8601 have most often."""
_DAY_WIDE: Final = r"[+-]?[0-9]{4,}-[0-9]{2}-[0-9]{2}"
_ISO_WIDE: Final = {
    "date": rf"{_DAY_WIDE}(?:[ T]00:00(?::00(?:\.0{{1,9}})?)?)?",
    "timestamp": rf"{_DAY_WIDE} ?T?[0-9]{{2}}:[0-9]{{2}}.*",
}


class Shape(NamedTuple):
    """A pattern with fields of fixed widths."""

    fields: dict[str, int]
    """Where each field begins, by its letter."""
    literals: dict[int, str]
    length: int
    wide: re.Pattern[str]
    """What Spark might take for a time of this pattern; no other text is one."""


class Times(NamedTuple):
    """What texts say: microseconds since 1970 in UTC, and the day on the wall."""

    micros: Micros
    days: npt.NDArray[np.int64]
    there: Flags
    doubtful: Flags


def shapes_of(spec: DateColumn) -> tuple[Shape, ...]:
    """The shapes that texts of a column have; none where only Spark can read its pattern."""
    if spec.has_zone or TWO_DIGITS.search(spec.letters):
        return ()
    is_iso = spec.format == ISO_8601[spec.type]
    patterns = _ISO[spec.type] if is_iso else (spec.format,)
    found = [_shape(pattern) for pattern in patterns]
    shapes = tuple(shape for shape in found if shape is not None)
    if is_iso:
        wide = re.compile(_ISO_WIDE[spec.type], re.ASCII | re.I | re.S)
        shapes = tuple(shape._replace(wide=wide) for shape in shapes)
    return shapes if len(shapes) == len(patterns) else ()


def _shape(pattern: str) -> Shape | None:
    """
    >>> _shape("dd/MM/yyyy").fields, _shape("d/M/yyyy")
    ({'d': 0, 'M': 3, 'y': 6}, None)
    """
    fields: dict[str, int] = {}
    literals: dict[int, str] = {}
    wide, at = "", 0
    for part in _parts(pattern):
        if part[0] == "'" or not part[0].isalpha():
            text = part.strip("'")
            if not text or not text.isascii() or set(text) & set("[]{}#'"):
                return None
            literals |= {at + place: letter for place, letter in enumerate(text)}
            wide, at = wide + re.escape(text), at + len(text)
        elif _WIDTHS.get(part[0]) == len(part) and part[0] not in fields:
            fields[part[0]] = at
            wide, at = wide + ("[+-]?[0-9]{4,}" if part[0] == "y" else "[0-9]{2}"), at + len(part)
        else:
            return None
    return Shape(fields, literals, at, re.compile(wide, re.ASCII | re.I)) if frozenset(fields) in _NO_TIME else None


def _parts(pattern: str) -> list[str]:
    """
    >>> _parts("yyyy-MM'T'")
    ['yyyy', '-', 'MM', "'T'"]
    """
    return [found.group() for found in re.finditer(r"'[^']+'|([A-Za-z])\1*|[^A-Za-z]", pattern)]


def read_times(texts: Texts, spec: DateColumn, shapes: tuple[Shape, ...], zone: Zone) -> Times:
    """Dates, or wall-clock times of a zone, as the shapes of their column have them."""
    rows = len(texts.array)
    wall, there, doubtful = np.zeros(rows, np.int64), np.zeros(rows, bool), np.zeros(rows, bool)
    told = ~texts.given
    for shape in shapes:
        some = np.flatnonzero(~told & (texts.lengths == shape.length))
        seconds, fits, sound = _seconds(texts, some, shape)
        told[some[fits]] = True
        there[some[sound]] = True
        wall[some[sound]] = seconds[sound] * SECOND
    rest = np.flatnonzero(~told)
    if len(rest):
        maybe, place = by_text(texts.array, rest, lambda text: any(shape.wide.fullmatch(text) for shape in shapes))
        doubtful[rest] = np.array(maybe, bool)[place]
    days = wall // (_DAY * SECOND)
    if spec.type == "date":
        return Times(wall, days, there, doubtful)
    micros, skipped, unknown = to_utc(wall, zone)
    return Times(micros, days, there & ~skipped & ~unknown, doubtful | (there & unknown))


def _seconds(texts: Texts, rows: npt.NDArray[np.int64], shape: Shape) -> tuple[npt.NDArray[np.int64], Flags, Flags]:
    """Wall-clock seconds since 1970 of rows of a shape's length; which have the shape, and which of those are times.

    Of the year 0 and what is no time nothing is meant by the seconds; the year 0 does not have the shape.
    """
    letters = _letters(texts, rows, shape.length)
    fits = np.ones(len(rows), bool)
    for at, letter in shape.literals.items():
        fits &= letters[at] == ord(letter)
    numbers = {}
    for field, at in shape.fields.items():
        numbers[field] = np.zeros(len(rows), np.int16)
        for digits in letters[at : at + _WIDTHS[field]] - np.uint8(48):
            fits &= digits <= 9
            numbers[field] *= 10
            numbers[field] += digits
    year, month, day = (numbers[field] for field in "yMd")
    fits &= year > 0
    hour, minute, second = (numbers.get(field, np.zeros(len(rows), np.int16)) for field in "Hms")
    sound = fits & (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    place = np.where(sound, year.astype(np.int64) * 12 + month - 1, 0)
    first = _firsts()[place]
    sound &= day <= _firsts()[place + 1] - first
    return (first + day - 1) * _DAY + hour.astype(np.int64) * 3600 + minute.astype(np.int64) * 60 + second, fits, sound


@cache
def _firsts() -> npt.NDArray[np.int64]:
    """Days since 1970 of the first of each month of the years 0 to 9999, and of the month behind them."""
    month = np.arange(10_000 * 12 + 1)
    return days_from_civil(month // 12, month % 12 + 1)


def _letters(texts: Texts, rows: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.uint8]:
    """The bytes of texts of one length, (length, n)."""
    if not len(rows):
        return np.zeros((length, 0), np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(texts.data, length)
    return np.ascontiguousarray(windows[texts.offsets[rows]].T)


def days_from_civil(year: npt.NDArray[np.int64], month: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Days since 1970 of the first of a month, in the Gregorian calendar whatever the year.

    >>> days_from_civil(np.array([1970, 2000, 1900]), np.array([1, 3, 3])).tolist()
    [0, 11017, -25508]
    """
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5
    return np.asarray(era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468)


def within_days(days: npt.NDArray[np.int64], allowed: DateRange) -> Flags:
    """Whether each day is in a range, both ends included."""
    inside = np.ones(len(days), bool)
    if allowed.low is not None:
        inside &= days >= allowed.low.toordinal() - _EPOCH
    if allowed.high is not None:
        inside &= days <= allowed.high.toordinal() - _EPOCH
    return inside
