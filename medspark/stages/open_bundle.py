"""A bundle wherever it lies, verified."""

import atexit
import shutil
import tempfile
from pathlib import Path

from medspark.bundles.bundle import MANIFEST, Bundle, load_bundle
from medspark.errors import BundleError
from medspark.runs.run import Run, local_path
from medspark.stages.open_run import packages_of
from medspark.store.files import copy_to_local, exists, is_elsewhere


def open_bundle(run: Run, place: str) -> Bundle:
    """The bundle of a folder on any file system; from elsewhere it is copied here for as long as this process lives.

    Raises:
        BundleError: it is none, or not as it was written.
    """
    if not is_elsewhere(place):
        return load_bundle(local_path(place))
    if not exists(run.context, f"{place}/{MANIFEST}"):
        raise BundleError(f"{place} is no bundle: it has no {MANIFEST}")
    folder = Path(tempfile.mkdtemp(prefix="medspark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = folder / "bundle"
    copy_to_local(run.context, place, copy)
    try:
        return load_bundle(copy)
    except BundleError as error:
        raise BundleError(str(error).replace(str(copy), place)) from None


def packages_of_bundle(place: str) -> tuple[str, ...]:
    """Those of a bundle on this machine. One elsewhere is read by Spark: by then it is too late for packages."""
    return () if is_elsewhere(place) else packages_of(load_bundle(local_path(place)).task)
