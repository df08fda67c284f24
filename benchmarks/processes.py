"""What a process and all below it take: memory and CPU, from Linux's /proc."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def family(root: int) -> set[int]:
    """A process and all below it."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(place.name))
        if fields:
            parents[int(place.name)] = int(fields[1])
    below = {root}
    while new := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= new
    return below


def proportional_memory(root: int) -> int:
    """Bytes resident, in all: pages that two processes share count once."""
    return sum(_field(pid, "smaps_rollup", "Pss:") for pid in family(root))


def peak_of_workers(root: int) -> int:
    """The most bytes that any of Spark's Python workers below a process ever had resident."""
    workers = [pid for pid in family(root) if b"pyspark.daemon" in _bytes(pid, "cmdline")]
    return max((_field(pid, "status", "VmHWM:") for pid in workers), default=0)


def cpu_seconds(root: int) -> float:
    """Seconds of CPU of a process and all below it, those that have ended included."""
    return sum(sum(map(int, fields[11:15])) for pid in family(root) if (fields := _stat(pid))) / _TICK


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none of a process that is gone."""
    return _bytes(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def _field(pid: int, file: str, name: str) -> int:
    lines = _bytes(pid, file).decode(errors="replace").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _bytes(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""
