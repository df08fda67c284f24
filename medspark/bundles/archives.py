"""Archives in a bundle: the network as Keras saves it is one, and no other file may be. No Spark here.

What an archive says of its size is not believed before it is small enough, and what comes out of it is counted.
"""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

MOST_TIMES: Final = 10
"""That an archive may grow by; Keras compresses nothing."""
SPARE_BYTES: Final = 2**20
"""That it may grow by in any case."""
MOST_ENTRIES: Final = 10_000
_PART: Final = 2**20
_STARTS: Final = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf",
    b"Rar!",
)
_TAR_AT: Final = 257


def archive_problems(path: Path) -> Iterator[str]:
    """What is wrong with one file of a bundle as an archive; nothing is unpacked, and little held in memory."""
    if path.suffix == ".keras":
        try:
            with zipfile.ZipFile(path) as archive:
                yield from _zip_problems(archive, path)
        except _DAMAGES:
            yield f"{path.name} is no archive as Keras writes it"
    elif _is_archive(path):
        yield f"{path.name} is an archive, which only a .keras file may be"


_DAMAGES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
"""What Python's reader raises at archives that are none, or of a kind that it does not know."""


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_TAR_AT + 5)
    return start.startswith(_STARTS) or start[_TAR_AT:] == b"ustar" or zipfile.is_zipfile(path)


def _zip_problems(archive: zipfile.ZipFile, path: Path) -> Iterator[str]:
    entries, most = archive.infolist(), SPARE_BYTES + MOST_TIMES * path.stat().st_size
    declared = sum(entry.file_size for entry in entries)
    if declared > most or len(entries) > MOST_ENTRIES:
        yield f"{path.name} would grow to {declared:,} bytes in {len(entries):,} files: at most {most:,} are expected"
    elif len({entry.filename for entry in entries}) < len(entries):
        yield f"{path.name} has two files of one name"
    elif not all(map(_is_plain, entries)):
        yield f"{path.name} has a link, a locked file, or a name that leads out of it"
    elif any(_inflated(archive, entry) != entry.file_size for entry in entries):
        yield f"{path.name} has a file of another size than it says"


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file or a folder within the archive, and readable."""
    name, kind = PurePosixPath(entry.filename), stat.S_IFMT(entry.external_attr >> 16)
    leaves = name.is_absolute() or ".." in name.parts or any(letter in entry.filename for letter in "\\:\0")
    return not leaves and kind in (0, stat.S_IFREG, stat.S_IFDIR) and not entry.flag_bits & 1


def _inflated(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """How many bytes come out of an entry, a part at a time, and no more than one part beyond what it says.

    Raises:
        BadZipFile: they are not those that were put in.
    """
    found = 0
    with archive.open(entry) as file:
        while found <= entry.file_size and (part := file.read(_PART)):
            found += len(part)
    return found
