"""The task file: everything about one prediction, as closed and frozen models that mirror the YAML key for key.

`medspark.task.load.load_task(path)` reads one and adds the rules that cross sections. No Spark here.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from medspark.task.event_task import EventTask
from medspark.task.raw_table import Check, Closed, Column, Derived, Lookup, Name, RawTable, TableSource
from medspark.task.training import TaskBase
from medspark.task.yaml_text import write_yaml


class Exclusion(Closed):
    name: str
    when: str
    because: str


class Outcome(Closed):
    name: str
    when: str


class NumericFeature(Closed):
    column: str
    scaling: Literal["standard", "robust", "quantile", "none"] = "standard"
    impute: Literal["mean", "median", "zero"] | float = "median"
    missing_indicator: bool = False


class CategoricalFeature(Closed):
    column: str
    at_least: int = Field(default=20, ge=1)
    """Levels rarer than this in the training split are read as unknown."""


class CodesFeature(Closed):
    columns: tuple[str, ...] = Field(min_length=1, alias="from")
    at_least: int = Field(default=20, ge=1)


def _short_form(value: Any) -> Any:
    """A feature without settings of its own may be written as its column's name."""
    return {"column": value} if isinstance(value, str) else value


class Features(Closed):
    numeric: tuple[Annotated[NumericFeature, BeforeValidator(_short_form)], ...] = ()
    categorical: tuple[Annotated[CategoricalFeature, BeforeValidator(_short_form)], ...] = ()
    codes: dict[Name, CodesFeature] = Field(default_factory=dict)

    def columns(self) -> list[str]:
        """Every column that a feature reads, once, in the order of the task file."""
        names = [numeric.column for numeric in self.numeric]
        names += [categorical.column for categorical in self.categorical]
        names += [column for codes in self.codes.values() for column in codes.columns]
        return list(dict.fromkeys(names))


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


Task = TableTask | EventTask


def dump_task(task: Task) -> str:
    """The task as YAML, every setting written out, to be read by `read_yaml` again."""
    data = task.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(task, TableTask):
        for name, lookup in task.lookups.items():
            if lookup.entries is not None:  # a code whose meaning is missing keeps its null
                data["lookups"][name]["entries"] = dict(lookup.entries)
    return write_yaml(data)
