"""Where Spark spills: folders of this process alone, removed at its end, or by the next run where it was killed."""

import atexit
import json
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any, Final

PREFIX: Final = "medspark-spill-"
OWNER: Final = "owner.json"
"""In each folder: who made it, so that a later run knows whether he is gone."""


_MADE: Final[list[str]] = []
"""Those of this process."""


def spill_folders(roots: str | None = None) -> str:
    """Private folders (0700) for this process, with commas between, as spark.local.dir has them; made once.

    They lie below SPARK_LOCAL_DIRS or MEDSPARK_LOCAL_DIR, else below `roots` or the machine's folder for what is
    temporary. What runs of the same user that are gone left there is removed first.
    """
    if not _MADE:
        chosen = os.environ.get("SPARK_LOCAL_DIRS") or os.environ.get("MEDSPARK_LOCAL_DIR") or roots
        _MADE.extend(_folder_below(root) for root in (chosen or tempfile.gettempdir()).split(","))
        if "SPARK_LOCAL_DIRS" in os.environ:  # which Spark reads before spark.local.dir
            os.environ["SPARK_LOCAL_DIRS"] = ",".join(_MADE)
        atexit.register(_remove_own, _MADE, os.getpid())
    return ",".join(_MADE)


def _folder_below(root: str) -> str:
    os.makedirs(root, mode=0o700, exist_ok=True)
    remove_abandoned(Path(root))
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=root)
    owner = os.open(Path(folder) / OWNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(owner, "w") as file:
        json.dump(_process(os.getpid()), file)
    return folder


def remove_abandoned(root: Path) -> None:
    """Remove the folders below `root` whose owner is gone: this user's, this machine's, and nobody else's."""
    for folder in root.glob(f"{PREFIX}*"):
        owner = _owner(folder)
        if owner is not None and owner["host"] == socket.gethostname() and owner != _process(owner["pid"]):
            _remove(folder)


def _owner(folder: Path) -> dict[str, Any] | None:
    """Who made a folder; None for one that is another user's, a link, or does not say."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return None
        with os.fdopen(os.open(folder / OWNER, os.O_RDONLY | os.O_NOFOLLOW)) as file:
            owner = json.load(file)
    except (OSError, ValueError):
        return None
    known = isinstance(owner, dict) and set(owner) == {"host", "pid", "since"} and isinstance(owner["pid"], int)
    return owner if known else None


def _process(pid: int) -> dict[str, Any] | None:
    """A process of this machine as an owner; None where there is none. Its start tells it from a later one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        since = f"{boot}/{ticks}"
    except OSError:
        since = ""
    return {"host": socket.gethostname(), "pid": pid, "since": since}


def _remove_own(folders: list[str], pid: int) -> None:
    """At the end of the process: wait for the Java that it started, then remove."""
    if os.getpid() != pid:
        return
    from pyspark import SparkContext

    java = getattr(SparkContext._gateway, "proc", None)
    if java is not None:
        java.stdin.close()
        try:
            java.wait(20)
        except Exception:
            java.kill()
    for folder in folders:
        _remove(Path(folder))


def _remove(folder: Path) -> None:
    """Remove a folder, the owner's name last: what could not go is for the next run. Links are not followed."""
    for item in list(folder.iterdir()) if folder.is_dir() else []:
        if item.name != OWNER and item.is_dir() and not item.is_symlink():
            shutil.rmtree(item, ignore_errors=True)
        elif item.name != OWNER:
            item.unlink(missing_ok=True)
    if folder.is_dir() and [item.name for item in folder.iterdir()] == [OWNER]:
        shutil.rmtree(folder, ignore_errors=True)
