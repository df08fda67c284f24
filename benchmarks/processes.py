"""A process and all below it: which they are, and what they take of memory and CPU."""

from pathlib import Path

import psutil

WORKER = "pyspark.daemon"
"""Among the arguments of Spark's Python workers, and of the process that starts them."""


def family(root: int) -> list[psutil.Process]:
    """A process and all below it; none if it is gone."""
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident(root: int) -> int:
    """Bytes resident, added up over the processes: what two share counts twice."""
    return sum(_memory(process, "rss") for process in family(root))


def proportional_memory(root: int) -> int:
    """Bytes resident, in all: pages that two processes share count once."""
    return sum(_memory(process, "pss") for process in family(root))


def peak_of_workers(root: int) -> int:
    """The most bytes that any of Spark's Python workers below a process ever had resident."""
    return max((_peak(process.pid) for process in family(root) if runs(process, WORKER)), default=0)


def cpu_seconds(root: int) -> float:
    """Seconds of CPU of a process and all below it, those that have ended included."""
    return sum(_cpu(process) for process in family(root))


def _memory(process: psutil.Process, kind: str) -> int:
    try:
        return int(getattr(process.memory_info() if kind == "rss" else process.memory_full_info(), kind))
    except psutil.Error:  # it ended while we looked
        return 0


def runs(process: psutil.Process | None, what: str) -> bool:
    """Whether it is alive and has that among its arguments."""
    try:
        return process is not None and what in process.cmdline()
    except psutil.Error:  # it ended while we looked
        return False


def _cpu(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))  # its own, and of children that it has waited for
    except psutil.Error:
        return 0.0


def _peak(pid: int) -> int:
    """Linux's high-water mark, which psutil does not give."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
