"""What a column seems to be: its type in the words of a task file, and what was seen of it."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medspark.draft.times import read_times
from medspark.draft.units import unit_in_name
from medspark.draft.words import SENTINELS, YES_NO, counted, names_age, names_coded, names_diagnosis, names_group
from medspark.task.training import LEAST_NAMED

NEARLY_ALL: Final = 0.95
"""Share of the values that a type reads, from which on it is the column's: the others are dirt."""
_COMMON: Final = 0.05
_RARE: Final = 0.005
_MOST_LEVELS: Final = 12
_LEVELS_OF_CATEGORY: Final = 1000
_QUANTILES: Final = (0.01, 0.25, 0.5, 0.75, 0.99)

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_POINT_ZERO: Final = re.compile(r"[+-]?[0-9]+\.0+")
_INTERVAL: Final = re.compile(
    r"[\[(]\s*-?[0-9]+(?:\.[0-9]+)?\s*-\s*-?[0-9]+(?:\.[0-9]+)?\s*[\])]|[<>]=?\s*-?[0-9]+(?:\.[0-9]+)?"
)
_ICD9: Final = re.compile(r"(?:[0-9]{1,3}|V[0-9]{2}|E[0-9]{3})(?:\.?[0-9]{1,2})?", re.I)
_ICD10: Final = re.compile(r"[A-Z][0-9][0-9A-Z](?:\.?[0-9A-Z]{1,4})?", re.I)

Floats = npt.NDArray[np.float64]


@dataclass
class ColumnProfile:
    """A column as it seems to be. `spec` is what the task file says of it, `remarks` what a person should look at."""

    name: str
    values: list[str]
    counts: Counter[str]
    """Of values that are there."""
    rows: int
    spec: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    quantiles: tuple[float, ...] = ()
    missing: dict[str, int] = field(default_factory=dict)
    """How often each spelling of a missing value stands here."""
    left_out: str | None = None
    """Why it is no feature."""
    role: str = "feature"

    @property
    def type(self) -> str:
        return str(self.spec["type"])

    @property
    def present(self) -> int:
        return sum(self.counts.values())

    @property
    def missing_share(self) -> float:
        return 1 - self.present / self.rows

    def levels(self) -> list[tuple[str, int]]:
        """The commonest values with their counts; those of few rows are not named."""
        return [(text, n) for text, n in self.counts.most_common(_MOST_LEVELS) if n >= LEAST_NAMED]

    def shown_quantiles(self) -> list[str]:
        """The quantiles for people: 1 %, quartiles, 99 %; "–" for one beyond which there are few values."""
        few = [min(share, 1 - share) * self.present < LEAST_NAMED for share in _QUANTILES]
        return ["–" if hide else f"{value:.4g}" for value, hide in zip(self.quantiles, few, strict=True)]

    def present_values(self) -> list[str]:
        """The values, "" where they mean missing."""
        return [text if text in self.counts else "" for text in self.values]

    def numbers(self) -> Floats:
        """The values as numbers, NaN where there is none."""
        known = {text: _as_number(text) for text in self.counts}
        return np.array([known.get(text, np.nan) for text in self.values], dtype=np.float64)


def guess_column(column: ColumnProfile, stored: str, point_zero: bool) -> None:
    """Fill in what the column seems to be."""
    counts = column.counts
    if not counts:
        column.spec, column.left_out = {"type": "string"}, "no row has a value"
    elif stored in ("date", "timestamp", "boolean"):
        column.spec = {"type": stored}
    elif pair := _yes_no(counts):
        yes, no = pair
        plain = (yes, no) == ("true", "false")
        column.spec = {"type": "boolean"} | ({} if plain else {"true_values": [yes], "false_values": [no]})
    elif names_diagnosis(column.name) and len(counts) >= 20 and (system := _code_system(counts)):
        column.spec = {"type": "code", "system": system, "roll_up": "category"}
    elif _share(counts, _INTERVAL) >= NEARLY_ALL:
        column.spec = {"type": "interval"}
    elif times := read_times(counts):
        column.spec = {"type": times.type} | ({"format": times.format} if times.format else {})
        column.remarks += times.remarks
    elif _share(counts, _NUMBER) >= NEARLY_ALL:
        _guess_number(column, stored, point_zero)
    else:
        _guess_text(column)
    _say_dirt(column)


def _share(counts: Counter[str], pattern: re.Pattern[str]) -> float:
    return sum(n for text, n in counts.items() if pattern.fullmatch(text)) / sum(counts.values())


def _yes_no(counts: Counter[str]) -> tuple[str, str] | None:
    total = sum(counts.values())
    common = [text for text, n in counts.items() if n >= _RARE * total]
    if len(common) != 2:
        return None
    by_lower = {text.lower(): text for text in common}
    pair = next((pair for pair in YES_NO if set(pair) == set(by_lower)), None)
    return (by_lower[pair[0]], by_lower[pair[1]]) if pair else None


def _code_system(counts: Counter[str]) -> str | None:
    if _share(counts, _ICD10) >= NEARLY_ALL:
        return "ICD10CM"
    return "ICD9CM" if _share(counts, _ICD9) >= NEARLY_ALL else None


