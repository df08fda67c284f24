"""A column's texts as Arrow and numpy see them: their bytes, their spelling, which of them say that a value is missing.

What is plain, as nearly all is, goes through Arrow and numpy; every other text is looked at once by a function of
Python, however many rows have it. No Spark here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.task.spelling import normalised

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
Found = TypeVar("Found")

_SEEN: Final = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff]*")
"""Letters of Latin scripts, which are composed and seen."""
_SOME: Final = 16
"""Of so many rows one may be looked at by itself without need; of more the bytes of all are."""


class Texts(NamedTuple):
    """Texts, null where there is none, with their bytes."""

    array: pa.Array
    offsets: Places
    data: npt.NDArray[np.uint8]
    given: Flags
    """Whether a text is there that does not say that the value is missing."""
    changed: Flags
    """Whether a text lost letters that nobody sees."""
    doubtful: Flags
    """Whether only Spark can tell how a text is spelt."""

    @property
    def lengths(self) -> Places:
        return np.diff(self.offsets)


def read_texts(array: pa.Array, missing: Iterable[str], spaces_count: bool, strange: Flags | None = None) -> Texts:
    """A column's texts in the one spelling that each has.

    Args:
        array: as they stand in the source.
        missing: what says that there is no value.
        spaces_count: whether space at the ends is a change of the text.
        strange: rows that may have anything but ASCII's printable letters, where they are known.
    """
    offsets, data = bytes_of(array)
    changed, doubtful = np.zeros(len(array), bool), np.zeros(len(array), bool)
    rows = np.flatnonzero(_strange(offsets, data, strange))
    if len(rows):
        raw, place = different(array, rows)
        spelt = [_spelt(text) for text in raw]
        doubtful[rows] = np.array([text is None for text in spelt])[place]
        bare = raw if spaces_count else [text.strip(" ") for text in raw]
        differs = [text is not None and text != old for old, text in zip(bare, spelt, strict=True)]
        changed[rows] = np.array(differs, bool)[place]
        if spelt != raw:
            mask = np.zeros(len(array), bool)
            mask[rows] = True
            array = pc.replace_with_mask(array, pa.array(mask), pa.array(spelt, pa.string()).take(pa.array(place)))
            offsets, data = bytes_of(array)
    given = np.diff(offsets) > 0
    given[_saying(array, offsets, data, [text for text in missing if text])] = False
    return Texts(array, offsets, data, given, changed, doubtful)


def _saying(array: pa.Array, offsets: Places, data: npt.NDArray[np.uint8], spellings: list[str]) -> Places:
    """The rows with one of some texts: most others differ from all of them by their length or first byte."""
    lengths, maybe = np.diff(offsets), np.zeros(len(array), bool)
    for text in {(len(text.encode()), text.encode()[0]) for text in spellings}:
        rows = np.flatnonzero(lengths == text[0])
        maybe[rows[data[offsets[rows]] == text[1]]] = True
    rows = np.flatnonzero(maybe)
    found = array.take(pa.array(rows))
    return rows[flags(pc.is_in(found, value_set=pa.array(spellings, pa.string())))]


def _spelt(text: str) -> str | None:
    """The one spelling of a text; None where Java may know of another.

    >>> _spelt(" a "), _spelt("e\u0301") == "\u00e9", _spelt("\u2126"), _spelt("\U0001f9ec")
    ('a', True, None, None)
    """
    if _SEEN.fullmatch(text):
        return text.strip(" ")
    return normalised(text) if all(map(_is_settled, text)) else None


@lru_cache(maxsize=2**16)
def _is_settled(letter: str) -> bool:
    """Whether every Unicode since 3.2 says the same of a letter, and none writes it as another one."""
    of_old = unicodedata.ucd_3_2_0.category(letter) != "Cn"
    return of_old and (unicodedata.normalize("NFC", letter) == letter or unicodedata.category(letter)[0] == "M")


def bytes_of(array: pa.Array) -> tuple[Places, npt.NDArray[np.uint8]]:
    """Where each text of an array begins and ends, and the bytes of all of them."""
    _, places, content = array.buffers()
    if not len(array):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(places, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    data = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]


def _strange(offsets: Places, data: npt.NDArray[np.uint8], known: Flags | None) -> Flags:
    """Whether a text may have anything but ASCII's printable letters, or space at an end."""
    lengths = np.diff(offsets)
    strange = np.zeros(len(lengths), bool)
    if not len(data):
        return strange
    if known is None or _SOME * np.count_nonzero(known) > len(known):
        strange[rows_of(offsets, np.flatnonzero((data - np.uint8(32)) > 94))] = True
    else:
        rows = np.flatnonzero(known)
        ends = np.cumsum(lengths[rows])
        places = np.arange(ends[-1] if len(rows) else 0)
        row = np.searchsorted(ends, places, "right")
        letters = data[places + (offsets[rows + 1] - ends)[row]]
        strange[rows[row[(letters - np.uint8(32)) > 94]]] = True
    spaced = (data[np.minimum(offsets[:-1], len(data) - 1)] == 32) | (data[offsets[1:] - 1] == 32)
    return np.asarray(strange | (spaced & (lengths > 0)))


def rows_of(offsets: Places, places: Places) -> Places:
    """The rows that have these bytes."""
    return np.searchsorted(offsets, places, "right") - 1


def different(array: pa.Array, rows: Places) -> tuple[list[str], Places]:
    """The different texts of some rows, and for each row which of them is its."""
    encoded = array.take(pa.array(rows)).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def by_text(array: pa.Array, rows: Places, function: Callable[[str], Found]) -> tuple[list[Found], Places]:
    """What a function says of each different text of some rows, and for each row which of the answers is its."""
    texts, place = different(array, rows)
    return [function(text) for text in texts], place


def flags(array: Any) -> Flags:
    """An Arrow array of booleans without nulls."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)


def only(array: pa.Array, rows: Flags) -> pa.Array:
    """An array with nulls but in the chosen rows."""
    return array if rows.all() else pc.if_else(pa.array(rows), array, pa.scalar(None, array.type))
