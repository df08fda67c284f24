r"""Text files of another dialect than plain CSV: cut into records, and each record written as plain CSV. No Spark here.

A record keeps its own text for the quarantine; what is parsed is the same record as RFC 4180 has it, its fields
separated by PLAIN_DELIMITER.
"""

import csv
import io
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import zip_longest
from typing import Final

import pyarrow as pa

from medspark.schemas import RECORD_RULE, TEXT
from medspark.sources.record_rules import BAD_QUOTE
from medspark.sources.worker.split_records import MOST_LINES, RawRecord
from medspark.task.dialect import NAMES_JOINED_BY, Dialect

PLAIN_DELIMITER: Final = ","
PLAIN: Final = "_plain"
"""The column with a record as plain CSV."""
_END: Final = "\r\n"
"""Of a written record: a field with a letter of it stands in quotes."""


def split_dialect(text: str, dialect: Dialect, delimiter: str, header: bool, newlines: bool) -> Iterator[RawRecord]:
    r"""Cut a file into its records; lines that are none (comments, those above and below) come as blank ones.

    Args:
        text: the whole file.
        dialect: how it is written.
        delimiter: the source's, where the dialect names none.
        header: whether names stand above the records; they come first, as one record in plain CSV.
        newlines: whether a quoted field may run over several lines.

    >>> found = split_dialect("made 2026\nid|x\n# no row\n1|'a|b'\nend\n",
    ...     Dialect(quote="'", comment="#", skip_lines=1, footer_lines=1), "|", True, False)
    >>> list(found)
    [(1, 'id,x', None), (2, '', None), (3, '', None), (4, "1|'a|b'", None), (5, '', None)]
    """
    lines = _lines(text, newlines)
    last = _end(lines, dialect.footer_lines)
    at = min(dialect.skip_lines, last)
    if header:
        names, at = _header(lines, at, last, dialect, delimiter)
        yield 1, names, None
    yield from ((line + 1, "", None) for line in range(1 if header else 0, at))
    while at < last:
        if dialect.comment is not None and lines[at].startswith(dialect.comment):
            yield at + 1, "", None
            at += 1
            continue
        end, rule = _record(lines, at, last, dialect, delimiter) if newlines else (at, None)
        yield at + 1, "\n".join(lines[at : end + 1]), rule
        at = end + 1
    yield from ((line + 1, "", None) for line in range(last, len(lines)))


def _lines(text: str, newlines: bool) -> list[str]:
    """The lines without their ends; where fields may hold line ends, those of a lone carriage return are fields'."""
    lines = re.split("\r?\n" if newlines else "\r\n|\n|\r", text)
    return lines[:-1] if lines[-1] == "" else lines


def _end(lines: list[str], footer: int) -> int:
    """Behind the last line that may be a record."""
    last = len(lines)
    while footer and last and not lines[last - 1].strip():
        last -= 1
    return max(0, last - footer)


def _header(lines: list[str], at: int, last: int, dialect: Dialect, delimiter: str) -> tuple[str, int]:
    """The columns' names as a record of plain CSV, and the line after them."""
    rows: list[list[str]] = []
    while at < last and len(rows) < dialect.header_lines:
        if dialect.comment is None or not lines[at].startswith(dialect.comment):
            rows.append(fields_of(lines[at], dialect, delimiter) or [])
        at += 1
    names = (
        NAMES_JOINED_BY.join(part.strip() for part in parts if part.strip())
        for parts in zip_longest(*rows, fillvalue="")
    )
    return _written([*names]) if rows else "", at


def _record(lines: list[str], at: int, last: int, dialect: Dialect, delimiter: str) -> tuple[int, str | None]:
    """The last line of a record, and the rule that it breaks: a quote that nothing closes costs its own line alone."""
    if dialect.quote is None or dialect.quote not in lines[at]:
        return at, None if fields_of(lines[at], dialect, delimiter) is not None else BAD_QUOTE
    quotes = 0
    for end in range(at, min(at + MOST_LINES, last)):
        quotes += _unescaped(lines[end], dialect)
        if quotes % 2 == 0:  # the first line down to which every quote can be closed
            found = fields_of("\n".join(lines[at : end + 1]), dialect, delimiter)
            return (end, None) if found is not None else (at, BAD_QUOTE)
    return at, BAD_QUOTE


