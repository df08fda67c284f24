"""A store that cannot be written and a disk that is full, as sentences of their own."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from medspark.errors import MedsparkError, StoreError
from medspark.spark.failures import text_of

_FULL: Final = (
    "No space left on device",
    "Disk quota exceeded",
    "DSQuotaExceededException",
    "NSQuotaExceededException",
)
_REFUSED: Final = (
    "Permission denied",
    "Read-only file system",
    "Not a directory",
    "Mkdirs failed to create",
    "AccessControlException",
    "ParentNotDirectoryException",
    "AccessDenied",
    "Operation not permitted",
    "File exists",
)
"""What file systems say, Java's and Python's."""


@contextmanager
def store_writable(store: str, all_is_writing: bool = False) -> Iterator[None]:
    """Turn a failure to write in the block into a sentence; what is wrong otherwise passes.

    Args:
        store: for the sentence.
        all_is_writing: whether the block does nothing else, so that whatever the file system says is a refusal, as
            that there is no such file where a folder was to be made.

    Raises:
        StoreError: the disk is full, or the store cannot be written.
    """
    try:
        yield
    except MedsparkError:
        raise
    except Exception as error:
        if is_full(error):
            raise disk_full(store) from error
        if any(sign in _words(error) for sign in _REFUSED) or (all_is_writing and isinstance(error, OSError)):
            raise StoreError(
                f"{store} cannot be written: expected a folder that this user may write to, received a refusal of the "
                "file system. Check its path, its owner and whether it is mounted read-only. Nothing was changed."
            ) from error
        raise


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind a failure, of Python, of Java or of a worker."""
    while error is not None:
        text = text_of(error)
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(sign in text for sign in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def disk_full(store: str) -> StoreError:
    """What to say of a full disk: how much room is left in the store, where that can be told."""
    room = ""
    try:
        place = Path(store.removeprefix("file:")).resolve()
        free = shutil.disk_usage(next(folder for folder in (place, *place.parents) if folder.exists())).free
        room = f" {free / 1e6:,.0f} MB are free there now."
    except OSError:
        pass
    return StoreError(
        f"no space left on the disk of {store}, or on that of Spark's own folder (spark.local.dir).{room} Make room "
        "and run again. What was published before is whole; what this run had begun is deleted."
    )


def _words(error: BaseException) -> str:
    parts = [text_of(error)]
    while (error := error.__cause__ or error.__context__) is not None:  # type: ignore[assignment]
        parts.append(text_of(error))
    return " ".join(parts)
