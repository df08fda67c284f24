r"""Lines of CSV (RFC 4180) to columns of text, by Arrow's C++ reader, and the rule that a line breaks as a record.

Lines whose quotes open and close whole fields, or that have none, go to Arrow all at once; the others are looked at one
by one, and of one with quotes in pairs within a field, as 5 "q", nothing is said: Spark's parser alone reads those.
No Spark here.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from medspark.sources.record_rules import BAD_ENCODING, BAD_FIELDS, BAD_QUOTE, OTHER_HEADER, REPEATED_HEADER
from medspark.sources.worker.spans import Lines

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
_QUOTE: Final = 34
MOST_FIELDS: Final = 10_000
"""Of a line that has other fields than the table: Spark's parser gives up on far more."""
MOST_QUOTED: Final = 100_000
"""Bytes of a line with quotes that Python's reader is given."""


class Fields(NamedTuple):
    """Lines as rows of text."""

    rows: Places
    """The line of each row."""
    columns: list[pa.Array]
    """A text for each row; null where a line is too short, or where nobody can say which field is which."""
    rules: dict[int, str]
    """The record rule that a row breaks, by its place in `rows`."""
    unknown: dict[int, frozenset[int]]
    """Of rows with a stray quote or a byte of another encoding: the columns that only Spark can tell."""
    doubtful: Places
    """Lines that Spark's parser must read."""
    strange: Flags
    """Rows that may have anything but ASCII's printable letters."""


def cut_fields(lines: Lines, read: Flags, names: list[str], delimiter: str) -> Fields:
    """The columns of those lines that are read.

    Args:
        lines: of a span.
        read: which of them are records: no headers, no blank lines.
        names: the file's columns.
        delimiter: an ASCII letter.
    """
    told = _looked_at(lines, read, len(names), delimiter)
    sound, odd = told.sound, told.odd
    rows = np.concatenate([np.flatnonzero(sound), odd])
    first_odd = len(rows) - len(odd)
    cut = [_cut(lines, int(at), bool(told.well[at]), len(names), delimiter) for at in odd]
    parts = [
        _parsed(lines, sound, names, delimiter, bool((sound & told.quoted).any())),
        [pa.array([row.values[at] for row in cut], pa.string()) for at in range(len(names))],
    ]
    columns = [_joined([part[at] for part in parts]) for at in range(len(names))]
    rules = {first_odd + at: row.rule for at, row in enumerate(cut)}
    unknown = {first_odd + at: row.unknown for at, row in enumerate(cut) if row.unknown}
    rules |= dict(_headers(columns, names, first_odd))
    strange = np.concatenate([told.strange[sound], np.ones(len(odd), bool)])
    return Fields(rows, columns, rules, unknown, told.doubtful, strange)


def _joined(parts: list[pa.Array]) -> pa.Array:
    some = [part for part in parts if len(part)]
    return some[0] if len(some) == 1 else pa.concat_arrays(some or parts[:1])


# ---------------------------------------------------------------- which lines are well quoted


class _LookedAt(NamedTuple):
    quoted: Flags
    """Lines with quotes."""
    well: Flags
    """Lines without quotes, or whose quotes all open and close whole fields, or are doubled."""
    sound: Flags
    """Lines that are records by themselves."""
    odd: Places
    """Those that are none."""
    doubtful: Places
    """Those of which only Spark can tell."""
    strange: Flags
    """Lines that may have anything but ASCII's printable letters in a value."""


