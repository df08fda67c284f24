"""Spans of text files, cut at the ends of lines, and the lines in them. No Spark here.

A line belongs to the span in which its first byte lies. Lines end where Spark's reader ends them: at a line feed, a
carriage return, or both; a byte order mark before the first one is no text.
"""

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.errors import InputError
from medspark.store.worker.places import open_place

Places = npt.NDArray[np.int64]
_MARK: Final = codecs.BOM_UTF8
_LOOK: Final = 2**20
"""Bytes read at a time where a line's end is looked for."""
LONGEST_LINE: Final = 32 * 2**20
"""Bytes of a line that workers read; with what is made of it, a few hundred megabytes."""
_END: Final = re.compile(rb"\r\n|\r|\n")
_FAR: Final = 8
"""Lines that are so many times as far apart as they have bytes are read one by one."""

_UNDEFINED: Final = b"\x81\x8d\x8f\x90\x9d"
"""Of windows-1252: no letters."""
_CONTROLS: Final = {code: bytes([code]).decode("windows-1252", "ignore") or chr(code) for code in range(0x80, 0xA0)}
_WINDOWS: Final = "".join(_CONTROLS.get(code, chr(code)) for code in range(256))


class LongLineError(Exception):
    """A line is too long for workers: Spark is to read its file."""


class Span(NamedTuple):
    """The bytes `first` to before `last` of a file, and the lines that begin there."""

    file: str
    """As Spark names it in SOURCE_FILE."""
    address: str
    """As Hadoop writes it."""
    first: int
    last: int


class Surveyed(NamedTuple):
    """What was found in a span, to be added up over those of a file."""

    file: str
    lines: int
    blank: int
    hashes: int
    """The sum of the lines' hashes."""
    parts: int
    """The sum of 31 bits of each."""
    placed: int
    """The same times each line's place in the span."""


class Lines(NamedTuple):
    """The lines of a span in UTF-8: line i is `text[starts[i]:ends[i]]`."""

    text: bytes
    starts: Places
    ends: Places
    unsound: npt.NDArray[np.bool_]
    """Lines with bytes that are not in the source's encoding."""
    firsts: Places
    """Where in the file each begins."""
    sizes: Places
    """Its bytes there."""

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, at: int) -> bytes:
        return self.text[self.starts[at] : self.ends[at]]


def read_lines(span: Span, encoding: str) -> Lines:
    """The lines of a span.

    Args:
        span: of an uncompressed file.
        encoding: one with a byte a line's end: utf-8, iso-8859-1 or windows-1252.

    Raises:
        InputError: the file cannot be read.
        LongLineError: a line is longer than LONGEST_LINE.
    """
    content, first = _content(span)
    if span.first == 0 and content.startswith(_MARK):
        content = content[len(_MARK) :]
        first += len(_MARK)
    starts, ends = line_places(content)
    places = starts + first, ends - starts
    if encoding == "utf-8":
        return Lines(content, starts, ends, _not_utf8(content, starts, ends), *places)
    bad = np.zeros(len(starts), bool)
    if encoding == "windows-1252" and any(byte in content for byte in _UNDEFINED):
        undefined = np.flatnonzero(np.isin(np.frombuffer(content, np.uint8), np.frombuffer(_UNDEFINED, np.uint8)))
        bad[np.searchsorted(starts, undefined, "right") - 1] = True
    whole = _decoded(content, encoding)
    return Lines(whole, *line_places(whole), bad, *places)


def texts_at(span: Span, encoding: str, firsts: Places, sizes: Places) -> list[bytes]:
    """Lines by their places in a file, in UTF-8.

    Args:
        span: of the file.
        encoding: the source's.
        firsts: where each line begins, the first one first.
        sizes: its bytes.
    """
    if not len(firsts):
        return []
    first, behind = int(firsts[0]), int(firsts[-1] + sizes[-1])
    with _opened(span.address) as source:
        if behind - first <= _FAR * int(sizes.sum()):
            content = bytes(source.read_at(behind - first, first))
            places = zip((firsts - first).tolist(), sizes.tolist(), strict=True)
            return [_decoded(content[at : at + size], encoding) for at, size in places]
        lines = zip(firsts.tolist(), sizes.tolist(), strict=True)
        return [_decoded(bytes(source.read_at(size, at)), encoding) for at, size in lines]


def _decoded(content: bytes, encoding: str) -> bytes:
    """Text in UTF-8."""
    if encoding == "utf-8":
        return content
    return (content.decode("iso-8859-1") if encoding == "iso-8859-1" else _of_windows(content)).encode()


def _of_windows(content: bytes) -> str:
    return codecs.charmap_decode(content, "strict", _WINDOWS)[0]


