"""What a source comes to at a time, before any of it is scored or encoded."""

from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import DataFrame

from medspark.store.facts import EventCounts, RecordsRead, SourceRead, TableCounts


class Eligible(NamedTuple):
    """The eligible cases of a source at a time, and every other row with a reason."""

    cases: DataFrame
    excluded: DataFrame
    """`case_id`, `subject_id`, `file`, `line`, `reason` of cases that a criterion excludes."""
    quarantine: DataFrame
    read: SourceRead
    counts: TableCounts | EventCounts
    expected: Callable[[], int]
    """How many cases and rejected rows there must be in all."""
    earlier: RecordsRead | None = None
    """The records that are part of the cases' past, beside the source's own rows."""
