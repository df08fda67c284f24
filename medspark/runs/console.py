"""What a person sees of a run: a few lines and a progress bar. TensorFlow's and Spark's words go to a log file."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark import SparkContext
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from medspark.runs.progress import Told, in_words
from medspark.runs.receipt import RUNS
from medspark.store.files import is_elsewhere

POLL_SECONDS = 0.2
SHOWN_AFTER_SECONDS = 2.0


def log_file(store: str, run_id: str) -> Path | None:
    """Where a run's log goes: beside its receipt, or, for a store on another file system, in the user's cache.

    None where spark-submit started the run for such a store: the machine may be any of a cluster's, which collects
    what its programs say and forgets the rest.
    """
    if is_elsewhere(store):
        if "PYSPARK_GATEWAY_PORT" in os.environ:
            return None
        return Path.home() / ".cache" / "medspark" / f"{run_id}.log"
    return Path(store.removeprefix("file://")) / RUNS / f"{run_id}.log"


def send_chatter_to(log: Path) -> Console:
    """Point standard error, of this process and of those it starts, at a log file; the console keeps the terminal.

    The JVM and the native code of TensorFlow write to the file descriptor itself, so that is what is moved.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    sys.stderr.flush()
    os.dup2(file, 2)
    os.close(file)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    return Console(file=os.fdopen(terminal, "w", buffering=1), highlight=False, soft_wrap=True)


@contextmanager
def spark_progress(console: Console, context: SparkContext, title: str) -> Iterator[None]:
    """A bar of Spark's tasks while the block runs, shown where it takes more than a moment."""
    stop = threading.Event()
    bar = _bar(console)

    def watch() -> None:
        if stop.wait(SHOWN_AFTER_SECONDS):
            return
        tracker = context.statusTracker()
        with bar:
            shown = bar.add_task(title, total=None)
            while not stop.wait(POLL_SECONDS):
                stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
                done = sum(stage.numCompletedTasks for stage in stages if stage)
                total = sum(stage.numTasks for stage in stages if stage)
                bar.update(shown, completed=done, total=total or None)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


@contextmanager
def epoch_progress(console: Console) -> Iterator[Callable[[Told], None]]:
    """A bar of epochs while the block runs, with their losses, the examples a second and the time that is left."""
    bar = _bar(console)
    shown = bar.add_task("training", total=None)

    def tell(told: Told) -> None:
        bar.update(shown, completed=told.epoch - 1 + told.ended, total=told.epochs, description=in_words(told))

    with bar:
        yield tell


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
