"""What is over once the days are that a deployment keeps its scores for: receipts and logs of runs, and kept nights.

A night lets go of it at its end, so that a store does not grow for ever. The ledger stays whole: it has an entry a run,
and no patient. So do the newest kept nights, however old: a gate compares the next one with them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from medspark.monitor.night import Night
from medspark.runs.process import Process, is_dead
from medspark.runs.receipt import RUNS
from medspark.runs.run import Run
from medspark.stages.kept_nights import MONITORING, SAMPLED, newest_compared
from medspark.store.files import delete, list_paths, read_text

_RUN_ID: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_PROCESS: Final = TypeAdapter(Process)


class Left(NamedTuple):
    """Something of a store, or of a sink, that nobody needs."""

    kind: str
    path: str
    because: str


def forget_old(run: Run, keep_days: int) -> None:
    """Delete what is over; the run holds the store's lock."""
    found = list(old_of(run, keep_days))
    for left in found:
        delete(run.context, left.path)
    if found:
        run.receipt.counts["forgotten"] = {"files": len(found)}


def old_of(run: Run, keep_days: int) -> Iterator[Left]:
    """What is left of runs that ended before the days that are kept, each run's receipt last: by it, the rest is known.

    Of receipts those alone are read whose names are of such a day. A night that the next one is compared with stays,
    and its receipt: it has counts, and no patient. Of samples those stay that are of the newest one's bundle.
    """
    before = f"{datetime.now(UTC) - timedelta(days=keep_days):%Y%m%dT%H%M%SZ}"
    receipts, nights, samples = (f"{run.store}/{name}" for name in (RUNS, f"{MONITORING}/nights", SAMPLED))
    paths = {folder: list_paths(run.context, folder) for folder in (receipts, nights, samples)}
    there = {(folder, path.rsplit("/", 1)[-1]) for folder, found in paths.items() for path in found}
    aged = any(folder == nights and name < before for folder, name in there)
    compared = newest_compared(_sound(run, paths[nights])) if aged else []
    needed = {f"{night.run_id}.json" for night in compared}
    sampled = {f"{night.run_id}.json" for night in compared if night.bundle_id == compared[0].bundle_id}
    for folder, name in sorted(there):
        run_id = name.removesuffix(".json")
        if folder != receipts or name == run_id or not _RUN_ID.fullmatch(run_id) or run_id >= before:
            continue
        of_run = (("night", nights, name), ("sample", samples, name), ("log", receipts, f"{run_id}.log"))
        stays = {"night", "receipt"} if name in needed else set()
        stays |= {"sample"} if name in sampled else set()
        parts = [part for part in (*of_run, ("receipt", receipts, name)) if part[0] not in stays]
        found = [(kind, f"{at}/{file}") for kind, at, file in parts if (at, file) in there]
        if found and _has_ended(run, f"{receipts}/{name}", run_id):
            yield from (Left(kind, path, f"of a run more than {keep_days} days ago") for kind, path in found)


def _sound(run: Run, paths: Sequence[str]) -> Iterator[Night]:
    """The nights of some files, the last first; a file that cannot be read is none, and not this run's to mend."""
    for path in reversed(paths):
        with suppress(ValueError):
            yield Night.model_validate_json(read_text(run.context, path))


def _has_ended(run: Run, path: str, run_id: str) -> bool:
    """Whether a receipt is of the run that its name says, and that run is at an end."""
    try:
        found: dict[str, Any] = json.loads(read_text(run.context, path))
        if found["run_id"] != run_id or run_id == run.receipt.run_id:
            return False
        return found["status"] != "running" or bool(is_dead(_PROCESS.validate_python(found["process"])))
    except (ValueError, KeyError, TypeError, ValidationError):
        return False
