"""The bytes of an image's file, read from within its folder and nowhere else. No Spark here."""

import base64
import binascii
import os
import stat
from pathlib import PurePosixPath
from typing import Final

from pyarrow import fs

from medspark.clean.worker.image_rules import NoImage
from medspark.store.worker.places import open_place

MOST_BYTES: Final = 256 * 2**20
"""Of a file."""
INLINE: Final = "data:"
"""Before bytes that are written as text (RFC 2397): a quarantined row of a Parquet file holds its image so."""
_BASE64: Final = ";base64,"


def file_bytes(folder: str, value: str | bytes | bytearray) -> bytes:
    """What a value stands for: bytes as they are, text that begins with `data:`, or a path relative to a folder.

    Raises:
        NoImage: outside, absent, too large, or text that is no base64 (damaged).
    """
    if isinstance(value, str):
        return _inline(value) if value.startswith(INLINE) else _file(folder, value)
    if len(value) > MOST_BYTES:
        raise NoImage("too large")
    return bytes(value)


def _inline(text: str) -> bytes:
    _, mark, encoded = text.partition(_BASE64)
    if len(encoded) > MOST_BYTES * 4 // 3:
        raise NoImage("too large")
    try:  # Spark breaks it into lines
        return base64.b64decode("".join(encoded.split()) if mark else "?", validate=True)
    except (binascii.Error, ValueError):
        raise NoImage("damaged") from None


def _file(folder: str, path: str) -> bytes:
    if not is_inside(path):
        raise NoImage("outside")
    system, root = open_place(folder)
    try:
        return _local(root, path) if isinstance(system, fs.LocalFileSystem) else _distant(system, root, path)
    except (OSError, ValueError):  # whose text would name the file
        raise NoImage("absent") from None


def _distant(system: fs.FileSystem, root: str, path: str) -> bytes:
    found = system.get_file_info(f"{root.rstrip('/')}/{path}")
    if found.type != fs.FileType.File:
        raise NoImage("absent")
    if found.size > MOST_BYTES:
        raise NoImage("too large")
    with system.open_input_stream(found.path) as stream:
        content: bytes = stream.read()
    return content


def is_inside(path: str) -> bool:
    """Whether a path, by its text alone, stays below the folder that it is relative to.

    >>> [is_inside(path) for path in ("a/b.png", "/a.png", "../a.png", "a/../../b", "s3://a/b", "a\\\\..\\\\b")]
    [True, False, False, False, False, False]
    """
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and not set(path) & {"\\", "\0", ":"}


def _local(root: str, path: str) -> bytes:
    """A file of this machine. A link may lead to another place within the folder, and to none outside."""
    inside = os.path.realpath(root)
    place = os.path.realpath(os.path.join(inside, path))
    if os.path.commonpath([inside, place]) != inside:
        raise NoImage("outside")
    # Where a link took the place's name since, or a pipe has it, nothing is opened or waited for
    number = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise NoImage("absent")
        if found.st_size > MOST_BYTES:
            raise NoImage("too large")
        with os.fdopen(number, "rb", closefd=False) as file:
            return file.read(MOST_BYTES)
    finally:
        os.close(number)
