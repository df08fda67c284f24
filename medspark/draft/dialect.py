"""How a text file is written: its encoding, what separates its fields, records over several lines."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

_DELIMITERS: Final = (",", ";", "\t", "|")
_LOOKED_AT: Final = 200
"""Lines that the delimiter is told by."""
_FEW: Final = 0.02
"""Share of the lines that may be no UTF-8 where the file is: single letters go wrong on the way."""
_MOST_LINES: Final = 50
"""Of one record."""


class Dialect(NamedTuple):
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    quoted_newlines: bool = False


class Records(NamedTuple):
    """The records of a text file, its header first where it has one."""

    header: list[str]
    rows: list[list[str]]
    broken: int
    """Lines that are no record of as many fields as the header."""
    dialect: Dialect


def decoded(data: bytes) -> tuple[str, str]:
    r"""A text and the encoding that it seems to be in.

    >>> decoded("a;b\n".encode("utf-16"))
    ('a;b\n', 'utf-16')
    >>> decoded("é\n".encode("windows-1252"))
    ('é\n', 'windows-1252')
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), "utf-16"
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    lines = data.split(b"\n")
    wrong = sum(not _is_utf8(line) for line in lines)
    if wrong <= _FEW * len(lines):
        return data.decode("utf-8-sig", errors="replace"), "utf-8"
    return data.decode("windows-1252", errors="replace"), "windows-1252"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_records(text: str, encoding: str, most: int) -> Records:
    r"""The records of a CSV file, at most so many, by the delimiter that its lines agree on.

    >>> found = read_records("id;x\n1;2,5\n2;\n3\n", "utf-8", 10)
    >>> found.header, found.rows, found.broken, found.dialect.delimiter
    (['id', 'x'], [['1', '2,5'], ['2', '']], 1, ';')
    """
    lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    if not lines:
        return Records([], [], 0, Dialect(encoding=encoding))
    delimiter = _delimiter(lines[:_LOOKED_AT])
    first = _fields(lines[0], delimiter)
    has_header = not any(_is_number(name) for name in first)
    header = first if has_header else [f"column_{at}" for at in range(1, len(first) + 1)]
    rows: list[list[str]] = []
    broken, over_several = 0, 0
    for fields, count in _cut(lines[1 if has_header else 0 :], delimiter, len(header)):
        if fields is None:
            broken += 1
        elif len(rows) < most:
            rows.append(fields)
            over_several += count > 1
    return Records(header, rows, broken, Dialect(delimiter, encoding, has_header, over_several > 0))


def _cut(lines: list[str], delimiter: str, width: int) -> Iterator[tuple[list[str] | None, int]]:
    """Each record's fields with its lines; None for a line that is no record."""
    at = 0
    while at < len(lines):
        count = 1 if lines[at].count('"') % 2 == 0 else _lines_of_record(lines, at, delimiter, width)
        fields = _fields("\n".join(lines[at : at + count]), delimiter) if count else []
        yield (fields if len(fields) == width else None), max(count, 1)
        at += max(count, 1)


def _lines_of_record(lines: list[str], at: int, delimiter: str, width: int) -> int:
    """How many lines a record with an open quote has; 0 where the quote is never closed as one record would."""
    quotes = lines[at].count('"')
    for end in range(at + 1, min(at + _MOST_LINES, len(lines))):
        quotes += lines[end].count('"')
        if quotes % 2 == 0:
            joined = "\n".join(lines[at : end + 1])
            return end + 1 - at if len(_fields(joined, delimiter)) == width else 0
    return 0


def _delimiter(lines: list[str]) -> str:
    def agreement(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(_fields(line, delimiter)) for line in lines)
        width, alike = widths.most_common(1)[0]
        return (alike if width > 1 else 0, width)

    return max(_DELIMITERS, key=agreement)


def _fields(record: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(record.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:
        return []


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?[0-9]+(?:[.,][0-9]+)?\s*", text) is not None
