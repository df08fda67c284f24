"""The facts beside each table of a store: what the next stage must know, and the rules that made it."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from medspark.errors import AccountingError, InputError
from medspark.store.files import read_text, write_text
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task

FACTS = "_facts.json"


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
