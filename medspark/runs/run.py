"""What every stage shares: the command at work, and the facts beside each table of a store.

Beside each table lies what the next stage must know: the counts, and a digest of the rules that made it, so that
records cleaned by one task file are never taken for those of another.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession
from rich.console import Console

from medspark.errors import AccountingError, InputError
from medspark.runs.console import spark_progress
from medspark.runs.receipt import Receipt
from medspark.spark.session import the_session
from medspark.store.files import is_elsewhere, read_text, write_text
from medspark.task.event_task import EventTask
from medspark.task.table_task import Task

FACTS = "_facts.json"


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


def rules_digest(task: Task, sections: Iterable[str]) -> str:
    """A digest of some sections of a task; where the source lies is no rule, nor is how events are stored there."""
    data = task.model_dump(mode="json", include=set(sections))
    for key in ("path", "database", "format") if isinstance(task, EventTask) else ("path",):
        data.get("source", {}).pop(key, None)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def read_facts(context: SparkContext, path: str) -> dict[str, Any]:
    facts = json.loads(read_text(context, f"{path}/{FACTS}"))
    assert isinstance(facts, dict)
    return facts


def write_facts(context: SparkContext, path: str, facts: dict[str, Any]) -> None:
    write_text(context, f"{path}/{FACTS}", json.dumps(facts, indent=1))


def require_rules(facts: dict[str, Any], key: str, expected: str, stage: str) -> None:
    if facts.get(key) != expected:
        raise InputError(
            f"the store's tables were made by other rules than this task file's. Run `medspark {stage}` again first."
        )


def require_rows(spark: SparkSession, path: str, expected: int) -> None:
    found = spark.read.parquet(path).count()
    if found != expected:
        raise AccountingError(f"{path}: {expected} rows were to be written, {found} are there")


def local_path(place: str) -> Path:
    """A store or folder as a path of this machine, where other programs than Spark read and write.

    Raises:
        InputError: it is on another file system.
    """
    if is_elsewhere(place):
        raise InputError(f"expected a folder on this machine's file system, received {place}")
    return Path(place.removeprefix("file:")).resolve()
