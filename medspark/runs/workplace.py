"""Where a run learns on this machine: in its store; of a store elsewhere, as on HDFS, in a folder of this user alone.

TEMP/medspark-learning-UID-DIGEST    by the store's address, so that the same command finds what a killed one left

What is learned from is copied there once, and what was made is brought to the store.
"""

import atexit
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from medspark.bundles.bundle import BUNDLES
from medspark.errors import BundleError, StoreError
from medspark.runs.run import Run, local_path
from medspark.runs.scratch import SCRATCH
from medspark.schemas import PREDICTIONS
from medspark.store.files import bring, copy_to_local, exists, full_path, is_elsewhere

COPIED: Final = "copied"


def workplace(run: Run) -> Path:
    """The run's store, or the folder that stands for it here: below MEDSPARK_LOCAL_DIR, else among what is temporary.

    Raises:
        StoreError: that folder is another user's, or others may look into it.
    """
    if not is_elsewhere(run.store):
        return local_path(run.store)
    root = Path((os.environ.get("MEDSPARK_LOCAL_DIR") or tempfile.gettempdir()).split(",")[0])
    address = hashlib.sha256(full_path(run.context, run.store).encode()).hexdigest()[:16]
    place = root / f"medspark-learning-{os.getuid()}-{address}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(f"{place}: expected a folder that its owner alone may look into, received another")
    return place


@contextmanager
def copied_here(run: Run) -> Iterator[Callable[[str], str]]:
    """What gives a table's folder on this machine: itself, or of a store elsewhere a copy, gone with the block.

    What a run left here that was killed is removed first, all but what it can go on from; this one holds the lock.
    """
    if not is_elsewhere(run.store):
        yield lambda table: table
        return
    place, copies = workplace(run), dict[str, Path]()
    for left in (COPIED, SCRATCH, PREDICTIONS, BUNDLES):
        shutil.rmtree(place / left, ignore_errors=True)

    def here(table: str) -> str:
        if table not in copies:
            (place / COPIED).mkdir(mode=0o700, exist_ok=True)
            copy = place / COPIED / hashlib.sha256(table.encode()).hexdigest()[:16]
            copy_to_local(run.context, table, copy)
            copies[table] = copy
        return str(copies[table])

    try:
        yield here
    finally:
        shutil.rmtree(place / COPIED, ignore_errors=True)


def brought(run: Run, made: Path, folder: str) -> str:
    """The address in the store of what was made in its workplace, which is brought there whole.

    What was made stays here too, as long as this process lives and no other trains for this store.

    Raises:
        BundleError: the store has something by that name.
    """
    if not is_elsewhere(run.store):
        return str(made)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    place = f"{run.store}/{folder}/{made.name}"
    if exists(run.context, place):
        raise BundleError(f"{place} is there already; bundles are never changed")
    bring(run.context, made, place)
    return place
