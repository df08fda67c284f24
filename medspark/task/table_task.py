"""A task whose source is a table with a row a case. No Spark here."""

from pydantic import Field

from medspark.task.base import Closed, Name
from medspark.task.columns import Column
from medspark.task.features import Features
from medspark.task.outcome import Outcome
from medspark.task.raw_table import Check, Derived, Lookup, RawTable, TableSource
from medspark.task.training import TaskBase


class Exclusion(Closed):
    name: str
    when: str
    because: str


class TableTask(TaskBase):
    """One prediction from a table with a row a case."""

    source: TableSource
    columns: dict[str, Column] = Field(min_length=1)
    derived: dict[str, Derived] = Field(default_factory=dict)
    lookups: dict[Name, Lookup] = Field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    outcome: Outcome
    features: Features

    def raw_table(self, optional: frozenset[str] = frozenset()) -> RawTable:
        return RawTable(
            self.task, self.source, self.columns, self.derived, self.lookups, self.checks, optional=optional
        )


def has_history(task: TaskBase) -> bool:
    """Whether features of a table's row read earlier rows."""
    return isinstance(task, TableTask) and task.features.history is not None
