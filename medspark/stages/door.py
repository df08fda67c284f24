"""The contract at the door: what a source's files must be before any of them is read."""

import statistics
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from medspark.deploy.deployment import Deployment, Door, Otherwise, Volume
from medspark.errors import InputError, TaskError
from medspark.runs.run import Run
from medspark.store.files import file_state, match_files
from medspark.store.ledger import newest_published
from medspark.task.connection import IN_DATABASES
from medspark.task.tasks import Task

NIGHTS_ASKED = 3
"""From so many on there is a usual volume."""


class Lying(NamedTuple):
    """A file of the source."""

    name: str
    """Its path below the source."""
    size: int
    """Bytes."""
    changed: float
    """Seconds since 1970."""

    @property
    def hidden(self) -> bool:
        return any(part.startswith(("_", ".")) for part in self.name.split("/"))


def pass_door(run: Run, deployment: Deployment, task: Task) -> None:
    """Look at the source's files; note what they are, and say what is not as the deployment expects.

    Raises:
        InputError: what the deployment stops for, all of it.
        TaskError: the source has no files to look at.
    """
    door = deployment.door
    if door is None:
        return
    files = _files(run, deployment.source or _place(task))
    read = [file for file in files if not file.hidden]
    size = sum(file.size for file in read)
    found = [*_of_files(door, read, files), *_of_volume(run, door.volume, size)]
    warned = [sentence for otherwise, sentence in found if otherwise == "warn"]
    run.receipt.counts["door"] = {"files": len(read), "bytes": size, "warned": warned}
    for sentence in warned:
        run.say(f"  warning     {sentence}")
    stopped = [sentence for otherwise, sentence in found if otherwise == "stop"]
    if stopped:
        told = "\n".join(f"  - {sentence}" for sentence in stopped)
        raise InputError(f"the source is not what the deployment expects; nothing was read:\n{told}")


def _place(task: Task) -> str:
    source = task.source
    if source.format in IN_DATABASES:
        raise TaskError("door", [f"expected a source of files, received {source.format}: leave `door` out"])
    return str(source.path)


def _files(run: Run, place: str) -> list[Lying]:
    found = []
    for path, below in match_files(run.context, place).items():
        state = file_state(run.context, path)
        if state is not None and not below.endswith(".crc"):
            found.append(Lying(below or path.rsplit("/", 1)[-1], state[0], state[1] / 1000))
    return found


def _of_files(door: Door, read: list[Lying], files: list[Lying]) -> Iterator[tuple[Otherwise, str]]:
    names = [file.name for file in read]
    if not read:
        yield door.empty, "expected files, received none"
    if empty := [file.name for file in read if not file.size]:
        yield door.empty, f"expected files with something in them, received {_listed(empty)} without a byte"
    if hidden := [file.name for file in files if file.hidden and not file.name.endswith("_SUCCESS")]:
        yield door.hidden, f"nobody reads {_listed(hidden)}: names that begin with _ or a point are hidden"
    if door.files is not None:
        absent = [one for one in door.files.names if not any(fnmatchcase(name, one) for name in names)]
        if absent:
            yield door.files.otherwise, f"expected {_listed(absent)}, received {len(names)} files without"
    if door.fresh is not None and read:
        hours = (time.time() - max(file.changed for file in read)) / 3600
        if hours > door.fresh.hours:
            yield (
                door.fresh.otherwise,
                f"expected a file of the last {door.fresh.hours:g} hours, the newest is {hours:,.1f} hours old",
            )


def _of_volume(run: Run, volume: Volume | None, size: int) -> Iterator[tuple[Otherwise, str]]:
    """Compare with the median of nights that were published, each as-of time once, as it was published last."""
    if volume is None:
        return
    sizes: dict[str, int] = {}
    for facts in (entry.facts for entry in newest_published(run.context, run.store)):
        if facts.get("door"):
            sizes.setdefault(facts["as_of"], facts["door"]["bytes"])
        if len(sizes) == volume.nights:
            break
    last = list(sizes.values())
    if len(last) < NIGHTS_ASKED:
        return
    usual, (low, high) = statistics.median(last), volume.times
    if not low * usual <= size <= high * usual:
        yield (
            volume.otherwise,
            f"expected {low:g} to {high:g} times the {usual:,.0f} bytes of the last {len(last)} nights, "
            f"received {size:,}",
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
