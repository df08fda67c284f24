"""What is fitted on the training split and nothing else: plain numbers, kept in the bundle as JSON. No Spark here."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

NUMERIC = "numeric"
CATEGORIES = "categories"
CODES_PREFIX = "codes_"
TOKENS_PREFIX = "tokens_"
TIMES_PREFIX = "times_"
NUMBERS_PREFIX = "numbers_"
GRID_PREFIX = "grid_"
SEQUENCE_PREFIXES = (TOKENS_PREFIX, TIMES_PREFIX, NUMBERS_PREFIX)
"""Names of the network's inputs: the first two stand once, the others before a bag's, sequence's or grid's name."""

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


class _GroupStatistics(_Frozen):
    """The codes of a column of events, the commonest first, with how many training cases have each."""

    column: str
    codes: tuple[str, ...]
    counts: tuple[int, ...]
    rare: int
    """Cases with a code rarer than the task's `at_least`, once for each such code."""
    missing_share: float
    """Share of cases without a code."""

    @property
    def size(self) -> int:
        return len(self.codes) + FIRST_ID


class BagStatistics(_GroupStatistics):
    """A bag of codes from a column of lists."""

    width: int
    """Codes a case that reach the network, the rarest first."""


class ValuesStatistics(_GroupStatistics):
    """Some numbers of each code, `takes`: value -> (value - center) / scale, or its place among the `knots`."""

    takes: tuple[str, ...]
    scaling: Literal["standard", "robust", "quantile", "none"]
    center: tuple[tuple[float, ...], ...]
    scale: tuple[tuple[float, ...], ...]
    impute: tuple[tuple[float, ...], ...]
    """These three are (codes, takes)."""
    knots: tuple[tuple[tuple[float, ...], ...], ...] = ()
    """(codes, takes, KNOTS) of the quantile scaling; empty of the others, as thousands of codes make many."""

    @property
    def marks_presence(self) -> bool:
        """Whether each code has an indicator of its own: a count, or `present` itself, says as much."""
        return "present" not in self.takes and self.takes != ("count",)

    @property
    def width(self) -> int:
        return len(self.codes) * (len(self.takes) + self.marks_presence)


class SequenceStatistics(_GroupStatistics):
    """The last events: each number becomes (number - mean) / scale of its code."""

    last: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]


class GridStatistics(_GroupStatistics):
    """Numbers of each code in steps of time: each becomes (number - mean) / scale of its code."""

    steps: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def width(self) -> int:
        return self.steps * 2 * len(self.codes)


class Statistics(_Frozen):
    """All features' statistics, in the order of the network's inputs; the last four are of events."""

    cases: int
    numeric: tuple[NumericStatistics, ...]
    categorical: tuple[CategoricalStatistics, ...]
    codes: tuple[CodesStatistics, ...]
    values: tuple[ValuesStatistics, ...] = ()
    bags: tuple[BagStatistics, ...] = ()
    sequences: tuple[SequenceStatistics, ...] = ()
    grids: tuple[GridStatistics, ...] = ()

    def sizes(self) -> dict[str, int]:
        """The number of ids behind each input of ids, and of codes behind each grid.

        Categories share one table, one range of ids a feature.
        """
        sizes = {CATEGORIES: sum(feature.size for feature in self.categorical)}
        sizes |= {CODES_PREFIX + bag.name: bag.size for bag in self.codes}
        sizes |= {CODES_PREFIX + bag.column: bag.size for bag in self.bags}
        sizes |= {TOKENS_PREFIX + sequence.column: sequence.size for sequence in self.sequences}
        return sizes | {GRID_PREFIX + grid.column: len(grid.codes) for grid in self.grids}

    def columns(self) -> list[str]:
        """The columns of cases that the network's inputs are made of, once each."""
        names = [numeric.column for numeric in self.numeric]
        names += [categorical.column for categorical in self.categorical]
        names += [column for bag in self.codes for column in bag.columns]
        names += [group.column for group in (*self.values, *self.bags, *self.sequences, *self.grids)]
        return list(dict.fromkeys(names))

    def widths(self) -> dict[str, int]:
        """The length of each network input's array, by its name; an input without features is left out."""
        indicators = sum(feature.missing_indicator for feature in self.numeric)
        numbers = len(self.numeric) + indicators + sum(group.width for group in self.values)
        widths = {NUMERIC: numbers, CATEGORIES: len(self.categorical)}
        widths |= {CODES_PREFIX + bag.name: len(bag.columns) for bag in self.codes}
        widths |= {CODES_PREFIX + bag.column: bag.width for bag in self.bags}
        for sequence in self.sequences:
            widths |= {prefix + sequence.column: sequence.last for prefix in SEQUENCE_PREFIXES}
        widths |= {GRID_PREFIX + grid.column: grid.width for grid in self.grids}
        return {name: width for name, width in widths.items() if width > 0}


def dtype_of(name: str) -> Literal["float32", "int32"]:
    """The type of a network input by its name: ids are int32, all else is float32."""
    return "int32" if name.startswith((CATEGORIES, CODES_PREFIX, TOKENS_PREFIX)) else "float32"


def to_json(statistics: Statistics) -> str:
    return json.dumps(statistics.model_dump(mode="json"), indent=1, ensure_ascii=False)


def from_json(text: str) -> Statistics:
    return Statistics.model_validate_json(text)
