"""A task whose source is events: many rows a patient, made into cases by an index event and windows. No Spark here."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator

from medspark.task.mapping import Mapping
from medspark.task.raw_table import Closed, Name
from medspark.task.training import TaskBase

HOURS_A_DAY = 24.0


class Connection(Closed):
    """A database, read through JDBC. The password is in the environment or a file, never in a task."""

    url: str
    """As jdbc:postgresql://host:5432/database, without user and password."""
    schema_: str | None = Field(default=None, alias="schema")
    user_variable: str | None = None
    password_variable: str | None = None
    """Names of environment variables."""
    credentials: str | None = None
    """A file with the lines user=... and password=..., in place of the two variables."""
    partitions: int = Field(default=8, ge=1)
    """Parallel reads of a table, by ranges of its subject."""
    fetch: int = Field(default=10_000, ge=1)
    """Rows a round trip."""


class EventSource(Closed):
    """Where the tables of a mapping lie."""

    kind: Literal["events"]
    mapping: str
    """The name of a mapping in conf/sources, or the path of one."""
    format: Literal["csv", "parquet", "orc", "delta", "catalog", "jdbc"]
    path: str | None = None
    """The folder of files or Delta tables; the catalog's database, such as hospital or hive.hospital."""
    database: Connection | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.format == "jdbc") != (self.database is not None):
            raise ValueError(f"expected `database` with format jdbc and only with it, received {self.format}")
        if (self.format == "jdbc") == (self.path is not None):
            raise ValueError(f"expected `path` with every format but jdbc, received format {self.format}")
        return self


class Concept(Closed):
    """A set of codes: given ones, those that begin alike, and in OMOP their descendants and what they map to."""

    codes: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    descendants: bool = False
    """With every descendant, by the mapping's table of ancestors; a code's last part is its concept's id."""
    mapped: bool = False
    """With the standard concepts that the given ones map to."""
    as_one: bool = False
    """Whether features take its codes for one code, named as the concept."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.codes and not self.prefixes:
            raise ValueError("expected codes or prefixes, received none")
        if (self.descendants or self.mapped) and not self.codes:
            raise ValueError("descendants and mapped are of codes, received none")
        return self


# ---------------------------------------------------------------- who, when, what


def _as_texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Index(Closed):
    """The event that makes a patient a case: each patient's first, or every one."""

    event: Annotated[tuple[str, ...], BeforeValidator(_as_texts), Field(min_length=1)]
    """One concept or several."""
    take: Literal["first", "every"] = "first"


class Snapshot(Closed):
    """Everybody with an event that was known by then, births, deaths and periods of observation aside, at fixed times;
    scoring puts its as-of time in their place."""

    at: tuple[str, ...] = Field(min_length=1)
    """Times such as 2015-01-01T00:00:00, UTC."""


class Required(Closed):
    """A criterion that a case must meet: an event of a concept in the days before its prediction time."""

    name: str
    had: str
    within_days: float | None = Field(default=None, gt=0)
    because: str


class Excluded(Closed):
    """A criterion that takes a case out: an event of a concept before its prediction time."""

    name: str
    had: str
    within_days: float | None = Field(default=None, gt=0)
    """Without it, ever before."""
    after_index: bool = False
    """Only events later than the index event: discharged or dead before the prediction time."""
    because: str


class Population(Closed):
    """Who is a case, and at what time a risk is asked for.

    Every criterion reads what was known at the prediction time, so that scoring at that time decides the same; the
    index event alone makes its case whenever it became known.
    """

    index: Index | None = None
    snapshot: Snapshot | None = None
    predict_after_hours: float = Field(default=0.0, ge=0)
    """From the index event to the prediction time."""
    age_at_least: float | None = Field(default=None, ge=0)
    age_at_most: float | None = Field(default=None, ge=0)
    """Years at the prediction time."""
    history_days: float | None = Field(default=None, gt=0)
    """Days under observation before the prediction time."""
    washout_days: float | None = Field(default=None, gt=0)
    """Days without another index event before this one."""
    require: tuple[Required, ...] = ()
    exclude: tuple[Excluded, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.index is None) == (self.snapshot is None):
            raise ValueError("expected either index or snapshot")
        if self.snapshot is not None and (self.predict_after_hours or self.washout_days):
            raise ValueError("predict_after_hours and washout_days are of an index event, received a snapshot")
        return self


