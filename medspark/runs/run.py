"""One command at work."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import SparkSession
from rich.console import Console

from medspark.errors import InputError
from medspark.runs.console import spark_progress
from medspark.runs.receipt import Receipt
from medspark.spark.session import the_session
from medspark.store.files import is_elsewhere, write_text


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


def save_receipt(run: Run) -> None:
    """Write `runs/RUN_ID.json` in the store."""
    write_text(run.context, f"{run.store}/runs/{run.receipt.run_id}.json", run.receipt.to_json())


def local_path(place: str) -> Path:
    """A store or folder as a path of this machine, where other programs than Spark read and write.

    Raises:
        InputError: it is on another file system.
    """
    if is_elsewhere(place):
        raise InputError(f"expected a folder on this machine's file system, received {place}")
    return Path(place.removeprefix("file:")).resolve()
