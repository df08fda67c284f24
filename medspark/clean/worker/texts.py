"""A column's texts as Arrow and numpy see them: their bytes, their spelling, which of them say that a value is missing.

What is plain, as nearly all is, goes through Arrow and numpy; every other text is looked at once by a function of
Python, however many rows have it. No Spark here.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.task.letters import normalised

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
Found = TypeVar("Found")

_SEEN: Final = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff]*")
"""Letters of Latin scripts, which are composed and seen."""


class Texts(NamedTuple):
    """Texts, null where there is none, with their bytes."""

    array: pa.Array
    offsets: Places
    data: npt.NDArray[np.uint8]
    given: Flags
    """Whether a text is there that does not say that the value is missing."""
    changed: Flags
    """Whether a text lost letters that nobody sees."""

    @property
    def lengths(self) -> Places:
        return np.diff(self.offsets)


def read_texts(array: pa.Array, missing: Iterable[str], spaces_count: bool) -> Texts:
    """A column's texts in the one spelling that each has.

    Args:
        array: as they stand in the source.
        missing: what says that there is no value.
        spaces_count: whether space at the ends is a change of the text.
    """
    offsets, data = bytes_of(array)
    changed = np.zeros(len(array), bool)
    rows = np.flatnonzero(_strange(offsets, data))
    if len(rows):
        spelt, place = by_text(array, rows, _spelt)
        raw = array.take(pa.array(rows)).dictionary_encode().dictionary.to_pylist()
        differs = [(old if spaces_count else old.strip(" ")) != new for old, new in zip(raw, spelt, strict=True)]
        changed[rows] = np.array(differs, bool)[place]
        mask = np.zeros(len(array), bool)
        mask[rows] = True
        array = pc.replace_with_mask(array, pa.array(mask), pa.array(spelt, pa.string()).take(pa.array(place)))
        offsets, data = bytes_of(array)
    spellings = pa.array([text for text in missing if text], pa.string())
    given = np.diff(offsets) > 0
    if len(spellings):
        given &= ~flags(pc.is_in(array, value_set=spellings))
    return Texts(array, offsets, data, given, changed)


def _spelt(text: str) -> str:
    return text.strip(" ") if _SEEN.fullmatch(text) else normalised(text)


def bytes_of(array: pa.Array) -> tuple[Places, npt.NDArray[np.uint8]]:
    """Where each text of an array begins and ends, and the bytes of all of them."""
    _, places, content = array.buffers()
    if not len(array):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(places, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    data = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]


def _strange(offsets: Places, data: npt.NDArray[np.uint8]) -> Flags:
    """Whether a text has anything but ASCII's printable letters, or space at an end."""
    strange = np.zeros(len(offsets) - 1, bool)
    if not len(data):
        return strange
    strange[rows_of(offsets, np.flatnonzero((data - np.uint8(32)) > 94))] = True
    some = np.flatnonzero(np.diff(offsets) > 0)
    strange[some] |= (data[offsets[some]] == 32) | (data[offsets[some + 1] - 1] == 32)
    return strange


def rows_of(offsets: Places, places: Places) -> Places:
    """The rows that have these bytes."""
    return np.searchsorted(offsets, places, "right") - 1


def by_text(array: pa.Array, rows: Places, function: Callable[[str], Found]) -> tuple[list[Found], Places]:
    """What a function says of each different text of some rows, and for each row which of the answers is its."""
    encoded = array.take(pa.array(rows)).dictionary_encode()
    return [function(text) for text in encoded.dictionary.to_pylist()], encoded.indices.to_numpy().astype(np.int64)


def flags(array: Any) -> Flags:
    """An Arrow array of booleans without nulls."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)


def only(array: pa.Array, rows: Flags) -> pa.Array:
    """An array with nulls but in the chosen rows."""
    return array if rows.all() else pc.if_else(pa.array(rows), array, pa.scalar(None, array.type))
