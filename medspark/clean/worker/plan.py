"""What a worker must know of a table to judge its text: the rules of each column and its own. No Spark here."""

from collections.abc import Mapping
from typing import NamedTuple

from medspark.clean.worker.zones import Zone
from medspark.task.columns import Action, ColumnBase


class ColumnPlan(NamedTuple):
    """One column's rules by their names; what they are of, its declaration says."""

    name: str
    spec: ColumnBase
    dtype: str
    """The Spark type that it has in `records`."""
    rules: tuple[str, ...]
    """Of its steps, in their order: the first is of its type, if there is one."""
    required: str | None
    """The rule that a value is there; None where it need not be."""
    on_missing: Action
    action: Action
    normalised: str
    """The rule by which its text loses invisible letters."""
    missing: frozenset[str]
    entries: Mapping[str, str | None] | None = None
    """Of a look-up, what each code means."""


class TablePlan(NamedTuple):
    """A table's columns and what is asked of its rows."""

    source: str
    """The table's name, as the quarantine has it."""
    names: tuple[str, ...]
    """The file's columns, in their order."""
    columns: tuple[ColumnPlan, ...]
    """Those that are judged, in the file's order."""
    encoding: str
    delimiter: str
    header: bool
    zone: Zone
    point_zero: bool
    reasons: Mapping[str, str]
    """What each rule expects."""
    keys: tuple[tuple[str, ...], ...]
    """The columns that may tell two rows to be the same, of each question apart."""
    whole_row: bool
    """Whether rows are the same where their text is."""
    asked: frozenset[str]
    """The columns that checks and derived columns read."""
    evaluated: frozenset[str]
    """These, and those that criteria read."""
    derived: tuple[str, ...]
    """The columns that Spark computes, in their order; of what is scored EXCLUDED is the last, where there are
    criteria."""
    in_sql: bool
    """Whether Spark has something to compute: checks, derived columns or criteria."""
    decide_nothing: frozenset[str] = frozenset()
    """Columns that say nothing of whether a row is another table's."""

    @property
    def judged(self) -> list[str]:
        """The columns that are judged, by name."""
        return [column.name for column in self.columns]
