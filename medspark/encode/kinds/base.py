"""What the statistics of every kind of feature have in common. No Spark here."""

from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from medspark.encode.inputs import Input

MISSING_ID = 0
UNKNOWN_ID = 1
FIRST_ID = 2
"""Ids of a vocabulary: 0 for missing (in a bag of codes: padding), 1 for unknown, then the entries in order."""

KNOTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""The deciles, and more of the upper tail: counts of past admissions have their signal there."""

FAR = 30
"""Spreads from the median beyond which a value is worth a remark: a unit or a typing error, mostly."""
CONSTANT = "the same in all training cases"
LEFT_OUT = f"left out, {CONSTANT}"
NEARLY = "nearly constant, 99 in 100 values are the same"
REACHES_FAR = f"some values lie more than {FAR} spreads from the median"


class FeatureStatistics(Protocol):
    """What the statistics of a feature, of whatever kind, answer for."""

    kind: ClassVar[str]
    """The report's word for it."""

    @property
    def missing_share(self) -> float: ...

    @property
    def title(self) -> str:
        """Its name in the report."""

    @property
    def summary(self) -> str:
        """What the report says of it: levels and counts, never a patient's value."""

    @property
    def remark(self) -> str | None:
        """What is strange about its values in the training split, for console, receipt and report."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of cases that it reads."""

    def inputs(self) -> tuple[Input, ...]:
        """What it fills of the network's inputs, in their order."""


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OneValue(Frozen):
    """A feature that may be the same in all training cases: its weights would be random, so it is left out."""

    varies: bool = True
    """Whether it has more than one value or level in the training split, missing and rare levels as one each."""

    @property
    def remark(self) -> str | None:
        return None if self.varies else LEFT_OUT


class ColumnStatistics(Frozen):
    """A feature of one column of cases, whose name it has."""

    column: str

    @property
    def title(self) -> str:
        return self.column

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)
