"""What the network sees: of a table its columns, of a history its windows. No Spark here."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator

from medspark.task.base import MOST_DAYS, Closed, Name, as_tuple, unsaid
from medspark.task.history import History
from medspark.task.spelling import Spelling

Scaling = Literal["smooth", "standard", "robust", "quantile", "none"]
"""smooth: from the median in spreads, drawn smoothly within 3 of them; standard: from the mean in standard deviations;
robust: from the median in spreads; quantile: the place among the training cases' quantiles."""

NUMERIC_TYPES = frozenset({"long", "integer", "double", "decimal", "interval", "boolean"})
LEVEL_TYPES = frozenset({"category", "string", "code", "boolean", "integer", "long"})
CODE_TYPES = frozenset({"code", "category", "string"})
ORDER_TYPES = frozenset({"date", "timestamp", "integer", "long"})
LETTER_TYPES = frozenset({"category", "string"})
IMAGE_TYPES = frozenset({"image"})


class Asked(NamedTuple):
    """A column that a feature of a table reads."""

    section: str
    """Of the task's features."""
    column: str
    types: frozenset[str]
    """What it may be, in the words of the task's columns."""


class NumericFeature(Closed):
    column: str
    """The column; a feature without settings may be its name alone."""
    scaling: Scaling = "smooth"
    """How the number becomes an input."""
    impute: Literal["mean", "median", "zero"] | float = "median"
    """What a missing number is replaced by: the mean or median of training, zero, or a number."""
    missing_indicator: bool = True
    """Whether a 0 or 1 beside the number says that it is missing, where a training case lacks it."""


class CategoricalFeature(Closed):
    column: str
    """The column; a feature without settings may be its name alone."""
    at_least: int = Field(default=20, ge=1)
    """Levels rarer than this in the training split are read as unknown."""


class CodesFeature(Closed):
    columns: tuple[str, ...] = Field(min_length=1, alias="from")
    """The columns whose codes are put into one bag."""
    at_least: int = Field(default=20, ge=1)
    """Codes of fewer training cases than this are unknown."""


class GeneFeature(Closed):
    """A sequence of nucleotides, letter by letter in IUPAC's code."""

    column: str = Field(alias="from")
    """The column with the letters."""
    length: int = Field(ge=1, le=100_000)
    """Letters that reach the network."""
    keep: Literal["start", "middle", "end"] = "start"
    """The part that is kept of a longer sequence; a shorter one lies there, with padding where it has no letter."""
    reverse_complement: bool = False
    """Whether a sequence and its reverse complement get the same risk, to the bit: both strands are read."""


Several = Literal["first", "last", "mean"]


class ImageFeature(Closed):
    columns: tuple[str, ...] = Field(min_length=1, alias="from")
    """The columns with the images."""
    several: Several = "first"
    """Of a case's images, in the order of the columns, the first or the last that is there; or all: each passes the
    same network, and what it makes of them is averaged."""


def _short_form(value: Any) -> Any:
    """A feature without settings of its own may be written as its column's name."""
    return {"column": value} if isinstance(value, str) else value


