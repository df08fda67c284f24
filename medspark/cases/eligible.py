"""What a source comes to at a time, before any of it is scored or encoded."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import DataFrame

from medspark.store.facts import EventCounts, RecordsRead, SourceRead, TableCounts


class RecordFiles(NamedTuple):
    """Records in files on this machine, of which those are the cases that nothing excludes."""

    files: tuple[Path, ...]
    keys: dict[str, str | None]
    """The records' column that is a case's key, by the key; None where no record has one."""
    excluded: DataFrame | None
    """`file_name` and `row_index`, as Spark's `_metadata` has them, of records that a criterion excludes; None where
    there is no criterion."""


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
    files: RecordFiles | None = None
    """Where workers can read the cases too, and have but to read columns of records."""
