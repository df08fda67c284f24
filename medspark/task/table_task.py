"""A task whose source is a table with a row a case. No Spark here."""

from dataclasses import replace
from typing import Any, Final

from pydantic import Field, model_validator

from medspark.task.base import Closed, Name, unsaid
from medspark.task.columns import Column, ImageColumn, TextColumn
from medspark.task.features import Features
from medspark.task.outcome import Outcome
from medspark.task.raw_table import Check, Derived, Limits, Lookup, RawTable, TableSource
from medspark.task.training import TaskBase

IMAGE_MEMBERS: Final = 3
"""Of a network with images, where the task says none: each has a network of convolutions of its own."""


class Exclusion(Closed):
    name: str
    """What attrition calls it."""
    when: str
    """A condition on a row; a row for which it is true is no case."""
    because: str
    """The reason, for the report."""


class TableTask(TaskBase):
    """One prediction from a table with a row a case."""

    source: TableSource
    columns: dict[str, Column] = Field(min_length=1)
    derived: dict[str, Derived] = Field(default_factory=dict)
    lookups: dict[Name, Lookup] = Field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    limits: Limits | None = Field(default=None, exclude_if=unsaid)
    exclude: tuple[Exclusion, ...] = ()
    outcome: Outcome
    features: Features

    @model_validator(mode="before")
    @classmethod
    def _few_members_with_images(cls, data: Any) -> Any:
        """Members that share no weights judge the patients that they left out honestly, so with images they are few."""
        if not isinstance(data, dict):
            return data
        features, network = data.get("features"), data.get("network") or {}
        with_images = isinstance(features, dict) and features.get("images")
        if with_images and isinstance(network, dict):
            return {**data, "network": {"members": IMAGE_MEMBERS, **network}}
        return data

    def image_shapes(self) -> dict[str, tuple[int, int, int]]:
        """Height, width and channels of each column of images."""
        return {name: column.shape for name, column in self.columns.items() if isinstance(column, ImageColumn)}

    def raw_table(self) -> RawTable:
        """The table as cleaning reads it."""
        beside = self.beside
        columns = {name: column for name, column in self.columns.items() if name not in beside}
        whole = RawTable(self.task, self.source, columns, self.derived, self.lookups, self.checks)
        return replace(whole, limits=self.limits, beside=beside)

    @property
    def beside(self) -> dict[str, TextColumn]:
        """The columns that are looked up in files beside the source, which has none of them itself."""
        columns = self.columns.items()
        return {name: column for name, column in columns if isinstance(column, TextColumn) and column.fasta is not None}


def has_history(task: TaskBase) -> bool:
    """Whether features of a table's row read earlier rows."""
    return isinstance(task, TableTask) and task.features.history is not None
