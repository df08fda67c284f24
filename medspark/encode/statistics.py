"""What is fitted on the training split and nothing else: plain numbers, kept in the bundle as JSON. No Spark here.

Each class answers for its kind of feature: the columns it reads, the network's inputs it fills, what models make of
these, and its words in the report. So a new kind of input touches five places: its section in `task/features.py`, its
class here with its field in `Statistics`, its fit in `encode/fit`, its encoding in `encode/worker` (`ENCODERS`), and
its part in `train/networks` (`PARTS`) where none that is there serves.
"""

import json
from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from medspark.encode.inputs import Input, bag_of_codes, share_of_categories, share_of_numbers, together

TOKENS_PREFIX = "tokens_"
TIMES_PREFIX = "times_"
NUMBERS_PREFIX = "numbers_"
"""Before a sequence's name: the names of its three inputs."""

MISSING_ID = 0
UNKNOWN_ID = 1
FIRST_ID = 2
"""Ids of a vocabulary: 0 for missing (in a bag of codes: padding), 1 for unknown, then the entries in order."""

KNOTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""The deciles, and more of the upper tail: counts of past admissions have their signal there."""


# ---------------------------------------------------------------- a class for each kind of feature


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
    def reads(self) -> tuple[str, ...]:
        """The columns of cases that it reads."""

    def inputs(self) -> tuple[Input, ...]:
        """What it fills of the network's inputs, in their order."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ColumnStatistics(_Frozen):
    """A feature of one column of cases, whose name it has."""

    column: str

    @property
    def title(self) -> str:
        return self.column

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)


class NumericStatistics(_ColumnStatistics):
    """One numeric feature: value -> (value - center) / scale, or its place among the `knots`."""

    kind: ClassVar[str] = "numeric"

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

    @property
    def summary(self) -> str:
        return f"mean {self.mean:.4g}, sd {self.sd:.4g}; {self.scaling} scaling; missing becomes {self.impute:.4g}"

    def inputs(self) -> tuple[Input, ...]:
        return (share_of_numbers(1 + self.missing_indicator),)


class CategoricalStatistics(_ColumnStatistics):
    """One categorical feature: its levels, the commonest first, with how often each stood in the training split."""

    kind: ClassVar[str] = "categorical"

    levels: tuple[str, ...]
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
        return (share_of_categories(1, self.size),)


class CodesStatistics(_Frozen):
    """A bag of codes from several columns."""

    kind: ClassVar[str] = "codes"

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
        return (bag_of_codes(self.name, len(self.columns), self.size),)


class _GroupStatistics(_ColumnStatistics):
    """The codes of a column of events, the commonest first, with how many training cases have each."""

    codes: tuple[str, ...]
    counts: tuple[int, ...]
    rare: int
    """Cases with a code rarer than the task's `at_least`, once for each such code."""
    missing_share: float
    """Share of cases without a code."""

    @property
    def size(self) -> int:
        return len(self.codes) + FIRST_ID

    def _says(self, shape: str, rarer: str) -> str:
        return f"{len(self.codes)} codes {shape}; {self.rare:,} rarer ones {rarer}"


class BagStatistics(_GroupStatistics):
    """A bag of codes from a column of lists."""

    kind: ClassVar[str] = "bag"

    width: int
    """Codes a case that reach the network, the rarest first."""

    @property
    def summary(self) -> str:
        return self._says(f"(at most {self.width} a case)", "unknown")

    def inputs(self) -> tuple[Input, ...]:
        return (bag_of_codes(self.column, self.width, self.size),)


class ValuesStatistics(_GroupStatistics):
    """Some numbers of each code, `takes`: value -> (value - center) / scale, or its place among the `knots`."""

    kind: ClassVar[str] = "values"

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

    @property
    def summary(self) -> str:
        return self._says(f"x {len(self.takes)} numbers; {self.scaling} scaling", "left out")

    def inputs(self) -> tuple[Input, ...]:
        return (share_of_numbers(self.width),)


class SequenceStatistics(_GroupStatistics):
    """The last events: each number becomes (number - mean) / scale of its code."""

    kind: ClassVar[str] = "sequence"

    last: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def summary(self) -> str:
        return self._says(f"of the last {self.last} events", "unknown")

    def inputs(self) -> tuple[Input, ...]:
        """Its codes, its hours before and its numbers, event by event."""
        return (
            Input(TOKENS_PREFIX + self.column, self.last, "int32", self.size, part="sequence", plain="events"),
            Input(TIMES_PREFIX + self.column, self.last, "float32"),
            Input(NUMBERS_PREFIX + self.column, self.last, "float32"),
        )


class GridStatistics(_GroupStatistics):
    """Numbers of each code in steps of time: each becomes (number - mean) / scale of its code."""

    kind: ClassVar[str] = "grid"

    steps: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def width(self) -> int:
        return self.steps * 2 * len(self.codes)

    @property
    def summary(self) -> str:
        return self._says(f"x {self.steps} steps", "left out")

    def inputs(self) -> tuple[Input, ...]:
        return (Input(f"grid_{self.column}", self.width, "float32", len(self.codes), part="grid", plain="grid"),)


# ---------------------------------------------------------------- all of them


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

    def kinds(self) -> tuple[Sequence[FeatureStatistics], ...]:
        """The features of each kind, in the order of the network's inputs."""
        return (self.numeric, self.categorical, self.codes, self.values, self.bags, self.sequences, self.grids)

    def features(self) -> list[FeatureStatistics]:
        return [feature for features in self.kinds() for feature in features]

    def columns(self) -> list[str]:
        """The columns of cases that the network's inputs are made of, once each."""
        return list(dict.fromkeys(column for feature in self.features() for column in feature.reads))

    def inputs(self) -> list[Input]:
        """The network's inputs, the two shared ones first; one without features is left out."""
        return [found for found in self._every_input() if found.width > 0]

    def widths(self) -> dict[str, int]:
        """The length of each network input's array, by its name."""
        return {found.name: found.width for found in self.inputs()}

    def sizes(self) -> dict[str, int]:
        """The number of ids behind each input of ids, and of codes behind each grid, those without features too."""
        return {found.name: found.size for found in self._every_input() if found.size is not None}

    def _every_input(self) -> list[Input]:
        every = {shared.name: shared for shared in (share_of_numbers(0), share_of_categories(0, 0))}
        for feature in self.features():
            for share in feature.inputs():
                every[share.name] = together(every[share.name], share) if share.name in every else share
        return list(every.values())


def to_json(statistics: Statistics) -> str:
    return json.dumps(statistics.model_dump(mode="json"), indent=1, ensure_ascii=False)


def from_json(text: str) -> Statistics:
    return Statistics.model_validate_json(text)
