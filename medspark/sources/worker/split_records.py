"""Text files that are not one record a line, cut into raw records with their line numbers. No Spark here."""

import bz2
import codecs
import gzip
import json
import re
from collections.abc import Callable, Iterator

import pyarrow as pa

from medspark.schemas import BLOCK, POSITION, RECORD_RULE, SOURCE_FILE, TEXT
from medspark.sources.record_rules import BAD_ENCODING, BAD_JSON, BAD_QUOTE

WHOLE_FILE = -1
"""The block of a record that a whole file was read for."""
MOST_LINES = 1000
"""A quoted field over more lines than this is taken for a quote that was never closed."""

RawRecord = tuple[int, str, str | None]
"""Line of the record's start (from 1), its text, and the rule it breaks as a record."""


def split_csv(text: str, delimiter: str = ",") -> Iterator[RawRecord]:
    r"""Cut CSV (RFC 4180) at the line ends outside quotes.

    A quote that is never closed costs its own line only: that line is marked and reading goes on at the next.

    >>> list(split_csv('a,"x\ny"\nb,"z\nc,d\n'))
    [(1, 'a,"x\ny"', None), (3, 'b,"z', 'record: quote'), (4, 'c,d', None)]
    """
    well_quoted = _well_quoted(delimiter)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    at = 0
    while at < len(lines):
        end = _closing_line(lines, at)
        record = None if end is None else "\n".join(lines[at : end + 1]).removesuffix("\r")
        if end is None or record is None or (end > at and not well_quoted.fullmatch(record)):
            yield at + 1, lines[at].removesuffix("\r"), BAD_QUOTE
            at += 1
        else:
            yield at + 1, record, None
            at = end + 1


def split_lines(text: str) -> Iterator[RawRecord]:
    r"""Cut text at every line end, as Spark does where it can.

    >>> list(split_lines("a\r\nb\n"))
    [(1, 'a', None), (2, 'b', None)]
    """
    lines = re.split("\r\n|\n|\r", text)
    if lines[-1] == "":
        lines.pop()
    yield from ((at + 1, line, None) for at, line in enumerate(lines))


def _closing_line(lines: list[str], start: int) -> int | None:
    """The first line down to which the quotes are even in number; None where there is none within MOST_LINES."""
    quotes = 0
    for at in range(start, min(start + MOST_LINES, len(lines))):
        quotes += lines[at].count('"')
        if quotes % 2 == 0:
            return at
    return None


def _well_quoted(delimiter: str) -> re.Pattern[str]:
    """A record whose quotes open and close whole fields: two stray quotes with rows between them are no record."""
    comma = re.escape(delimiter)
    field = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"{comma}\n][^{comma}\n]*+)?'
    return re.compile(f"{field}(?:{comma}{field})*+")


def split_json(text: str) -> Iterator[RawRecord]:
    """Cut a JSON array of objects, or objects one after another, into the objects' own text.

    What cannot be read is one marked record, up to the next line that starts an object and is indented no deeper.

    >>> list(split_json('[{"a": 1},\\n {"a": 2}]'))
    [(1, '{"a": 1}', None), (2, '{"a": 2}', None)]
    """
    decoder = json.JSONDecoder()
    line, counted = 1, 0
    at = _skip(text, 0, " \t\r\n[]")
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        try:
            _, end = decoder.raw_decode(text, at)
            problem = None
        except (ValueError, RecursionError):  # no JSON, or a number or a nesting beyond all measure
            end, problem = _next_object(text, at), BAD_JSON
        yield line, text[at:end].rstrip(), problem
        at = _skip(text, end, " \t\r\n,]")


def _next_object(text: str, at: int) -> int:
    """Where the next object starts on a line of its own, indented no deeper than what stands at `at`."""
    start = text.rfind("\n", 0, at) + 1
    indent = at - start if text[start:at].isspace() else 0
    found = re.compile(rf"\n[ \t]{{0,{indent}}}(?=\{{)").search(text, at)
    return found.end() if found else len(text)


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def cut_batches(
    split: Callable[[str], Iterator[RawRecord]], encoding: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for path, content in zip(batch["path"].to_pylist(), batch["content"].to_pylist(), strict=True):
            text = _decode(_inflate(path, content), encoding)
            rows = [(line - 1, *_sound(raw, rule)) for line, raw, rule in split(text)]
            for at in range(0, len(rows), 10_000):
                part = rows[at : at + 10_000]
                positions, rules, raws = zip(*part, strict=True)
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array([path] * len(part), pa.string()),
                        pa.array([WHOLE_FILE] * len(part), pa.int64()),
                        pa.array(positions, pa.int64()),
                        pa.array(rules, pa.string()),
                        pa.array(raws, pa.string()),
                    ],
                    names=[SOURCE_FILE, BLOCK, POSITION, RECORD_RULE, TEXT],
                )


def _decode(content: bytes, encoding: str) -> str:
    """Text without its byte order mark; what is not in the encoding becomes half a surrogate pair."""
    if not encoding.startswith("utf-16"):
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="surrogateescape")
    whole, rest = content[: len(content) // 2 * 2], content[len(content) // 2 * 2 :]
    if encoding == "utf-16" and whole[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16le"  # as what leaves the mark out mostly writes it
    return whole.decode(encoding, errors="surrogatepass").removeprefix("\ufeff") + ("\udc80" if rest else "")


def _inflate(path: str, content: bytes) -> bytes:
    if path.endswith(".gz"):
        return gzip.decompress(content)
    return bz2.decompress(content) if path.endswith(".bz2") else content


def _sound(raw: str, rule: str | None) -> tuple[str | None, str]:
    """The rule that a record breaks and its text; bytes outside the encoding came as surrogates."""
    try:
        raw.encode("utf-8")
    except UnicodeEncodeError:
        as_bytes = re.sub("[\ud800-\udc7f\udd00-\udfff]", "\ufffd", raw).encode("utf-8", errors="surrogateescape")
        return BAD_ENCODING, as_bytes.decode("utf-8", errors="replace")
    return rule, raw
