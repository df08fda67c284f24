"""Which process this is, and whether another still lives. No Spark here."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, told apart from all others of all machines, and from later ones with its number."""

    host: str
    machine: str
    """This boot of it, and where Linux has them the process's own space of numbers, such as a container's."""
    pid: int
    started: str
    """The machine's own count of when it was; empty where the machine does not say."""


@lru_cache(maxsize=1)
def _this_machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _started(pid: int) -> str:
    """The 22nd field of Linux's `stat`; the second, in brackets, may have spaces, and the third says Z of a process
    that has ended and whose parent has not asked how: of that, as of none, nothing."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[19] if fields[0] != "Z" else ""
    return ""


def this_process() -> Process:
    return Process(socket.gethostname(), _this_machine(), os.getpid(), _started(os.getpid()))


def is_dead(process: Process) -> bool | None:
    """Whether a process has ended; None where it is another machine's, which cannot be asked."""
    if process.machine != _this_machine():
        return None
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):  # the second: no process has such a number
        return True
    except PermissionError:  # another user's
        pass
    return _started(process.pid) != process.started


@contextmanager
def peak_memory() -> Iterator[Callable[[], int | None]]:
    """The most memory that this process has had since, in MB, where Linux tells it: a function that says."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # begin to count anew

    def most() -> int | None:
        with suppress(OSError, StopIteration):
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) // 1024
        return None

    yield most
