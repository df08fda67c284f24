"""What a source comes to at a time, before any of it is scored or encoded."""

from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import DataFrame

from medspark.clean.by_workers import RowsToScore
from medspark.store.facts import EventCounts, RecordsRead, SourceRead, TableCounts


class CasesToScore(NamedTuple):
    """A table's rows where workers put them down, of which those are the cases that nothing excludes."""

    rows: RowsToScore
    keys: dict[str, str | None]
    """The records' column that is a case's key, by the key; None where no record has one."""


class Eligible(NamedTuple):
    """The eligible cases of a source at a time, and every other row with a reason.

    The frames are asked for where Spark is to read them: of rows that workers score it writes none.
    """

    read_cases: Callable[[], DataFrame]
    read_excluded: Callable[[], DataFrame]
    """`case_id`, `subject_id`, `file`, `line`, `reason` of cases that a criterion excludes."""
    read_quarantine: Callable[[], DataFrame]
    read: SourceRead
    counts: TableCounts | EventCounts
    expected: Callable[[], int]
    """How many cases and rejected rows there must be in all."""
    quarantined: int
    """Of these the rows that cleaning set aside."""
    earlier: RecordsRead | None = None
    """The records that are part of the cases' past, beside the source's own rows."""
    to_score: CasesToScore | None = None
    """Where workers can score the rows as they lie."""

    @property
    def cases(self) -> DataFrame:
        return self.read_cases()
