"""What a store has and what was done to it, from its receipts, its `CURRENT` and its bundles' manifests.

Nothing is written, no lock is taken and Spark is not started, so it may be asked while runs are at work.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from medspark.bundles.bundle import BUNDLES, METRICS, load_bundle
from medspark.errors import BundleError, InputError, TaskError
from medspark.runs.process import Process, is_dead
from medspark.runs.receipt import RUNS
from medspark.runs.run import local_path
from medspark.store.tables import is_parquet
from medspark.store.versions import CURRENT, StoreVersions


@dataclass(frozen=True)
class RunSeen:
    """A run by its receipt; `status` is also `unreadable`, as the receipt, and `broken off` before a later run says
    so."""

    run_id: str
    status: str
    command: str = ""
    of: str = ""
    """The bundle that it made or read, else its task file."""
    started_at: str = ""
    seconds: float | None = None
    """From its start to its end, or to now."""
    exit_code: int | None = None
    rows_in: int | None = None
    set_aside: int | None = None
    """Rows that broke a rule."""
    cases: int | None = None
    scored: int | None = None
    verdict: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class TableSeen:
    """A table's version in force; no rows where its files are not there or not as they were written."""

    table: str
    version: str
    versions: int
    """How many are kept, this one among them."""
    made_by: str
    """The bundle, of scores and tensors."""
    files: int
    size: int
    """Bytes."""
    rows: int | None


@dataclass(frozen=True)
class BundleSeen:
    """A bundle, every file of it compared with its manifest; `problem` where it is not as it was written."""

    bundle_id: str
    created_at: str = ""
    title: str = ""
    cases: int | None = None
    """Of the test split, as far as they may be told."""
    metric: str = ""
    """The name of the first of its metrics."""
    value: dict[str, float | None] | None = None
    """Of the network: value, low, high."""
    logistic_regression: dict[str, float | None] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class StoreSeen:
    store: str
    tables: list[TableSeen]
    bundles: list[BundleSeen]
    runs: list[RunSeen]
    """The newest first."""


def seen(place: str) -> list[StoreSeen]:
    """Every store that a folder is or has: a task's own, or the folder of several tasks' stores.

    Raises:
        InputError: it is neither, or on another file system.
    """
    folder = local_path(place)
    below = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    stores = [path for path in (folder, *below) if _is_store(path)]
    if not stores:
        raise InputError(f"{place}: expected a store or a folder of some, received none: no receipt in {RUNS}/")
    return [StoreSeen(str(path), list(_tables(path)), list(_bundles(path)), list(_runs(path))) for path in stores]


def _is_store(folder: Path) -> bool:
    return any((folder / RUNS).glob("*.json"))


# ---------------------------------------------------------------- runs


def _runs(store: Path) -> Iterator[RunSeen]:
    found = [_run_of(path) for path in (store / RUNS).glob("*.json")]
    yield from sorted(found, key=lambda run: (run.started_at, run.run_id), reverse=True)


def _run_of(receipt: Path) -> RunSeen:
    try:
        return _run(json.loads(receipt.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, OSError):  # being written, or its disk was full
        return RunSeen(receipt.stem, "unreadable")


def _run(receipt: dict[str, Any]) -> RunSeen:
    counts, arguments = receipt["counts"], receipt["arguments"]
    status = receipt.get("status", "not told")  # by a receipt from before there was one
    if status == "running" and is_dead(Process(**receipt["process"])):
        status = "broken off"
    read = counts.get("clean") or counts.get("score") or {}
    quarantined = read.get("quarantined")
    splits = counts.get("features", {}).get("splits") or {}
    return RunSeen(
        run_id=receipt["run_id"],
        status=status,
        command=receipt["command"],
        of=receipt.get("bundle_id") or str(arguments.get("task") or arguments.get("bundle") or ""),
        started_at=receipt["started_at"],
        seconds=_seconds(receipt, status),
        exit_code=receipt.get("exit_code"),
        rows_in=read.get("rows_in"),
        set_aside=sum(quarantined.values()) if quarantined is not None else None,
        cases=sum(split["cases"] for split in splits.values()) if splits else None,
        scored=counts.get("score", {}).get("scored"),
        verdict=receipt.get("verdict"),
        error=receipt.get("error"),
    )


def _seconds(receipt: dict[str, Any], status: str) -> float | None:
    end = receipt.get("finished_at") or (datetime.now(UTC).isoformat() if status == "running" else None)
    if end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(receipt["started_at"])).total_seconds()


# ---------------------------------------------------------------- tables


def _tables(store: Path) -> Iterator[TableSeen]:
    for name, (version, versions, made_by) in _in_force(store).items():
        folder = store / name / version
        files = [path for path in folder.rglob("*") if path.is_file() and is_parquet(str(path.relative_to(folder)))]
        size = sum(path.stat().st_size for path in files)
        yield TableSeen(name, version, versions, made_by, len(files), size, _rows(files))


def _in_force(store: Path) -> dict[str, tuple[str, int, str]]:
    """Of each table its version in force, how many are kept, and who made it.

    Raises:
        InputError: `CURRENT` is not as it was written.
    """
    place = store / CURRENT
    if not place.is_file():  # a store from before there was one: each table names its own
        old = {
            path.parent.name: path.read_text(encoding="utf-8").strip() for path in sorted(store.glob(f"*/{CURRENT}"))
        }
        kept = {name: sum(path.is_dir() for path in (store / name).iterdir()) for name in old}
        return {name: (version, kept[name], "") for name, version in old.items()}
    try:
        of_store: StoreVersions = TypeAdapter(StoreVersions).validate_json(place.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError):
        raise InputError(f"{place}: expected the versions of the store's tables, received something else") from None
    found = {}
    for name, table in sorted(of_store.items()):
        makers = {known.version: known.made_by for known in table.versions}
        if table.current is not None:
            published = sum(known.published for known in table.versions)
            found[name] = (table.current, published, makers.get(table.current, ""))
    return found


def _rows(files: list[Path]) -> int | None:
    """By the files' footers."""
    try:
        return sum(pq.read_metadata(path).num_rows for path in files) if files else None
    except (OSError, pa.ArrowException):
        return None


# ---------------------------------------------------------------- bundles


def _bundles(store: Path) -> Iterator[BundleSeen]:
    folders = (store / BUNDLES).iterdir() if (store / BUNDLES).is_dir() else ()
    found = [_bundle(path) for path in folders if path.is_dir() and not path.name.startswith(".")]
    yield from sorted(found, key=lambda bundle: (bundle.created_at, bundle.bundle_id), reverse=True)


def _bundle(folder: Path) -> BundleSeen:
    try:
        bundle = load_bundle(folder)
        metrics = bundle.read_json(METRICS)
    except (BundleError, TaskError, OSError, ValueError) as error:
        return BundleSeen(folder.name, problem=" ".join(str(error).split()))
    test = metrics["test"]
    plain = metrics.get("baselines", {}).get("logistic_regression") or {}
    metric = "auroc" if "auroc" in test["metrics"] else next(iter(test["metrics"]), "")
    return BundleSeen(
        bundle_id=bundle.bundle_id,
        created_at=bundle.manifest["created_at"],
        title=bundle.task.title,
        cases=test["cases"] if isinstance(test["cases"], int) else None,
        metric=metric,
        value=_measured(test["metrics"], metric),
        logistic_regression=_measured(plain.get("metrics", {}), metric),
    )


def _measured(metrics: dict[str, Any], name: str) -> dict[str, float | None] | None:
    found = metrics.get(name)
    return {end: found[end] for end in ("value", "low", "high")} if found is not None else None
