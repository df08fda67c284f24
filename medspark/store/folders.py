"""A folder in place of another one, in one step: a reader lists the files of one or of the other."""

import ctypes
import errno
import os
import time
from pathlib import Path
from typing import Final

from pyspark import SparkContext

from medspark.store.files import exists, move_folder, whole_path_here

_HERE: Final = -100
"""Linux's AT_FDCWD: paths are as they are given."""
_EXCHANGE: Final = 2
"""Its RENAME_EXCHANGE."""
READERS: Final = 0.2
"""Seconds that a reader has, who lists the old folder at that moment, until it may be deleted."""
_UNABLE: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def put_folder(context: SparkContext, path: str, target: str) -> bool:
    """Put a folder where none is, or another one, which is then at the first one's path.

    Returns:
        Whether it was done: of two folders, other file systems than Linux's own cannot do it in one step.
    """
    if not exists(context, target):
        move_folder(context, path, target)
        return True
    here, there = whole_path_here(context, path), whole_path_here(context, target)
    done = here is not None and there is not None and exchange(here, there)
    time.sleep(READERS if done else 0)
    return done


def exchange(one: Path, other: Path) -> bool:
    """Let two folders of this machine change places; False where its system or theirs cannot.

    Raises:
        OSError: one is not there, or may not be moved.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    failed = ctypes.get_errno()
    if failed in _UNABLE:
        return False
    raise OSError(failed, os.strerror(failed), str(other))
