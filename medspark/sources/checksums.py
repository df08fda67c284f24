"""Hadoop's checksums of a file on this machine, compared without Java.

Beside a file lies `.NAME.crc`: the letters "crc", a zero, the bytes of a chunk as four bytes, then the CRC-32 of each
chunk as four bytes; all big-endian (Hadoop's ChecksumFileSystem).
"""

import struct
import zlib
from pathlib import Path
from typing import Final

_MAGIC: Final = b"crc\x00"


def checksums_of(file: str) -> Path:
    """Where Hadoop's file system on this machine would have put a file's checksums."""
    place = Path(file.removeprefix("file:"))
    return place.with_name(f".{place.name}.crc")


def agrees(file: str) -> bool:
    """Whether a file's bytes are those that its checksums are of; where either cannot be read they are not."""
    try:
        sums, found = checksums_of(file).read_bytes(), Path(file.removeprefix("file:")).read_bytes()
    except OSError:
        return False
    if len(sums) < 8 or not sums.startswith(_MAGIC):
        return False
    size, chunks = struct.unpack_from(">I", sums, 4)[0], memoryview(sums)[8:]
    if size == 0 or len(chunks) != 4 * -(-len(found) // size):
        return False
    expected = (one for (one,) in struct.iter_unpack(">I", chunks))
    starts = range(0, len(found), size)
    return all(zlib.crc32(found[at : at + size]) == one for at, one in zip(starts, expected, strict=True))
