"""The bundle: the only thing that passes from training to scoring. Immutable, verified, addressed by content.

A directory with the files below and manifest.json, which has each file's digest and is written last. It is made
aside and moved into place, so a bundle is whole or it is not there. Nothing in it is a pickle. No Spark here.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from medspark.errors import BundleError
from medspark.task.load import load_frozen_task
from medspark.task.tasks import Task

TASK: Final = "task.yaml"
SCHEMA: Final = "schema.json"
STATISTICS: Final = "statistics.json"
KERAS: Final = "model.keras"
LITERT: Final = "model.tflite"
CALIBRATION: Final = "calibration.json"
METRICS: Final = "metrics.json"
REPORT: Final = "report.html"
MANIFEST: Final = "manifest.json"

SCORED_BY: Final = (TASK, SCHEMA, STATISTICS, KERAS, LITERT, CALIBRATION)
"""The files that decide a score: their digests are the bundle's id. LiteRT's may be absent."""
REQUIRED: Final = (TASK, SCHEMA, STATISTICS, KERAS, CALIBRATION, METRICS, REPORT)
FORMAT: Final = 1


class Bundle(NamedTuple):
    """A bundle whose every file has been read and found to be what was written."""

    path: Path
    bundle_id: str
    manifest: dict[str, Any]
    task: Task

    def read_json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))


def bundle_id_of(folder: Path) -> str:
    """The id of a bundle's files: 16 hexadecimal digits."""
    return _id_of(_digests(folder))


def _id_of(files: dict[str, str]) -> str:
    """The same, by the digest of each file."""
    digests = {name: files[name] for name in SCORED_BY if name in files}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:16]


def save_bundle(parent: Path, write: Callable[[Path], dict[str, Any]]) -> Path:
    """Make a bundle below `parent` and return its path.

    `write` fills the folder it is given and returns the facts for the manifest.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        facts = write(folder)
        files = _digests(folder)
        bundle_id = _id_of(files)
        manifest = {"format": FORMAT, "bundle_id": bundle_id, "files": files, **facts}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        place = parent / bundle_id
        if place.exists():
            raise BundleError(f"{place} is there already; bundles are never changed")
        os.rename(folder, place)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return place


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle and verify every file against the manifest.

    Raises:
        BundleError: with every difference: a file missing, added or altered, or another format.
    """
    path = Path(path)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files = dict(manifest["files"])
        bundle_id = str(manifest["bundle_id"])
    except FileNotFoundError:
        raise BundleError(f"{path} is no bundle: it has no {MANIFEST}") from None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: {MANIFEST} cannot be read: {error}") from None
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{path}: expected bundle format {FORMAT}, received {manifest.get('format')}")
    problems = list(_differences(path, files))
    if not problems and _id_of(files) != bundle_id:
        problems = [f"the id {bundle_id} is not the one of its files"]
    if problems:
        raise BundleError(f"{path} is not the bundle that was written\n" + "\n".join(f"  - {p}" for p in problems))
    return Bundle(path, bundle_id, manifest, load_frozen_task(path / TASK))


def _differences(path: Path, files: dict[str, str]) -> Iterable[str]:
    for name in sorted({*files, *REQUIRED}):
        if name not in files:
            yield f"{name} is not in the manifest"
        elif not (path / name).is_file():
            yield f"{name} is missing"
        elif file_digest(path / name) != files[name]:
            yield f"{name} was altered"
    for item in sorted(path.iterdir()):
        if item.name not in files and item.name != MANIFEST:
            yield f"{item.name} was added"


def _digests(folder: Path) -> dict[str, str]:
    """The digest of each file of a folder, by its name."""
    return {path.name: file_digest(path) for path in sorted(folder.iterdir())}


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