def _looked_at(lines: Lines, read: Flags, width: int, delimiter: str) -> _LookedAt:
    data = np.frombuffer(lines.text, np.uint8)
    commas = np.flatnonzero(data == ord(delimiter))
    quotes = np.flatnonzero(data == _QUOTE)
    quoted, well = _quoting(data, quotes, lines, ord(delimiter))
    delimiters = np.diff(np.searchsorted(commas, lines.starts), append=len(commas))
    fields = delimiters + 1 - _within(commas, quotes, well, lines)
    sound = read & ~lines.unsound & (fields == width) & (well | ~quoted)
    odd = read & ~sound
    doubtful = odd & (delimiters > MOST_FIELDS)
    beyond = _beyond(data, ord(delimiter))
    if quoted.any():
        doubtful |= read & quoted & _having(beyond[data[beyond] < 32], lines)  # of a control in quotes nothing is known
        doubtful |= odd & quoted & (lines.ends - lines.starts > MOST_QUOTED)
        for at in np.flatnonzero(odd & quoted & ~well & ~doubtful):
            doubtful[at] = not has_stray_quote(lines.line(int(at)).decode(errors="replace"), delimiter)
    strange = _having(beyond, lines)
    if ord(delimiter) < 32:  # which may stand at a value's ends, in quotes
        strange |= quoted
    places = np.flatnonzero(odd & ~doubtful), np.flatnonzero(doubtful)
    return _LookedAt(quoted, well | ~quoted, sound & ~doubtful, *places, strange)


def _beyond(data: npt.NDArray[np.uint8], comma: int) -> Places:
    """Where bytes are that are no printable letters of ASCII, but for line ends and delimiters."""
    found = np.flatnonzero((data - np.uint8(32)) > 94)
    byte = data[found]
    return np.asarray(found[(byte != 10) & (byte != 13) & (byte != comma)])


def _having(places: Places, lines: Lines) -> Flags:
    """The lines that have bytes at some places."""
    having = np.zeros(len(lines), bool)
    having[np.searchsorted(lines.starts, places, "right") - 1] = True
    return having


def _quoting(data: npt.NDArray[np.uint8], quotes: Places, lines: Lines, comma: int) -> tuple[Flags, Flags]:
    """Of each line whether it has quotes, and whether all of them open and close whole fields, or are doubled."""
    quoted, well = np.zeros(len(lines), bool), np.zeros(len(lines), bool)
    if not len(quotes):
        return quoted, well
    line = np.searchsorted(lines.starts, quotes, "right") - 1
    firsts = np.searchsorted(quotes, lines.starts)
    opens = (np.arange(len(quotes)) - firsts[line]) % 2 == 0
    before, after = data[np.maximum(quotes - 1, 0)], data[np.minimum(quotes + 1, len(data) - 1)]
    at_start, at_end = quotes == lines.starts[line], quotes + 1 == lines.ends[line]
    fits_open = at_start | (before == comma) | (before == _QUOTE)
    fits_close = at_end | (after == comma) | (after == _QUOTE)
    fits = np.where(opens, fits_open, fits_close)
    quoted[line] = True
    count = np.bincount(line, minlength=len(lines))
    broken = np.bincount(line[~fits], minlength=len(lines))
    return quoted, quoted & (count % 2 == 0) & (broken == 0)


def _within(commas: Places, quotes: Places, well: Flags, lines: Lines) -> Places:
    """How many delimiters are between the quotes of each line that is well quoted."""
    found = np.zeros(len(lines), np.int64)
    if len(quotes):
        line = np.searchsorted(lines.starts, quotes, "right") - 1
        pairs = quotes[well[line]]
        before = np.searchsorted(commas, pairs)
        np.add.at(found, line[well[line]][::2], before[1::2] - before[::2])
    return found


# ---------------------------------------------------------------- lines by Arrow


def _parsed(lines: Lines, which: Flags, names: list[str], delimiter: str, quotes: bool) -> list[pa.Array]:
    text = b"\n".join(_runs(lines, which))
    if text.startswith(codecs.BOM_UTF8):  # Arrow takes one away
        text = codecs.BOM_UTF8 + text
    places = [str(at) for at in range(len(names))]
    if not text:
        return [pa.array([], pa.string())] * len(names)
    table = arrow_csv.read_csv(
        pa.BufferReader(text),
        arrow_csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=places),
        arrow_csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if quotes else False,
            double_quote=quotes,
            escape_char=False,
            newlines_in_values=False,
            ignore_empty_lines=False,
        ),
        arrow_csv.ConvertOptions(
            check_utf8=False, column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False
        ),
    )
    return [table.column(at).combine_chunks() for at in range(len(names))]


