"""What a run needs of patients for a while: `STORE/.scratch/RUN_ID`, for the owner only, gone when the run is done.

A run that is killed leaves it. The next that takes the store's lock removes it: while it holds the lock, no other run
of the store is at work. A folder that bears the name of no run with a receipt is not ours, and stays.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from medspark.runs.receipt import RUNS
from medspark.runs.run import Run, local_path

SCRATCH: Final = ".scratch"


@contextmanager
def scratch(run: Run, name: str, above: Path | None = None) -> Iterator[str]:
    """An empty folder in the run's store until the block ends; the run holds the store's lock.

    Args:
        above: a folder of this machine alone, in the store's place.

    Raises:
        InputError: the store is not on this machine's file system.
    """
    mine = (above or local_path(run.store)) / SCRATCH / run.receipt.run_id
    for place in (mine.parent, mine):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=f"{name}-", dir=mine)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for empty in (mine, mine.parent):
            with suppress(OSError):  # another block's is there
                empty.rmdir()


def remove_left_scratch(run: Run) -> None:
    """Remove what runs left that were killed; the run has just taken the lock of its store, here or elsewhere."""
    if run.here is None:
        return
    place = run.here / SCRATCH
    for folder in [] if place.is_symlink() else list(place.glob("*")):
        if folder.name != run.receipt.run_id and (run.here / RUNS / f"{folder.name}.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)  # no link is followed
    with suppress(OSError):
        place.rmdir()
