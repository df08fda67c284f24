"""Ctrl-C and SIGTERM end a command in order: its jobs are cancelled, its tables and receipt settled, Java gone."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from medspark.errors import Stopped

if TYPE_CHECKING:
    from pyspark import SparkContext

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
PATIENCE: Final = 10.0
"""Seconds that Spark is given for each step of ending."""
GRACE: Final = 30.0
"""Seconds in which a second signal changes nothing: what the first began needs them."""


class Signals(NamedTuple):
    """What a command tells of itself, for signals to end it in order."""

    watch: Callable[["SparkContext"], None]
    """Called with the context once there is one, whose own handler of Ctrl-C is replaced: that one asks Java by the
    connection on which the main thread waits for an answer."""
    ending: Callable[[], None]
    """Called where the command is at its end: for a while a signal changes nothing of how it ends."""
    came: Callable[[], int | None]
    """Which signal asked the command to end; None where none did."""


@contextmanager
def stoppable() -> Iterator[Signals]:
    """In the block a signal raises `Stopped` in the main thread; further ones change nothing for a while."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    contexts: list[SparkContext] = []

    asked: list[float] = []
    came: list[int] = []

    def stop(number: int, frame: Any) -> None:
        if asked and time.monotonic() - asked[-1] < GRACE:
            return
        asked.append(time.monotonic())
        came.append(number)
        for context in contexts:
            _in_a_thread(partial(_cancel, context))
            _hang_up(context)
        raise Stopped(number)

    def watch(context: "SparkContext") -> None:
        contexts.append(context)
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, stop)

    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, stop)
        yield Signals(watch, lambda: asked.append(time.monotonic()), lambda: came[0] if came else None)
    except Stopped:
        for context in contexts:
            _end_java(context)
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, before[number] or signal.SIG_DFL)


@contextmanager
def signal_first(came: Callable[[], int | None]) -> Iterator[None]:
    """What a signal ended, a signal ended: though freeing what was held failed after it, as Java may be gone too, or
    Python was where no exception gets out, as in an object's finalizer.

    Args:
        came: the signal, once one has come.

    Raises:
        Stopped: in place of a failure of the block, where a signal came before it.
    """
    try:
        yield
    except Exception as error:
        number = came()
        if number is None:
            raise
        raise Stopped(number) from error


def _cancel(context: "SparkContext") -> None:
    """Cancel what Spark is at, and wait until its tasks are gone, so that none writes a file after the last look."""
    context.cancelAllJobs()
    tracker, end = context.statusTracker(), time.monotonic() + PATIENCE
    while tracker.getActiveStageIds() and time.monotonic() < end:
        time.sleep(0.05)


def _hang_up(context: "SparkContext") -> None:
    """Give up the connection on which this thread waits for Java; its next question goes by a new one."""
    gateway: Any = context._gateway
    connection = gateway._gateway_client.get_thread_connection()
    if connection is not None:
        connection.close()


def _end_java(context: "SparkContext") -> None:
    """End Spark and the Java that this process started, and what Spark keeps on this machine's disk with it."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit's Java is above this process and ends by itself
        return
    java: subprocess.Popen[bytes] | None = getattr(context._gateway, "proc", None)
    _in_a_thread(context.stop)
    if java is None:
        return
    with suppress(OSError):
        if java.stdin is not None:
            java.stdin.close()  # the sign to end
    try:
        java.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        java.kill()
        java.wait()


def _in_a_thread(do: Callable[[], object]) -> None:
    """Ask Java by a connection of its own, however long the main thread's question takes; Java may be dead."""

    def quietly() -> None:
        with suppress(Exception):
            do()

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    thread.join(PATIENCE)
