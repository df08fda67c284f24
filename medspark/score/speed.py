"""How fast a network answers."""

from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from medspark.score.worker.engine import litert_engine

TIMED = 4096
"""Rows that are timed, fewer where they would be more than TIMED_BYTES."""
TIMED_BYTES = 2**28
LONG_SECONDS = 2.0
"""After so many there is no further time."""

Arrays = dict[str, npt.NDArray[np.generic]]


def to_time(sample: Arrays) -> Arrays:
    """TIMED rows, or as many as TIMED_BYTES hold, of a sample that is repeated as often as it takes."""
    row_bytes = sum(array[:1].nbytes for array in sample.values())
    rows = min(TIMED, max(1, TIMED_BYTES // max(1, row_bytes)))
    return {name: np.resize(array, (rows, array.shape[1])) for name, array in sample.items()}


def rows_per_second(path: Path, rows: Arrays) -> float | None:
    """How many rows LiteRT answers in a second by one thread: the best of five times, of fewer where they are long;
    None where there is no file."""
    if not path.exists():
        return None
    engine, best, began = litert_engine(path, num_threads=1), 0.0, perf_counter()
    for _ in range(5):
        start = perf_counter()
        best = max(best, len(engine(rows)) / (perf_counter() - start))
        if perf_counter() - began > LONG_SECONDS:
            break
    return best
