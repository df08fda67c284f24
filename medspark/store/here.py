"""Files on this machine's own disks, without Java."""

import os
from collections.abc import Iterator
from pathlib import Path


def names_here(folder: Path) -> Iterator[str]:
    """What Hadoop lists of a folder of this machine: neither its own checksums nor links that lead nowhere."""
    for entry in os.scandir(folder):
        if not (entry.name.startswith(".") and entry.name.endswith(".crc")) and os.path.exists(entry.path):
            yield entry.name


def replace_here(place: Path, text: str) -> None:
    """Replace a small file in one step: written aside, then renamed over the old one."""
    aside = place.with_name(f"{place.name}.new")
    aside.unlink(missing_ok=True)  # a link that stands there is not followed
    write_new(aside, text)
    place.with_name(f".{place.name}.crc").unlink(missing_ok=True)  # the checksum of what Hadoop wrote before
    aside.replace(place)


def write_new(place: Path, text: str) -> None:
    """Write a file where none is, for its owner only; it is on the disk when this returns, should the power fail then.

    Raises:
        FileExistsError: there is one, or a link.
        OSError: it cannot be written, as the disk is full; nothing is left of it.
    """
    os.makedirs(place.parent, mode=0o700, exist_ok=True)
    file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        place.unlink(missing_ok=True)
        raise


def create_here(place: Path, text: str) -> bool:
    """Write a small file where none is yet; False, and nothing changed, where one is."""
    try:
        write_new(place, text)
    except FileExistsError:
        return False
    return True
