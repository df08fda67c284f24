"""What a run did, counted: `runs/RUN_ID.json`, written when it begins and completed when it ends. No Spark here."""

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Literal

from medspark.runs.process import Process, this_process

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RUNS: Final = "runs"
"""The folder of a store's receipts and logs."""
Status = Literal["running", "done", "failed", "interrupted", "broken off"]
"""Broken off: the run's process ended without a word, as when its machine fails; the next run says so."""
PACKAGES: Final = (
    "medspark",
    "pyspark",
    "pyarrow",
    "numpy",
    "pandas",
    "keras",
    "tensorflow",
    "ai-edge-litert",
    "scikit-learn",
    "pillow",
    "pydicom",
    "pylibjpeg-openjpeg",
    "python-gdcm",
)


def new_run_id() -> str:
    """A run's name: its time in UTC and four random digits, so that names sort as runs did."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:4]}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@lru_cache(maxsize=1)
def package_versions() -> dict[str, str]:
    """The versions of Python and of the packages a result depends on, those that are installed."""
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


@dataclass
class Receipt:
    """One run of one command. `counts` and `seconds` have an entry for each stage."""

    command: str
    run_id: str
    arguments: dict[str, Any]
    started_at: str = field(default_factory=now)
    versions: dict[str, str] = field(default_factory=lambda: dict(package_versions()))
    inputs: dict[str, "DataclassInstance"] = field(default_factory=dict)
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    unread: dict[str, list[str]] = field(default_factory=dict)
    """Columns of each table that nobody reads, and as `files` what no table of the mapping reads."""
    absent: list[str] = field(default_factory=list)
    """What training read and this source lacks, where the task only warns of it; what a store's source had and its new
    files lack."""
    foreign: dict[str, list[str]] = field(default_factory=dict)
    """What lies among a table's versions and was not made by this store: it is left alone."""
    bundle_id: str | None = None
    version: str | None = None
    """Of the tables that the run made, or found made, where it is not the run's own id: of scores their `run_id`."""
    made_by_run: str | None = None
    """The run that made the version, whose receipt says how, where this one found it made."""
    damaged: dict[str, list[str]] = field(default_factory=dict)
    """Versions that were not as they were published, and what of them."""
    verdict: str | None = None
    """Of the night, where it was judged: ok, warn or stop."""
    verdict_reasons: list[str] = field(default_factory=list)
    override: str | None = None
    """Why scores were published against the verdict."""
    status: Status = "running"
    broken_off: list[str] = field(default_factory=list)
    """Runs that ended before they could complete their receipts, which this one found and named."""
    completed: list[str] = field(default_factory=list)
    """Nights that earlier runs had left among the sinks."""
    process: Process = field(default_factory=this_process)
    finished_at: str | None = None
    error: str | None = None
    exit_code: int | None = None
    listeners: list[Callable[[str], None]] = field(default_factory=list, repr=False, compare=False)
    """Called with the name of each stage as it ends; no part of what is written."""

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds that the block takes to the stage's."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.monotonic() - start, 3)
            for listen in self.listeners:
                listen(stage)

    def count(self, stage: str, *counts: "DataclassInstance") -> None:
        """Note what a stage counted: dataclasses, whose fields stand beside one another."""
        self.counts[stage] = {name: value for part in counts for name, value in asdict(part).items()}

    def to_json(self) -> str:
        written = asdict(replace(self, listeners=[]))
        del written["listeners"]
        return json.dumps(written, indent=1, default=str)
