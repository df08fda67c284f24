"""A command's receipt: begun before there is Java, and completed whatever ends the command."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from medspark.cli.signals import Signals, signal_first
from medspark.errors import Stopped, StoreError
from medspark.runs.receipt import Receipt
from medspark.runs.run import Run, begin_receipt, note_failure, open_receipt, save_receipt, save_receipt_here
from medspark.runs.writable import disk_full, is_full
from medspark.spark.failures import told_in_words
from medspark.store.files import is_elsewhere


@contextmanager
def saved(receipt: Receipt, store: str, signals: Signals, console: Console) -> Iterator[Callable[[Run], None]]:
    """Begin the receipt, and complete it at the end of the block with its exit code.

    What it gives is called with the run once there is one. The receipt of a store that is not this machine's begins
    then, as Java writes it.

    Raises:
        StoreError: the store cannot be written, or its disk is full.
        Stopped: a signal ended the block; `in_receipt` where the receipt is complete.
    """
    here = None if is_elsewhere(store) else Path(store.removeprefix("file:"))
    begun: list[Run | None] = []
    ended: BaseException | None = None

    def opened(run: Run) -> None:
        run.here = here
        begun.append(run)
        open_receipt(run, here)

    try:
        with signal_first(signals.came), told_in_words():
            if here is not None:
                begin_receipt(here, receipt)
                begun.append(None)
            yield opened
        signals.ending()  # a signal that comes now is too late: what is done is done, and the receipt says so
    except BaseException as error:
        signals.ending()
        ended = _told(error, store)
    if ended is None:
        receipt.exit_code = 0
    else:
        note_failure(receipt, ended)
    if begun or (here is not None and not isinstance(ended, StoreError)):
        complete = _complete(receipt, here, begun[-1] if begun else None, store, console)
        if isinstance(ended, Stopped):
            ended.in_receipt = complete
    if ended is not None:
        raise ended


def _told(error: BaseException, store: str) -> BaseException:
    """What ended a command, in our words where we have some."""
    told = error
    if isinstance(error, KeyboardInterrupt):  # by Spark's own handler, which it sets as it starts
        told = Stopped(signal.SIGINT)
    elif isinstance(error, Exception) and is_full(error) and not isinstance(error, StoreError):
        told = disk_full(store)
    if told is not error:
        told.__cause__ = error
    return told


def _complete(receipt: Receipt, here: Path | None, run: Run | None, store: str, console: Console) -> bool:
    """Save the receipt; where even that fails, say so: what ended the run is the error that counts."""
    try:
        if run is not None:
            save_receipt(run)
        elif here is not None:
            save_receipt_here(here, receipt)
    except Exception as error:
        problem = f"the receipt in {store}/runs could not be completed ({type(error).__name__})"
        if receipt.error is None:
            raise StoreError(problem) from error
        console.print(problem, markup=False, style="red")
        return False
    return True
