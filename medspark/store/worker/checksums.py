"""Checksums of a Parquet file, whole: of its footer, and of each row group's bytes with the headers in between.

Parquet's own checksums are of the pages alone. What a page's header or the footer says (how many rows, how encoded,
where) would be believed whatever became of it. A worker reads a file's row groups once, compares these very bytes, and
decodes them. No Spark here.
"""

import io
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from isal.isal_zlib import crc32

from medspark.errors import InputError

_END: Final = 8
"""Bytes of a file's end: the footer's length and PAR1."""


@dataclass(frozen=True)
class FileSums:
    """What a file had when it was written; CRC-32, which takes a worker a fiftieth of its time."""

    size: int
    footer: int
    """Of the footer with its length."""
    groups: tuple[int, ...]
    """Of all bytes of each row group."""


def sums_of(source: Any) -> FileSums:
    """The checksums of an open file.

    Raises:
        InputError: it is no Parquet file.
    """
    size = source.size()
    end = _end_of(source, size, "a file that was written")
    footer = pq.read_metadata(pa.BufferReader(end))
    spans = [span_of(footer, group) for group in range(footer.num_row_groups)]
    groups = tuple(crc32(source.read_at(last - first, first)) for first, last in spans)
    return FileSums(size, crc32(end), groups)


def require_pages(source: Any) -> None:
    """Compare each page of an open file with the checksum that its writer gave it.

    Raises:
        OSError: one is another.
    """
    for _ in pq.ParquetFile(source, page_checksum_verification=True).iter_batches(use_threads=False):
        pass


def span_of(footer: Any, group: int) -> tuple[int, int]:
    """Where the bytes of a row group are: first and behind the last."""
    row_group = footer.row_group(group)
    columns = [row_group.column(at) for at in range(row_group.num_columns)]
    starts = [c.dictionary_page_offset if c.has_dictionary_page else c.data_page_offset for c in columns]
    lasts = [start + column.total_compressed_size for start, column in zip(starts, columns, strict=True)]
    return min(starts), max(lasts)


def sound_footer(source: Any, sums: FileSums, name: str) -> Any:
    """A file's footer, its bytes compared.

    Raises:
        InputError: it, or the file's size, is not as it was written.
    """
    end = _end_of(source, sums.size, name)
    if source.size() != sums.size or crc32(end) != sums.footer:
        raise _altered(name)
    return pq.read_metadata(pa.BufferReader(end))


def sound_groups(source: Any, sums: FileSums, name: str, first: int, last: int) -> Any:
    """A file whose row groups `first` to before `last` can be read, from bytes in memory that were compared.

    Raises:
        InputError: they are not as they were written.
    """
    footer = sound_footer(source, sums, name)
    spans = {group: span_of(footer, group) for group in range(first, last)}
    return pq.ParquetFile(_Compared(source, sums, name, spans), metadata=footer, pre_buffer=False)


def require_sound(source: Any, sums: FileSums, name: str) -> None:
    """Compare a whole file.

    Raises:
        InputError: it is not as it was written.
    """
    sound_footer(source, sums, name)
    if sums_of(source) != sums:
        raise _altered(name)


def _end_of(source: Any, size: int, name: str) -> bytes:
    if source.size() != size or size < _END:
        raise _altered(name)
    length = int.from_bytes(source.read_at(_END, size - _END)[:4], "little") + _END
    if length > size:
        raise _altered(name)
    return bytes(source.read_at(length, size - length))


def _altered(name: str) -> InputError:
    return InputError(
        f"{name}: expected the file that was written, received another. Run the stage that writes it again."
    )


class _Compared(io.RawIOBase):
    """Some row groups of an open file, each read whole and compared when the first of its bytes is asked for.

    The one read last is held: readers take one row group after the other. What they are given are views of it, which
    saves a copy of all bytes.
    """

    def __init__(self, source: Any, sums: FileSums, name: str, spans: dict[int, tuple[int, int]]) -> None:
        super().__init__()
        self._source, self._sums, self._name, self._spans = source, sums, name, spans
        self._start, self._held, self._at = 0, memoryview(b""), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._sums.size}[whence]
        return self._at

    def read(self, size: int = -1) -> memoryview:  # Arrow takes whatever has bytes
        if not self._start <= self._at < self._start + len(self._held):
            self._hold()
        within = self._at - self._start
        found = self._held[within : within + size if size >= 0 else None]
        self._at += len(found)
        return found

    def _hold(self) -> None:
        for group, (start, behind) in self._spans.items():
            if start <= self._at < behind:
                self._held = memoryview(b"")  # one at a time, where nobody reads the last any more
                content = self._source.read_at(behind - start, start)
                if crc32(content) != self._sums.groups[group]:
                    raise _altered(self._name)
                self._start, self._held = start, memoryview(content)
                return
        raise OSError("a part of the file that was not asked for")
