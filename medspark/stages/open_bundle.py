"""A bundle wherever it lies, verified."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from medspark.bundles.bundle import Bundle, load_bundle
from medspark.bundles.manifest import MANIFEST, read_manifest, require_expected
from medspark.errors import BundleError
from medspark.runs.run import Run, local_path
from medspark.sources.databases.packages import packages_of
from medspark.sources.fasta import require_fasta
from medspark.store.files import copy_to_local, exists, is_elsewhere, read_text
from medspark.task.tasks import Task


def open_bundle(run: Run, place: str, expect: str | None = None) -> Bundle:
    """The bundle of a folder on any file system; from elsewhere it is copied here for as long as this process lives.

    Args:
        run: what it is opened for.
        place: its folder.
        expect: the id that it must have, if one is known.

    Raises:
        TaskError: what is expected is no id.
        BundleError: it is none, not the expected one, or not as it was written.
    """
    if not is_elsewhere(place):
        return load_bundle(local_path(place), expect)
    if not exists(run.context, f"{place}/{MANIFEST}"):
        raise BundleError(f"{place} is no bundle: it has no {MANIFEST}")
    if expect is not None:  # before the rest is copied
        text = read_text(run.context, f"{place}/{MANIFEST}").encode()
        require_expected(read_manifest(text, place)["bundle_id"], expect, place)
    folder = Path(tempfile.mkdtemp(prefix="medspark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = folder / place.rstrip("/").rsplit("/", 1)[-1]
    copy_to_local(run.context, place.rstrip("/"), copy)
    try:
        return load_bundle(copy, expect)
    except BundleError as error:
        raise BundleError(str(error).replace(str(copy), place)) from None


def task_of_bundle(place: str, expect: str | None, arguments: dict[str, Any]) -> Task | None:
    """That of a bundle on this machine; None of one elsewhere, which Spark reads: too late for how Spark starts.

    Raises:
        TaskError: a file that its task reads beside the source is not there, unless tensors are scored.
    """
    if is_elsewhere(place):
        return None
    task = load_bundle(local_path(place), expect).task
    if arguments.get("tensors") is None:
        require_fasta(task, arguments.get("source"))
    return task


def packages_of_bundle(place: str, expect: str | None, arguments: dict[str, Any]) -> tuple[str, ...]:
    """Those that the session needs; the arguments and errors are those of `task_of_bundle`."""
    task = task_of_bundle(place, expect, arguments)
    return () if task is None else packages_of(task)
