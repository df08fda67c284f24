"""Links of a source that lead nowhere, which Hadoop's listing leaves out without a word."""

import glob
import os
from pathlib import Path

from pyspark import SparkContext

from medspark.errors import InputError
from medspark.store.files import full_path


def require_no_dangling(context: SparkContext, path: str, folder: str | None = None) -> None:
    """Refuse a source on this machine that has links to what is not there.

    Args:
        path: a file, a folder or a pattern.
        folder: what the path is below, and no pattern.

    Raises:
        InputError: naming the links.
    """
    whole = path if folder is None else f"{folder}/{path}"
    here = full_path(context, folder if folder is not None else whole)
    if not here.startswith("file:"):
        return
    top = here.removeprefix("file:")
    place = top if folder is None else f"{top}/{path}"
    pattern = place if folder is None else f"{glob.escape(top)}/{path}"
    found = [place] if os.path.lexists(place) else glob.glob(pattern)
    links = sorted(link for match in found for link in _dangling(Path(match)))
    if links:
        raise InputError(
            f"{whole}: expected files, received links to what is not there: {', '.join(links)}. "
            "Is a disk not mounted? Restore what they point to, or remove them."
        )


def _dangling(place: Path) -> list[str]:
    below = [Path(top, name) for top, folders, files in os.walk(place) for name in (*folders, *files)]
    return [str(path) for path in (place, *below) if path.is_symlink() and not path.exists()]
