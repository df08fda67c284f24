"""What workers do with files that they reach without Spark: list, try, and write whole. No Spark here."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from pyarrow import fs

from medspark.store.worker.places import open_place

_FAILURES = (OSError, ValueError, ImportError, RuntimeError)
"""What the clients raise."""


def out_of_reach(reads: list[str], writes: list[str]) -> str | None:
    """What this machine cannot read, or cannot write to, and why; None where all is well.

    Args:
        reads: addresses of files.
        writes: addresses of folders; a file is written there, and deleted.
    """
    for address in [*reads, *writes]:
        try:
            system, path = open_place(address)
            if system.get_file_info(path).type == fs.FileType.NotFound:
                return f"{address} is not there"
        except _FAILURES as error:
            return f"there is no client for {address.split(':')[0]}: ({type(error).__name__})"
    for address in writes:
        try:
            trial = f"{address}/_trial.{uuid.uuid4().hex}"
            put(pa.py_buffer(b"can this machine write here?"), trial)
            system, path = open_place(trial)
            system.delete_file(path)
        except _FAILURES as error:
            return f"{address} cannot be written to ({type(error).__name__})"
    return None


def names_in(address: str, below: bool = False) -> list[str]:
    """What lies in a folder, hidden files too, sorted; none where it is not there.

    Args:
        address: the folder's.
        below: what lies further down too, each by its path below the folder.
    """
    system, folder = open_place(address)
    found = system.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=below))
    return sorted(item.path.removeprefix(folder).lstrip("/") for item in found)


@contextmanager
def _private() -> Iterator[None]:
    """What is made in the block on this machine is for its owner only, whatever the worker was started with."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def put(content: pa.Buffer, address: str) -> None:
    """Write a file whole: to a name that no reader looks at, then renamed."""
    system, path = open_place(address)
    folder, _, name = path.rpartition("/")
    if isinstance(system, fs.S3FileSystem | fs.GcsFileSystem):  # an object appears when it is whole
        aside = path
    else:
        with _private():
            system.create_dir(folder)
        aside = f"{folder}/_{name}.{uuid.uuid4().hex[:8]}"
    with _private(), system.open_output_stream(aside) as stream:
        stream.write(content)
    if aside == path:
        return
    if isinstance(system, fs.PyFileSystem) and system.get_file_info(path).type == fs.FileType.File:
        system.delete_file(path)  # HDFS renames to no name that is taken
    system.move(aside, path)
