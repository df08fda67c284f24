"""Text files that are not one record a line, cut into raw records with their line numbers. No Spark here."""

import json
from collections.abc import Iterator

from medspark.clean.rules import BAD_JSON, BAD_QUOTE

MOST_LINES = 1000
"""A quoted field over more lines than this is taken for a quote that was never closed."""

RawRecord = tuple[int, str, str | None]
"""Line of the record's start (from 1), its text, and the rule it breaks as a record."""


def split_csv(text: str) -> Iterator[RawRecord]:
    r"""Cut CSV (RFC 4180) at the line ends outside quotes.

    A quote that is never closed costs its own line only: that line is marked and reading goes on at the next.

    >>> list(split_csv('a,"x\ny"\nb,"z\nc,d\n'))
    [(1, 'a,"x\ny"', None), (3, 'b,"z', 'record: quote'), (4, 'c,d', None)]
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    at = 0
    while at < len(lines):
        end = _closing_line(lines, at)
        if end is None:
            yield at + 1, lines[at].removesuffix("\r"), BAD_QUOTE
            at += 1
        else:
            yield at + 1, "\n".join(lines[at : end + 1]).removesuffix("\r"), None
            at = end + 1


def _closing_line(lines: list[str], start: int) -> int | None:
    """The line on which the record that starts at `start` ends; None where a quote stays open."""
    quotes = 0
    for at in range(start, min(start + MOST_LINES, len(lines))):
        quotes += lines[at].count('"')
        if quotes % 2 == 0:
            return at
    return None


def split_json(text: str) -> Iterator[RawRecord]:
    """Cut a JSON array of objects, or objects one after another, into the objects' own text.

    What cannot be read is one marked record up to the next line that starts an object.

    >>> list(split_json('[{"a": 1},\\n {"a": 2}]'))
    [(1, '{"a": 1}', None), (2, '{"a": 2}', None)]
    """
    decoder = json.JSONDecoder()
    at = _skip(text, 0, " \t\r\n[")
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            _, end = decoder.raw_decode(text, at)
            problem = None
        except (json.JSONDecodeError, RecursionError):
            found = text.find("\n{", at + 1)
            end = found if found >= 0 else len(text)
            problem = BAD_JSON
        yield line, text[at:end].rstrip(), problem
        at = _skip(text, end, " \t\r\n,]")


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
