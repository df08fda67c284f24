"""The bundle: the only thing that passes from training to scoring. Immutable, verified, addressed by content.

A directory with the files below and manifest.json, which has each file's digest and is written last. It is made
aside and moved into place, so a bundle is whole or it is not there. Nothing in it is a pickle, or leads out of it. No
Spark here.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from medspark.bundles.archives import archive_problems
from medspark.bundles.manifest import (
    FORMAT,
    MANIFEST,
    MOST_BYTES,
    id_of,
    id_of_files,
    read_manifest,
    require_expected,
)
from medspark.errors import BundleError
from medspark.task.load import load_frozen_task
from medspark.task.tasks import Task

TASK: Final = "task.yaml"
SCHEMA: Final = "schema.json"
STATISTICS: Final = "statistics.json"
KERAS: Final = "model.keras"
LITERT: Final = "model.tflite"
CALIBRATION: Final = "calibration.json"
UNCERTAINTY: Final = "uncertainty.json"
BUNDLES: Final = "bundles"
"""The folder of a store that has its bundles."""
METRICS: Final = "metrics.json"
REPORT: Final = "report.html"
EXPLAIN: Final = "explain.tflite"
EXPLAIN_FACTS: Final = "explain.json"
"""What explains scores; absent in bundles from before, and the network where LiteRT cannot run it. Neither decides a
score."""

SCORED_BY: Final = (TASK, SCHEMA, STATISTICS, KERAS, LITERT, CALIBRATION, UNCERTAINTY)
"""The files that decide a score, and what stands beside it. LiteRT's may be absent, and the last in older bundles."""
MONITOR: Final = "monitor.json"
"""What later nights are compared with; bundles from before it came have none."""
REQUIRED: Final = (TASK, SCHEMA, STATISTICS, KERAS, CALIBRATION, METRICS, REPORT)


class Bundle(NamedTuple):
    """A bundle whose every file has been read and found to be what was written."""

    path: Path
    bundle_id: str
    manifest: dict[str, Any]
    task: Task

    def read_bytes(self, name: str) -> bytes:
        """A file's bytes, compared once more with what was written.

        Raises:
            BundleError: it was altered since the bundle was opened.
        """
        content = (self.path / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != self.manifest["files"][name]:
            raise BundleError(f"{self.path}: {name} was altered since the bundle was opened")
        return content

    def read_text(self, name: str) -> str:
        return self.read_bytes(name).decode("utf-8")

    def read_json(self, name: str) -> Any:
        return json.loads(self.read_bytes(name))


def decides_scores(folder: Path) -> str:
    """One digest for the files that decide a score: alike in bundles that score alike. 16 hexadecimal digits."""
    return id_of_files(_digests(folder), SCORED_BY)


def save_bundle(
    parent: Path,
    write: Callable[[Path], dict[str, Any]],
    before: Callable[[], None] | None = None,
    aside: Path | None = None,
) -> Path:
    """Make a bundle below `parent` and return its path.

    Args:
        parent: a store's folder of bundles.
        write: fills the folder it is given and returns the facts for the manifest.
        before: called when all is written and nothing is shown; if it raises, nothing is kept.
        aside: a folder of the same file system in which it is written; `parent` itself where none is given.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=aside or parent))
    try:
        facts = write(folder)
        manifest = json.loads(json.dumps({"format": FORMAT, "files": _digests(folder), **facts}))
        bundle_id = id_of(manifest, SCORED_BY)
        text = json.dumps({"bundle_id": bundle_id, **manifest}, indent=1)
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        place = parent / bundle_id
        if place.exists():
            raise BundleError(f"{place} is there already; bundles are never changed")
        if before is not None:
            before()
        os.rename(folder, place)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return place


def load_bundle(path: str | Path, expect: str | None = None) -> Bundle:
    """Read a bundle and verify every file against the manifest.

    Args:
        path: its folder, named by its id, or a link to it.
        expect: the id that it must have; another one is refused before any other file is read.

    Raises:
        TaskError: what is expected is no id.
        BundleError: with every difference: a file missing, added or altered, a link, an archive that would grow, or
            another name, id or format.
    """
    folder = Path(path).resolve()
    if not is_plain(folder / MANIFEST):
        raise BundleError(f"{path} is no bundle: it has no {MANIFEST} that is a file of its own")
    with (folder / MANIFEST).open("rb") as file:
        manifest = read_manifest(file.read(MOST_BYTES + 1), str(path))
    bundle_id: str = manifest["bundle_id"]
    require_expected(bundle_id, expect, str(path))
    problems = [*_differences(folder, manifest["files"])]
    if not problems and id_of(manifest, SCORED_BY) != bundle_id:
        problems = [f"the id {bundle_id} is not the one of its files and its {MANIFEST}"]
    if manifest["format"] > 1 and folder.name != bundle_id:
        problems.append(f"the folder is named {folder.name!r}: expected its id, {bundle_id}. Rename it")
    if problems:
        raise BundleError(f"{path} is not the bundle that was written\n" + "\n".join(f"  - {p}" for p in problems))
    return Bundle(folder, bundle_id, manifest, load_frozen_task(folder / TASK))


def _differences(folder: Path, files: dict[str, str]) -> Iterator[str]:
    for name in sorted({*files, *REQUIRED}):
        path = folder / name
        if name not in files:
            yield f"{name} is not in the manifest"
        elif not os.path.lexists(path):
            yield f"{name} is missing"
        elif not is_plain(path):
            yield f"{name} is a link, or no file"
        elif file_digest(path) != files[name]:
            yield f"{name} was altered"
        else:
            yield from archive_problems(path)
    for item in sorted(folder.iterdir()):
        if item.name not in files and item.name != MANIFEST:
            yield f"{item.name} was added"


def is_plain(path: Path) -> bool:
    """Whether a path is a file that has no other name: no symbolic and no hard link, no device and no folder."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _digests(folder: Path) -> dict[str, str]:
    """The digest of each file of a folder, by its name."""
    return {path.name: file_digest(path) for path in sorted(folder.iterdir())}


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
