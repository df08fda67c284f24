"""A file of what Spark computed of typed rows, looked through once: where which span's rows are. No Spark here."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medspark.clean.worker.staged import (
    AS_ASIDE,
    AT,
    BETWEEN,
    BROKEN,
    CHECKED,
    FAILED,
    LINES_OF_A_SPAN,
    RowGroup,
    put_places,
)


class Evaluated(NamedTuple):
    """What is known of a file."""

    parts: list[tuple[RowGroup, tuple[int, ...]]]
    """With the spans whose rows are there: of files that Spark read together, few of those between."""
    failing: Counter[str]
    """How many rows fail which checks that fail the run."""


def look_through(number: int, file: str, folder: str) -> Evaluated:
    """Put down the places of rows that checks alone set aside, and count those that fail the run."""
    parts, checked = [], [np.zeros(0, np.int64)]
    failing: Counter[str] = Counter()
    with pq.ParquetFile(file) as opened:
        for group in range(opened.num_row_groups):
            rows = opened.read_row_group(group, [AT, AS_ASIDE, BROKEN, FAILED], use_threads=False)
            at = rows[AT].to_numpy()
            if not len(at):
                continue
            parts.append((RowGroup(file, group), tuple(np.unique(at // LINES_OF_A_SPAN).tolist())))
            checked.append(rows.filter(pc.field(BROKEN).is_valid() & ~pc.field(AS_ASIDE))[AT].to_numpy())
            for found in pc.value_counts(rows[FAILED].drop_null()).to_pylist():
                failing.update(dict.fromkeys(found["values"].split(BETWEEN), found["counts"]))
    put_places(folder, CHECKED, number, np.concatenate(checked))
    return Evaluated(parts, failing)
