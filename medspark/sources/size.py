"""How large a source is, as far as this machine can tell before Spark has started."""

import math
import os
from collections.abc import Iterator
from glob import iglob
from typing import Final

SMALL: Final = 16 * 2**20
"""Bytes, and a thousandth of it files, up to which a source is small."""


def is_small(path: str | None, most: int = SMALL) -> bool:
    """Whether a file, a folder or a pattern of files lies on this machine and has `most` bytes at most.

    What cannot be told, as of another file system, a database, or a folder with a link to another one, is not small.
    """
    if path is None:
        return False
    here = path.removeprefix("file:")
    size, files = 0.0, 0
    for file in _files(here):
        size, files = size + _size_of(file), files + 1
        if size > most or 1000 * files > most:
            return False
    return files > 0


def _files(here: str) -> Iterator[str]:
    for place in [here] if os.path.exists(here) else iglob(here):
        if not os.path.isdir(place):
            yield place
        for folder, below, names in os.walk(place):
            yield from (os.path.join(folder, name) for name in names)
            yield from filter(os.path.islink, (os.path.join(folder, name) for name in below))


def _size_of(file: str) -> float:
    if os.path.isdir(file):  # by a link, which was not followed: it may lead anywhere, and back
        return math.inf
    try:
        return os.path.getsize(file)
    except OSError:  # gone meanwhile, or a link to nothing: whoever reads the source says so
        return 0
