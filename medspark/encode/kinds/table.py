"""The statistics of the features of a table: numbers, categories, bags of codes. No Spark here."""

from typing import ClassVar

from medspark.encode.inputs import Input, bag_of_codes, share_of_categories, share_of_numbers
from medspark.encode.kinds.base import (
    CONSTANT,
    FIRST_ID,
    KNOTS,
    LEFT_OUT,
    NEARLY,
    REACHES_FAR,
    ColumnStatistics,
    OneValue,
)
from medspark.task.features import Scaling
from medspark.task.spelling import Spelling


class NumericStatistics(ColumnStatistics, OneValue):
    """One numeric feature: value -> (value - center) / scale, or its place among the `knots`."""

    kind: ClassVar[str] = "numeric"

    scaling: Scaling
    center: float
    scale: float
    knots: tuple[float, ...]
    """The quantiles at KNOTS: what the quantile scaling maps to KNOTS, and what monitoring compares with."""
    impute: float
    missing_indicator: bool
    mean: float
    sd: float
    missing_share: float
    far: bool = False
    """Whether any value lies more than FAR spreads from the median."""

    @property
    def summary(self) -> str:
        return f"mean {self.mean:.4g}, sd {self.sd:.4g}; {self.scaling} scaling; missing becomes {self.impute:.4g}"

    @property
    def remark(self) -> str | None:
        if not self.varies:
            return f"{CONSTANT}: only whether it is missing is kept" if self.missing_indicator else LEFT_OUT
        if self.knots[0] == self.knots[KNOTS.index(0.99)]:
            return NEARLY
        return REACHES_FAR if self.far else None

    def inputs(self) -> tuple[Input, ...]:
        return (share_of_numbers(self.varies + self.missing_indicator),)


class CategoricalStatistics(ColumnStatistics, OneValue):
    """One categorical feature: its levels, the commonest first, with how often each stood in the training split."""

    kind: ClassVar[str] = "categorical"

    levels: tuple[Spelling, ...]
    counts: tuple[int, ...]
    rare: int
    """Cases with a level rarer than the task's `at_least`."""
    missing_share: float

    @property
    def size(self) -> int:
        return len(self.levels) + FIRST_ID

    @property
    def summary(self) -> str:
        return f"{len(self.levels)} levels; {self.rare:,} cases with a rarer one"

    def inputs(self) -> tuple[Input, ...]:
        return (share_of_categories(1, self.size),) if self.varies else ()


class CodesStatistics(OneValue):
    """A bag of codes from several columns."""

    kind: ClassVar[str] = "codes"

    name: str
    columns: tuple[str, ...]
    codes: tuple[Spelling, ...]
    counts: tuple[int, ...]
    rare: int
    missing_share: float
    """Share of cases without a code."""

    @property
    def size(self) -> int:
        return len(self.codes) + FIRST_ID

    @property
    def title(self) -> str:
        return f"{self.name} ({', '.join(self.columns)})"

    @property
    def summary(self) -> str:
        return f"{len(self.codes)} codes; {self.rare:,} rarer ones unknown"

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns

    def inputs(self) -> tuple[Input, ...]:
        return (bag_of_codes(self.name, len(self.columns), self.size),) if self.varies else ()
