"""One command at work."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from py4j.protocol import Py4JJavaError
from pydantic import TypeAdapter
from pyspark import SparkContext
from pyspark.sql import SparkSession
from rich.console import Console

from medspark.errors import InputError, MedsparkError, Stopped
from medspark.runs.console import spark_progress
from medspark.runs.process import Process, is_dead
from medspark.runs.receipt import RUNS, Receipt, new_run_id, now
from medspark.runs.writable import store_writable
from medspark.spark.failures import name_of
from medspark.spark.session import the_session
from medspark.store.files import (
    create_text,
    exists,
    is_elsewhere,
    list_paths,
    read_text,
    whole_path_here,
    write_text,
)
from medspark.store.here import create_here, replace_here

_PROCESS: Final = TypeAdapter(Process)
LOOKED_AT: Final = 50
"""Receipts that a run looks at for what broke off."""


@dataclass
class Run:
    """One command at work: its Spark context, where it writes, what it tells the person, and its receipt."""

    context: SparkContext
    store: str
    console: Console
    """What is said of the run; silent when a scheduler asked for JSON."""
    receipt: Receipt
    terminal: Console
    """Where progress is drawn."""
    here: Path | None = None
    """The store as a path of this machine, once its receipt is open; None on another file system."""
    holds_lock: bool = False
    before_publishing: list[Callable[[], None]] = field(default_factory=list)
    """What must hold before anything is shown, such as that the source is still what was read."""
    published: set[str] = field(default_factory=set)
    """Versions that are, or may be, in force."""

    @cached_property
    def spark(self) -> SparkSession:
        """The session, made when first asked for: scoring by workers needs none."""
        return the_session()

    @property
    def version(self) -> str:
        return self.receipt.run_id

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def progress(self, title: str) -> AbstractContextManager[None]:
        return spark_progress(self.terminal, self.context, title)


def begin_receipt(here: Path, receipt: Receipt) -> None:
    """Write `runs/RUN_ID.json` of a store on this machine before there is Java, under an id that no other run has.

    Raises:
        StoreError: the store cannot be written.
    """
    with store_writable(str(here)):
        while not create_here(_receipt_here(here, receipt), receipt.to_json()):
            receipt.run_id = new_run_id()


def open_receipt(run: Run, begun: Path | None = None) -> None:
    """Write `runs/RUN_ID.json` before any work, under an id that no other run of the store has; name what broke off.

    Args:
        run: whose.
        begun: the folder of this machine where it is begun already. Java may know that the store is elsewhere.

    Raises:
        StoreError: the store cannot be written.
    """
    with store_writable(run.store):
        find_here(run)
        if begun is None or run.here is None:
            while not create_text(run.context, _receipt_path(run), run.receipt.to_json()):
                run.receipt.run_id = new_run_id()
            if begun is not None:
                _receipt_here(begun, run.receipt).unlink(missing_ok=True)
    for path in _newest_receipts(run):
        found = _at_work(run, path)
        if found is not None and is_dead(_PROCESS.validate_python(found["process"])):
            _name_broken_off(run, path, found)


def find_here(run: Run) -> None:
    """Note where the store lies on this machine, so that what must be done without Java can be."""
    run.here = whole_path_here(run.context, run.store)


def name_broken_off(run: Run, run_id: str) -> None:
    """Say of another run that it ended without a word, where its receipt is there and says that it runs."""
    path = f"{run.store}/{RUNS}/{run_id}.json"
    found = _at_work(run, path) if exists(run.context, path) else None
    if found is not None:
        _name_broken_off(run, path, found)


def _at_work(run: Run, path: str) -> dict[str, Any] | None:
    """A receipt that says that its run is at work; None of any other, and of a file that is no sound receipt."""
    try:
        here = None if run.here is None else run.here / "runs" / path.rsplit("/", 1)[-1]
        found = json.loads(read_text(run.context, path) if here is None else here.read_text(encoding="utf-8"))
        _PROCESS.validate_python(found["process"])
        return found if found["status"] == "running" and {"run_id", "command", "started_at"} <= set(found) else None
    except (ValueError, KeyError, TypeError, OSError, Py4JJavaError):  # being written, its disk was full, or not ours
        return None


def _newest_receipts(run: Run) -> list[str]:
    """The paths of the other receipts, the newest: what broke off is among them, as runs are nightly."""
    paths = [path for path in list_paths(run.context, f"{run.store}/{RUNS}") if path.endswith(".json")]
    others = [path for path in paths if not path.endswith(f"/{run.receipt.run_id}.json")]
    return others[-LOOKED_AT:]


def _name_broken_off(run: Run, path: str, found: dict[str, Any]) -> None:
    what = {"status": "broken off", "error": f"the process ended without a word; found by run {run.receipt.run_id}"}
    write_text(run.context, path, json.dumps({**found, **what}, indent=1))
    run.receipt.broken_off.append(found["run_id"])
    run.say(f"run {found['run_id']} ({found['command']}, begun {found['started_at']}) broke off before its end")


def note_failure(receipt: Receipt, error: BaseException) -> None:
    """What ended a run, for its receipt: of an error of our own its words, of any other its class alone."""
    receipt.exit_code = getattr(error, "exit_code", 1)
    receipt.error = str(error) if isinstance(error, MedsparkError | Stopped) else name_of(error)
    receipt.status = "failed" if isinstance(error, Exception) else "interrupted"


def save_receipt(run: Run) -> None:
    """Complete the receipt of a run that `open_receipt` began, or write that of one that never was; once only."""
    if run.here is not None:  # without Java, which may be dead by now
        save_receipt_here(run.here, run.receipt)
    else:
        write_text(run.context, _receipt_path(run), _completed(run.receipt).to_json())


def as_own_run(run: Run, store: str, command: str, more: dict[str, Any], work: Callable[[Run], object]) -> Run:
    """Do some work as a run of its own, in a store and with a receipt of its own, within another's; errors are the
    work's."""
    receipt = Receipt(command, new_run_id(), {**run.receipt.arguments, **more})
    own = replace(run, store=store, receipt=receipt, holds_lock=False, before_publishing=[], published=set())
    open_receipt(own)
    try:
        work(own)
        receipt.exit_code = 0
    except BaseException as error:
        note_failure(own.receipt, error)
        raise
    finally:
        save_receipt(own)
    return own


def save_receipt_here(here: Path, receipt: Receipt) -> None:
    """The same of a store on this machine, where there need be no run yet."""
    replace_here(_receipt_here(here, receipt), _completed(receipt).to_json())


def _completed(receipt: Receipt) -> Receipt:
    receipt.finished_at = now()
    if receipt.status == "running":
        receipt.status = "done" if receipt.error is None else "failed"
    return receipt


def _receipt_here(here: Path, receipt: Receipt) -> Path:
    return here / RUNS / f"{receipt.run_id}.json"


def _receipt_path(run: Run) -> str:
    return f"{run.store}/{RUNS}/{run.receipt.run_id}.json"


def local_path(place: str) -> Path:
    """A store or folder as a path of this machine, where other programs than Spark read and write.

    Raises:
        InputError: it is on another file system.
    """
    if is_elsewhere(place):
        raise InputError(f"expected a folder on this machine's file system, received {place}")
    return Path(place.removeprefix("file:")).resolve()