@contextmanager
def _opened(address: str) -> Iterator[Any]:
    """A file to read, its failures as sentences."""
    system, path = open_place(address)
    with _in_words(address), system.open_input_file(path) as source:
        yield source


@contextmanager
def _in_words(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{address}: {_why(error)}") from None


def _why(error: OSError) -> str:
    match error:
        case PermissionError():
            return "this user may not read the file. Ask its owner for the right to."
        case FileNotFoundError():
            return "the file is gone. Run again once the source is complete."
    return f"the file cannot be read ({type(error).__name__} {error.errno}). Its disk or its network may be at fault."


def _content(span: Span) -> tuple[bytes, int]:
    """The bytes of the lines that begin in a span, their ends included, and where the first of them begins."""
    with _opened(span.address) as source:
        first = _line_start(source, span.first)
        last = _line_start(source, span.last)
        return bytes(source.read_at(last - first, first)) if last > first else b"", first


def _line_start(source: Any, at: int) -> int:
    """Where the first line begins at or after a place; the file's end where there is none."""
    size = int(source.size())
    if at <= 0 or at >= size:
        return min(max(at, 0), size)
    place = at - 1
    while place < size:
        part = bytes(source.read_at(min(_LOOK, size - place), place))
        if found := _END.search(part):
            end = place + found.end()
            split = found.group() == b"\r" and found.end() == len(part) and bytes(source.read_at(1, end)) == b"\n"
            return end + split
        place += len(part)
        require_no_longer(place - at)
    return size


def require_no_longer(size: int) -> None:
    """Refuse a line of more bytes than workers read.

    Raises:
        LongLineError: it has more.
    """
    if size > LONGEST_LINE:
        raise LongLineError(f"a line has more than {LONGEST_LINE // 2**20} MB")


def line_places(content: bytes) -> tuple[Places, Places]:
    r"""Where each line begins, and where it ends without its line end.

    >>> starts, ends = line_places(b"a\r\nb\rc\n\nd")
    >>> [(int(start), int(end)) for start, end in zip(starts, ends)]
    [(0, 1), (3, 4), (5, 6), (7, 7), (8, 9)]
    """
    data = np.frombuffer(content, np.uint8)
    feeds = np.flatnonzero(data == 10)
    stops, begins = feeds, feeds + 1
    if b"\r" in content:
        returns = np.flatnonzero(data == 13)
        follows = np.append(data, 0)[returns + 1] == 10
        lone = returns[~follows]
        after_return = np.isin(feeds, returns[follows] + 1)
        stops = np.concatenate([np.where(after_return, feeds - 1, feeds), lone])
        begins = np.concatenate([feeds + 1, lone + 1])
        order = np.argsort(stops, kind="stable")
        stops, begins = stops[order], begins[order]
    starts = np.concatenate([np.zeros(1, np.int64), begins])
    ends = np.concatenate([stops, np.array([len(data)])])
    if starts[-1] == len(data):
        starts, ends = starts[:-1], ends[:-1]
    return starts, ends


def _not_utf8(content: bytes, starts: Places, ends: Places) -> npt.NDArray[np.bool_]:
    bad = np.zeros(len(starts), bool)
    if content.isascii():
        return bad
    try:
        content.decode()
    except UnicodeDecodeError:
        beyond = np.flatnonzero(np.frombuffer(content, np.uint8) >= 0x80)
        for at in np.unique(np.searchsorted(starts, beyond, "right") - 1):
            bad[at] = not _is_utf8(content[starts[at] : ends[at]])
    return bad


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def first_line(address: str, encoding: str) -> str | None:
    """A file's first line as text, what is not in the encoding replaced; None where the file is empty.

    Raises:
        InputError: the file cannot be read.
        LongLineError: the line is longer than LONGEST_LINE.
    """
    parts: list[bytes] = []
    with _opened(address) as source:
        size, place = source.size(), 0
        while place < size and not (parts and _END.search(parts[-1])):
            parts.append(bytes(source.read_at(min(_LOOK, size - place), place)))
            place += len(parts[-1])
            require_no_longer(place - _LOOK)
    content = b"".join(parts).removeprefix(_MARK)
    if not content:
        return None
    starts, ends = line_places(content)
    return _decoded(content[starts[0] : ends[0]], encoding).decode(errors="replace")


def size_of(address: str) -> int:
    """A file's bytes.

    Raises:
        InputError: the file is gone, or this user may not look at it.
    """
    system, path = open_place(address)
    with _in_words(address):
        size = system.get_file_info(path).size
        if size is None:
            raise FileNotFoundError(path)
    return int(size)