class Features(Closed):
    numeric: tuple[Annotated[NumericFeature, BeforeValidator(_short_form)], ...] = ()
    """Columns read as numbers."""
    categorical: tuple[Annotated[CategoricalFeature, BeforeValidator(_short_form)], ...] = ()
    """Columns read as levels."""
    codes: dict[Name, CodesFeature] = Field(default_factory=dict)
    """Bags of codes, each once, by a name of your own."""
    history: History | None = Field(default=None, exclude_if=unsaid)
    genes: dict[Name, GeneFeature] = Field(default_factory=dict, exclude_if=unsaid)
    """Sequences of letters, by a name of your own."""
    images: dict[Name, ImageFeature] = Field(default_factory=dict, exclude_if=unsaid)
    """Images, by a name of your own."""

    def asks(self) -> list[Asked]:
        """What each feature of the row itself reads, in the order of the task file."""
        asked = [Asked("numeric", numeric.column, NUMERIC_TYPES) for numeric in self.numeric]
        asked += [Asked("categorical", categorical.column, LEVEL_TYPES) for categorical in self.categorical]
        bags, images = self.codes.items(), self.images.items()
        asked += [Asked(f"codes.{name}", column, CODE_TYPES) for name, bag in bags for column in bag.columns]
        asked += [Asked(f"genes.{name}", gene.column, LETTER_TYPES) for name, gene in self.genes.items()]
        return asked + [Asked(f"images.{name}", column, IMAGE_TYPES) for name, one in images for column in one.columns]

    def asks_of_the_past(self) -> list[Asked]:
        """What features of earlier rows read, in the order of the task file."""
        if self.history is None:
            return []
        asked = [Asked("history.order_by", self.history.order_by, ORDER_TYPES)]
        asked += [Asked("history.last", column, NUMERIC_TYPES | LEVEL_TYPES) for column in self.history.last]
        bags = self.history.codes.items()
        return asked + [
            Asked(f"history.codes.{name}", column, CODE_TYPES) for name, bag in bags for column in bag.columns
        ]

    def columns(self) -> list[str]:
        """Every column of the row itself that a feature reads, once, in the order of the task file."""
        return list(dict.fromkeys(asked.column for asked in self.asks()))

    def reads(self) -> list[str]:
        """Every column of the source that a feature reads, of this row or of earlier ones, once."""
        return list(dict.fromkeys([*self.columns(), *(asked.column for asked in self.asks_of_the_past())]))

    def summary(self) -> str:
        """How many there are of each kind.

        >>> Features(numeric=("age",)).summary()
        '1 numeric, 0 categorical features, 0 bags of codes'
        >>> Features(history=History(order_by="at", last=("age",), count=True)).summary()
        '0 numeric, 0 categorical features, 0 bags of codes, 2 of earlier rows'
        """
        bags = f"{len(self.codes)} {'bag' if len(self.codes) == 1 else 'bags'} of codes"
        past = f", {self.history.features()} of earlier rows" if self.history is not None else ""
        genes = f", {len(self.genes)} {'gene' if len(self.genes) == 1 else 'genes'}" if self.genes else ""
        images = f", {len(self.images)} of images" if self.images else ""
        return f"{len(self.numeric)} numeric, {len(self.categorical)} categorical features, {bags}{genes}{images}{past}"


HOURS_A_DAY = 24.0