def _guess_number(column: ColumnProfile, stored: str, point_zero: bool) -> None:
    counts = column.counts
    whole = re.compile(f"{_WHOLE.pattern}|{_POINT_ZERO.pattern}") if point_zero else _WHOLE
    is_whole = _share(counts, whole) >= NEARLY_ALL
    if is_whole and stored != "number" and _keeps_zeros(counts):
        column.spec = {"type": "category" if len(counts) <= _LEVELS_OF_CATEGORY else "string"}
        column.remarks.append("numbers with zeros before them, so codes and no amounts")
        return
    if is_whole and names_coded(column.name) and len(counts) <= _LEVELS_OF_CATEGORY:
        column.spec = {"type": "category"}
        column.remarks.append("numbers that its name says are codes; if they are amounts: type integer")
        return
    fits = all(abs(_as_number(text)) < 2**31 for text in counts if _NUMBER.fullmatch(text))
    column.spec = {"type": ("integer" if fits else "long") if is_whole else "double"}
    unit = "years" if names_age(column.name) else unit_in_name(column.name)
    column.spec |= {"unit": unit} if unit else {}
    _look_at_range(column)


def _keeps_zeros(counts: Counter[str]) -> bool:
    return sum(n for text, n in counts.items() if re.fullmatch(r"0[0-9]+", text)) >= 0.01 * sum(counts.values())


def _look_at_range(column: ColumnProfile) -> None:
    numbers = column.numbers()
    known = numbers[np.isfinite(numbers)]
    _take_sentinels_out(column, known)
    numbers = column.numbers()
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return
    column.quantiles = tuple(float(value) for value in np.quantile(known, _QUANTILES))
    first, last = column.quantiles[0], column.quantiles[-1]
    spread = last - first
    low = 0.0 if first >= 0 else first - 5 * spread
    high = 120.0 if names_age(column.name) and last <= 120 else last + 5 * spread
    beyond = int(((known < low) | (known > high)).sum())
    if beyond and column.quantiles[3] > column.quantiles[1]:
        column.spec |= {"range": [_round(low), _round(high)], "otherwise": "missing"}
        column.remarks.append(f"{counted(beyond, 'value')} far beyond the others, set missing by a range")
    elif first >= 0 and not (known < 0).any():
        column.spec["range"] = [0, 120 if high == 120 else None]


def _take_sentinels_out(column: ColumnProfile, known: Floats) -> None:
    """A number such as -9 or 999 that many rows have, away from all others, is a missing value."""
    values = np.sort(np.unique(known))
    if len(values) < 4:
        return
    for end, inner in ((0, slice(1, None)), (-1, slice(None, -1))):
        rest = values[inner]
        gap = abs(values[end] - (rest[0] if end == 0 else rest[-1]))
        spelt = [text for text in column.counts if _as_number(text) == values[end] and text in SENTINELS]
        negative = end == 0 and values[0] < 0 <= rest[0]
        often = sum(column.counts[text] for text in spelt) >= max(LEAST_NAMED, 0.002 * len(known))
        if spelt and often and (negative or gap > 2 * (rest[-1] - rest[0])):
            column.spec["missing"] = spelt
            for text in spelt:
                column.missing[text] = column.counts.pop(text)
            column.remarks.append(f"{' and '.join(spelt)} stands apart from all other values, so it means missing")


def _round(value: float) -> float | int:
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded.is_integer() else rounded


def _guess_text(column: ColumnProfile) -> None:
    counts, total = column.counts, column.present
    repeated = len(counts) <= max(20, 0.5 * total)
    if _code_system(counts) == "ICD10CM" and len(counts) >= 20 and repeated:
        column.spec = {"type": "code", "system": "ICD10CM", "roll_up": "category"}
        return
    words = sum(n * (text.count(" ") >= 2) for text, n in counts.items()) / total
    if len(counts) > _LEVELS_OF_CATEGORY or not repeated or (words > 0.4 and len(counts) > 50):
        column.spec = {"type": "string"}
        column.left_out = "free text, or names of single rows"
        return
    column.spec = {"type": "category"}
    common = [text for text, n in counts.most_common() if n >= max(LEAST_NAMED, _COMMON * total)]
    rest = sum(n for text, n in counts.items() if text not in common)
    rare = all(n < _RARE * total for text, n in counts.items() if text not in common)
    if 2 <= len(common) <= _MOST_LEVELS and rare and (not rest or names_group(column.name)):
        column.spec |= {"levels": sorted(common), "otherwise": "missing"}
        if rest:
            column.remarks.append(f"{counted(rest, 'row')} with a rare other level, which is set missing")


def _say_dirt(column: ColumnProfile) -> None:
    """Values that are none of the type are set missing, so that a first run keeps its rows."""
    pattern = {"integer": _WHOLE, "long": _WHOLE, "double": _NUMBER, "interval": _INTERVAL}.get(column.type)
    if column.type == "code":
        pattern = _ICD9 if column.spec["system"] == "ICD9CM" else _ICD10
    if pattern is None:
        return
    wrong = sum(
        n for text, n in column.counts.items() if not pattern.fullmatch(text) and not _POINT_ZERO.fullmatch(text)
    )
    if wrong:
        column.spec["otherwise"] = "missing"
        column.remarks.append(f"{counted(wrong, 'value')} not of type {column.type}, set missing")


def _as_number(text: str) -> float:
    return float(text) if _NUMBER.fullmatch(text) else float("nan")