def _unescaped(line: str, dialect: Dialect) -> int:
    """How many quotes of a line are not escaped ones."""
    assert dialect.quote is not None, "there are some"
    if dialect.escape is None or dialect.escape not in line:
        return line.count(dialect.quote)
    return re.sub(rf"{re.escape(dialect.escape)}.", "", line).count(dialect.quote)


def fields_of(record: str, dialect: Dialect, delimiter: str) -> list[str] | None:
    r"""The fields of a record; None where a quote is closed nowhere, or before its field's end, or stands within one.

    >>> fields_of(r"1||'it''s'||a\||b", Dialect(delimiter="||", quote="'", escape="\\"), ",")
    ['1', "it's", 'a||b']
    >>> fields_of("1,'x", Dialect(quote="'"), ",") is None
    True
    >>> fields_of("001 M12", Dialect(widths=(4, 1, 3)), ","), fields_of("001", Dialect(widths=(4, 1, 3)), ",")
    (['001', 'M', '12'], ['001'])
    """
    if dialect.widths is not None:
        return _by_widths(record, dialect.widths)
    mark = dialect.delimiter or delimiter
    if (dialect.quote is None or dialect.quote not in record) and (
        dialect.escape is None or dialect.escape not in record
    ):
        return record.split(mark)
    field, escaped = _field(dialect.quote, dialect.escape, mark)
    found: list[str] = []
    at = 0
    while True:
        match = field.match(record, at)
        if match is None:
            return None
        inner = match["inner"]
        text = match["bare"] if inner is None else inner.replace(2 * str(dialect.quote), str(dialect.quote))
        found.append(text if escaped is None else escaped.sub(_itself, text))
        if match.end() == len(record) and not match["mark"]:
            return found
        at = match.end()


def _itself(found: re.Match[str]) -> str:
    return found[1]


@lru_cache(maxsize=8)
def _field(quote: str | None, escape: str | None, delimiter: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """A field with the delimiter or the record's end behind it, and an escaped delimiter or letter."""
    q, e, d = (re.escape(mark) if mark is not None else "" for mark in (quote, escape, delimiter))
    taken = rf"{e}(?:{d}|.)|" if escape else ""
    inner = rf"{q}(?P<inner>(?:{taken}{q}{q}|[^{q}{e}])*+){q}" if quote else r"(?P<inner>(?!))"
    bare = rf"(?P<bare>(?:{taken}(?!{d})[^{q}{e}])*+)"
    field = re.compile(rf"(?:{inner}|{bare})(?P<mark>{d}|\Z)", re.DOTALL)
    return field, re.compile(rf"{e}({d}|.)", re.DOTALL) if escape else None


def _by_widths(record: str, widths: tuple[int, ...]) -> list[str]:
    found: list[str] = []
    at = 0
    for width in widths:
        if at > len(record) or (at == len(record) and len(found) < len(widths) - 1):
            break
        found.append(record[at : at + width].strip(" "))
        at += width
    return [*found, record[at:]] if record[at:].strip() else found


def _written(fields: list[str]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=_END, delimiter=PLAIN_DELIMITER).writerow(fields)
    return out.getvalue().removesuffix(_END)


def plain_batches(dialect: Dialect, delimiter: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows with PLAIN, the record as plain CSV; null where it cannot be cut, which breaks a record rule."""
    for batch in batches:
        cut = [fields_of(text, dialect, delimiter) for text in batch.column(TEXT).to_pylist()]
        plain = pa.array([None if fields is None else _written(fields) for fields in cut], pa.string())
        rules = batch.column(RECORD_RULE).to_pylist()
        rules = [rule if fields is not None or rule else BAD_QUOTE for rule, fields in zip(rules, cut, strict=True)]
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns |= {RECORD_RULE: pa.array(rules, pa.string()), PLAIN: plain}
        yield pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])