class Window(Closed):
    """How far back from the prediction time: days, hours, or, with neither, the whole history."""

    look_back_days: Annotated[tuple[float, ...], BeforeValidator(as_tuple)] = ()
    """One length or several, each a window of its own; without any the whole history."""
    look_back_hours: Annotated[tuple[float, ...], BeforeValidator(as_tuple)] = ()
    """The same in hours."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if any(length <= 0 for length in (*self.look_back_days, *self.look_back_hours)):
            raise ValueError("expected look-backs above 0")
        if any((hours or 0) > HOURS_A_DAY * MOST_DAYS for hours in self.windows().values()):
            raise ValueError(f"expected look-backs of up to {MOST_DAYS:,.0f} days")
        return self

    def windows(self) -> dict[str, float | None]:
        """Hours by the window's name, None for the whole history.

        >>> Window(look_back_days=(30, 0.5)).windows()
        {'30d': 720.0, '0.5d': 12.0}
        >>> Window().windows()
        {'all': None}
        """
        named = {f"{days:g}d": days * HOURS_A_DAY for days in self.look_back_days}
        named |= {f"{hours:g}h": hours for hours in self.look_back_hours}
        return dict(named) or {"all": None}


Take = Literal[
    "count", "present", "time_since", "time_since_first", "last", "first", "mean", "min", "max", "sd", "slope", "change"
]
"""Of a code's events in a window: count and present (1) of all; time_since the last and the first one, in hours;
of those with a number: the last, the first, mean, min, max, sd (population), slope (least squares, a day),
change (the last less the one before it)."""


class CodesGroup(Window):
    """A bag of the codes seen in a window, each once."""

    of: tuple[Spelling, ...] = Field(min_length=1)
    """Names of concepts, or first parts of codes that end in "/", such as CONDITION/."""
    at_least: int = Field(default=20, ge=1)
    """Codes in fewer training cases than this are unknown."""
    most: int = Field(default=256, ge=1, le=65_536)
    """Codes a case that reach the network, the rarest first."""


class ValuesGroup(Window):
    """For each code seen in a window, some numbers."""

    of: tuple[Spelling, ...] = Field(min_length=1)
    """Names of concepts, or first parts of codes that end in "/"."""
    take: tuple[Take, ...] = Field(min_length=1)
    """What is told of each code."""
    at_least: int = Field(default=20, ge=1)
    """Codes in fewer training cases than this are unknown."""
    scaling: Scaling = "smooth"
    """How the number becomes an input."""


class SequenceGroup(Window):
    """The last events before the prediction time, in their order: code, hours before, number."""

    of: tuple[Spelling, ...] = Field(min_length=1)
    """Names of concepts, or first parts of codes that end in "/"."""
    last: int = Field(ge=1, le=4096)
    """How many events, the newest."""
    at_least: int = Field(default=20, ge=1)
    """Codes in fewer training cases than this are unknown."""


class GridGroup(Closed):
    """A regular grid of numbers: one row a code, one column a step of time, the last step ends at the prediction."""

    of: tuple[Spelling, ...] = Field(min_length=1)
    """Names of concepts, or first parts of codes that end in "/"."""
    look_back_hours: float = Field(gt=0, le=HOURS_A_DAY * MOST_DAYS)
    """How far back the grid begins."""
    every_hours: float = Field(gt=0)
    """The length of a step."""
    take: Literal["mean", "last", "min", "max", "count"] = "mean"
    """Which of the numbers in one step."""
    at_least: int = Field(default=20, ge=1)
    """Codes in fewer training cases than this are unknown."""

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if (self.look_back_hours / self.every_hours) % 1:
            raise ValueError(f"expected look_back_hours in whole steps of {self.every_hours:g}")
        return self

    @property
    def steps(self) -> int:
        return int(self.look_back_hours / self.every_hours)


class GroupColumn(NamedTuple):
    """A column of cases that a group of features fills."""

    name: str
    kind: Literal["codes", "values", "sequence", "grid"]
    group: CodesGroup | ValuesGroup | SequenceGroup | GridGroup
    hours: float | None
    """How far back; None is the whole history."""


def _windowed(
    name: str, kind: Literal["codes", "values", "sequence"], group: CodesGroup | ValuesGroup | SequenceGroup
) -> list[GroupColumn]:
    return [
        GroupColumn(f"{name}_{window}".replace(".", "_"), kind, group, hours)
        for window, hours in group.windows().items()
    ]


class EventFeatures(Closed):
    """What the network sees of a history."""

    demographics: tuple[str, ...] = ()
    """age, in years, and the demographics that the mapping names."""
    codes: dict[Name, CodesGroup] = Field(default_factory=dict)
    """Bags of codes, by a name of your own."""
    values: dict[Name, ValuesGroup] = Field(default_factory=dict)
    """Numbers for each code, by a name of your own."""
    sequences: dict[Name, SequenceGroup] = Field(default_factory=dict)
    """The last events in their order, by a name of your own."""
    grids: dict[Name, GridGroup] = Field(default_factory=dict)
    """Numbers on a grid of time, by a name of your own."""

    def columns(self) -> list[GroupColumn]:
        """The columns that the groups fill, one for each window.

        >>> labs = CodesGroup(of=("LAB/",), look_back_days=(30, 365))
        >>> [column.name for column in EventFeatures(codes={"labs": labs}).columns()]
        ['labs_30d', 'labs_365d']
        """
        found = [column for name, group in self.codes.items() for column in _windowed(name, "codes", group)]
        found += [column for name, group in self.values.items() for column in _windowed(name, "values", group)]
        found += [column for name, group in self.sequences.items() for column in _windowed(name, "sequence", group)]
        return found + [GroupColumn(name, "grid", grid, grid.look_back_hours) for name, grid in self.grids.items()]

    def reads(self) -> list[str]:
        """The concepts and first parts of codes that any group reads, once each."""
        return list(dict.fromkeys(name for column in self.columns() for name in column.group.of))
