"""What a source comes to at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pyspark.sql import DataFrame


class Eligible(NamedTuple):
    """What a source comes to at a time: its eligible cases, and every other row with a reason."""

    cases: DataFrame
    excluded: DataFrame
    """`case_id`, `subject_id`, `file`, `line`, `reason` of cases that a criterion excludes."""
    quarantine: DataFrame
    fingerprint: str
    inputs: dict[str, Any]
    """Where the source lies and what it is, for the receipt."""
    counts: dict[str, Any]
    expected: Callable[[], int]
    """How many cases and rejected rows there must be in all."""