class EventOutcome(Closed):
    """What is predicted: an event of a concept in the time at risk after the prediction time."""

    name: str
    event: str
    from_days: float = Field(default=0.0, ge=0)
    to_days: float | None = Field(default=None, gt=0)
    """Both ends included; an end left out is the end of what is known. An event at the prediction time itself
    counts only where `from_days` is 0 and the task leaves events at that time out of the features."""
    follow_up: Literal["keep_outcomes", "keep_all", "require_full"] = "keep_outcomes"
    """Patients not observed to the end of the time at risk: kept where the outcome was seen; all kept, without
    it taken for negative; all left out."""
    death: Literal["no_outcome", "outcome", "leave_out"] = "no_outcome"
    """A death after the prediction time, up to the end of the time at risk, without the outcome before it: full
    follow-up without the outcome; the outcome itself; or a reason to leave the case out. An outcome within a day
    after the death counts as before it, since deaths are often dates; a death that was not known at the prediction
    time counts as after it."""


class Clock(Closed):
    """The boundary between what is known and what is not."""

    at_prediction_time: Literal["included", "excluded"] = "included"
    """Whether an event at the very prediction time is part of the history."""


# ---------------------------------------------------------------- features


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, int | float) else value


class Window(Closed):
    """How far back from the prediction time: days, hours, or, with neither, the whole history."""

    look_back_days: Annotated[tuple[float, ...], BeforeValidator(_as_tuple)] = ()
    look_back_hours: Annotated[tuple[float, ...], BeforeValidator(_as_tuple)] = ()

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if any(length <= 0 for length in (*self.look_back_days, *self.look_back_hours)):
            raise ValueError("expected look-backs above 0")
        return self

    def windows(self) -> dict[str, float | None]:
        """Hours by the window's name: {"30d": 720.0}; {"all": None} for the whole history."""
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

    of: tuple[str, ...] = Field(min_length=1)
    """Names of concepts, or first parts of codes that end in "/", such as CONDITION/."""
    at_least: int = Field(default=20, ge=1)
    """Codes in fewer training cases than this are unknown."""
    most: int = Field(default=256, ge=1)
    """Codes a case that reach the network, the rarest first."""


class ValuesGroup(Window):
    """For each code seen in a window, some numbers."""

    of: tuple[str, ...] = Field(min_length=1)
    take: tuple[Take, ...] = Field(min_length=1)
    at_least: int = Field(default=20, ge=1)
    scaling: Literal["standard", "robust", "quantile", "none"] = "standard"


class SequenceGroup(Window):
    """The last events before the prediction time, in their order: code, hours before, number."""

    of: tuple[str, ...] = Field(min_length=1)
    last: int = Field(ge=1, le=4096)
    at_least: int = Field(default=20, ge=1)


class GridGroup(Closed):
    """A regular grid of numbers: one row a code, one column a step of time, the last step ends at the prediction."""

    of: tuple[str, ...] = Field(min_length=1)
    look_back_hours: float = Field(gt=0)
    every_hours: float = Field(gt=0)
    take: Literal["mean", "last", "min", "max", "count"] = "mean"
    at_least: int = Field(default=20, ge=1)

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
    values: dict[Name, ValuesGroup] = Field(default_factory=dict)
    sequences: dict[Name, SequenceGroup] = Field(default_factory=dict)
    grids: dict[Name, GridGroup] = Field(default_factory=dict)

    def columns(self) -> list[GroupColumn]:
        """The columns that the groups fill, one for each window: "labs_365d", "history_all", "vitals"."""
        found = [column for name, group in self.codes.items() for column in _windowed(name, "codes", group)]
        found += [column for name, group in self.values.items() for column in _windowed(name, "values", group)]
        found += [column for name, group in self.sequences.items() for column in _windowed(name, "sequence", group)]
        return found + [GroupColumn(name, "grid", grid, grid.look_back_hours) for name, grid in self.grids.items()]

    def reads(self) -> list[str]:
        """The concepts and first parts of codes that any group reads, once each."""
        return list(dict.fromkeys(name for column in self.columns() for name in column.group.of))


class EventTask(TaskBase):
    """One prediction from events."""

    source: EventSource
    mapping: Mapping | None = None
    """The mapping itself; read from `source.mapping` where a task does not hold it, as a bundle's does."""
    concepts: dict[Name, Concept] = Field(default_factory=dict)
    population: Population
    outcome: EventOutcome
    time: Clock = Clock()
    features: EventFeatures
