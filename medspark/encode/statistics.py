"""What is fitted on the training split and nothing else: plain numbers, kept in the bundle as JSON. No Spark here."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

NUMERIC = "numeric"
CATEGORIES = "categories"
CODES_PREFIX = "codes_"

MISSING_ID = 0
UNKNOWN_ID = 1
FIRST_ID = 2
"""Ids of a vocabulary: 0 for missing (in a bag of codes: padding), 1 for unknown, then the entries in order."""

KNOTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""The deciles, and more of the upper tail: counts of past admissions have their signal there."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NumericStatistics(_Frozen):
    """One numeric feature: value -> (value - center) / scale, or its place among the `knots`."""

    column: str
    scaling: Literal["standard", "robust", "quantile", "none"]
    center: float
    scale: float
    knots: tuple[float, ...]
    """The quantiles at KNOTS: what the quantile scaling maps to KNOTS, and what monitoring compares with."""
    impute: float
    missing_indicator: bool
    mean: float
    sd: float
    missing_share: float


class CategoricalStatistics(_Frozen):
    """One categorical feature: its levels, the commonest first, with how often each stood in the training split."""

    column: str
    levels: tuple[str, ...]
    counts: tuple[int, ...]
    rare: int
    """Cases with a level rarer than the task's `at_least`."""
    missing_share: float

    @property
    def size(self) -> int:
        return len(self.levels) + FIRST_ID


class CodesStatistics(_Frozen):
    """A bag of codes from several columns."""

    name: str
    columns: tuple[str, ...]
    codes: tuple[str, ...]
    counts: tuple[int, ...]
    rare: int
    missing_share: float
    """Share of cases without a code."""

    @property
    def size(self) -> int:
        return len(self.codes) + FIRST_ID


class Statistics(_Frozen):
    """All features' statistics, in the order of the network's inputs."""

    cases: int
    numeric: tuple[NumericStatistics, ...]
    categorical: tuple[CategoricalStatistics, ...]
    codes: tuple[CodesStatistics, ...]

    def sizes(self) -> dict[str, int]:
        """The number of ids behind each input of ids; categories share one table, one range of ids a feature."""
        sizes = {CODES_PREFIX + bag.name: bag.size for bag in self.codes}
        return {CATEGORIES: sum(feature.size for feature in self.categorical), **sizes}

    def columns(self) -> list[str]:
        """The columns of cases that the network's inputs are made of, once each."""
        names = [numeric.column for numeric in self.numeric]
        names += [categorical.column for categorical in self.categorical]
        return list(dict.fromkeys([*names, *(column for bag in self.codes for column in bag.columns)]))

    def widths(self) -> dict[str, int]:
        """The length of each network input's array, by its name; an input without features is left out."""
        indicators = sum(feature.missing_indicator for feature in self.numeric)
        widths = {NUMERIC: len(self.numeric) + indicators, CATEGORIES: len(self.categorical)}
        widths |= {CODES_PREFIX + bag.name: len(bag.columns) for bag in self.codes}
        return {name: width for name, width in widths.items() if width > 0}


def to_json(statistics: Statistics) -> str:
    return json.dumps(statistics.model_dump(mode="json"), indent=1, ensure_ascii=False)


def from_json(text: str) -> Statistics:
    return Statistics.model_validate_json(text)
