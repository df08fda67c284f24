"""Whole histories cut into excerpts as long as a sequence: what encoders learn from without outcomes. No Spark here."""

import numpy as np
import pyarrow as pa

from medspark.cases.worker.concepts import group_names
from medspark.cases.worker.history import History, Ints, read_history
from medspark.cases.worker.windows import Cases, group_columns
from medspark.task.features import GroupColumn, SequenceGroup
from medspark.task.population import Concept


def make_excerpts(events: pa.Table, column: GroupColumn, concepts: dict[str, Concept]) -> pa.Table:
    """The sequences of whole patients: all their events of the column's group, `last` at a time from the newest back.

    Each is what a case would have at the time of its newest event: list<struct<code, hours_before, number>>, in a
    column of the same name.
    """
    assert isinstance(column.group, SequenceGroup)
    history = read_history(events)
    places, _ = group_names(history.codes, column.group.of, concepts)
    of_group = history.of_codes(places >= 0)
    ends = of_group.pick(_ends(of_group.subject, column.group.last))
    ends = _earliest_first(ends)
    (made,) = group_columns(history, Cases(ends.subject, ends.time), [column], concepts, included=True)
    return pa.table({column.name: made})


def _ends(subject: Ints, last: int) -> Ints:
    """Where excerpts end among events sorted by subject: of each subject the newest, and each `last` before it.

    >>> _ends(np.array([4, 4, 4, 4, 4, 7]), 2).tolist()
    [0, 2, 4, 5]
    """
    after = np.searchsorted(subject, subject, side="right")
    return np.flatnonzero((after - 1 - np.arange(len(subject))) % last == 0)


def _earliest_first(ends: History) -> History:
    """Each patient and time once."""
    return ends.pick(np.unique(ends.place, return_index=True)[1])