def _runs(lines: Lines, which: Flags) -> Iterator[memoryview]:
    """The text of the chosen lines: of neighbours in one piece, with their line ends between them."""
    view = memoryview(lines.text)
    chosen = np.flatnonzero(which)
    if not len(chosen):
        return
    breaks = np.flatnonzero(np.diff(chosen) != 1) + 1
    for first, last in zip(np.append(0, breaks), np.append(breaks, len(chosen)), strict=True):
        yield view[lines.starts[chosen[first]] : lines.ends[chosen[last - 1]]]


# ---------------------------------------------------------------- lines one by one


class _Cut(NamedTuple):
    values: list[str | None]
    rule: str
    unknown: frozenset[int] = frozenset()


def _cut(lines: Lines, at: int, well: bool, width: int, delimiter: str) -> _Cut:
    text, rule = lines.line(at).decode(errors="replace"), BAD_FIELDS
    found = text.split(delimiter)
    if '"' in text:
        found = next(csv.reader([text], delimiter=delimiter)) if well else text[: text.index('"')].split(delimiter)[:-1]
        rule = BAD_FIELDS if well else BAD_QUOTE
    values = [*found, *[None] * (width - len(found))][:width]
    unknown = range(len(found), width) if rule == BAD_QUOTE else range(0)
    if not lines.unsound[at]:
        return _Cut(values, rule, frozenset(unknown))
    strange = (place for place, value in enumerate(values) if value is not None and "\ufffd" in value)
    return _Cut(values, BAD_ENCODING, frozenset((*unknown, *strange)))


def has_stray_quote(text: str, delimiter: str) -> bool:
    """As `medspark.sources.parse` has it: a quote opens a field and is closed nowhere, or is unpaired within one.

    >>> [has_stray_quote(text, ",") for text in ('1,"x', '1,5 "q" y', '1,a"b', '1,"x"')]
    [True, False, True, False]
    """
    whole, stray = _stray(re.escape(delimiter))
    return stray.search(whole.sub("", text.replace('""', ""))) is not None


@lru_cache(maxsize=8)
def _stray(comma: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    unpaired = rf'[^"{comma}]++"[^"{comma}]*+(?:"[^"{comma}]*+"[^"{comma}]*+)*+(?:{comma}|\Z)'
    whole = re.compile(rf'(?:(?<={comma})|\A)"[^"]*"(?={comma}|\Z)')
    return whole, re.compile(rf'(?:{comma}|\A)(?:"|{unpaired})')


# ---------------------------------------------------------------- headers among the rows


def _headers(columns: list[pa.Array], names: list[str], rows: int) -> Iterator[tuple[int, str]]:
    """Sound rows that repeat the header, or begin as one of another order."""
    starts = pa.array([*map(str.lower, names), *(f"\ufeff{name.lower()}" for name in names)], pa.string())
    plain = pc.utf8_lower(pc.utf8_trim(columns[0], " "))
    for at in np.flatnonzero(pc.is_in(plain, value_set=starts).to_numpy(zero_copy_only=False)):
        if at >= rows:
            continue
        first, *others = (column[int(at)].as_py() for column in columns)
        if _repeats([first.removeprefix("\ufeff") if not others else first, *others], names):
            yield int(at), REPEATED_HEADER
        elif others and others[0] in names and first.removeprefix("\ufeff") in names and first != others[0]:
            yield int(at), OTHER_HEADER


def _repeats(values: list[str], names: list[str]) -> bool:
    """Whether every value is its column's name; of several columns whatever their case and the spaces around them."""
    if len(names) == 1:
        return values == names
    first, *others = (value.strip(" ").lower() for value in values)
    return [first.removeprefix("\ufeff"), *others] == [name.lower() for name in names]
