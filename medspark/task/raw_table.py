"""How a raw table is read and judged: its columns' kinds and rules, look-ups, checks across columns. No Spark here.

Closed and frozen models that mirror the YAML key for key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Action = Literal["set_aside", "missing", "fail"]
"""What a violation does: quarantine the row, empty the value and count it, or end the run."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=80)]


class Closed(BaseModel):
    """A section of the task file: an unknown key is an error and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


# ---------------------------------------------------------------- columns


class Range(Closed):
    """Allowed values, both ends included; written `[1, 14]`, with `null` for an open end."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2:
            return {"low": value[0], "high": value[1]}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("expected at least one end, as in [0, 120] or [0, null]")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected the lower end first, received [{self.low:g}, {self.high:g}]")
        return self


class Scale(Closed):
    """A linear conversion: value * factor + offset."""

    factor: float = 1.0
    offset: float = 0.0

    @model_validator(mode="before")
    @classmethod
    def _from_factor(cls, value: Any) -> Any:
        return {"factor": value} if isinstance(value, int | float) else value


class Units(Closed):
    """How a column that mixes units is brought to one: the column that names each row's unit, and the conversions."""

    column: str
    to_unit: dict[str, Scale] = Field(min_length=1)
    when_missing: str | None = None
    """The unit of a row that names none; without it such a row breaks the rule."""


class ColumnBase(Closed):
    missing: tuple[str, ...] = ()
    """Spellings of a missing value, besides the source's and the empty one; compared exactly."""
    required: bool = False
    otherwise: Action = "set_aside"
    """What happens to a value that cannot be read as the type, or breaks a rule of this column."""


class NumberColumn(ColumnBase):
    type: Literal["long", "integer", "double", "decimal"]
    unit: str | None = None
    range: Range | None = None
    units: Units | None = None
    precision: int = Field(default=18, ge=1, le=38)
    scale: int = Field(default=4, ge=0, le=38)


class IntervalColumn(ColumnBase):
    """Text such as "[70-80)", read as the middle of the interval."""

    type: Literal["interval"]
    unit: str | None = None
    range: Range | None = None


class BooleanColumn(ColumnBase):
    type: Literal["boolean"]
    true_values: tuple[str, ...] = ("true",)
    false_values: tuple[str, ...] = ("false",)


class CategoryColumn(ColumnBase):
    type: Literal["category"]
    levels: tuple[str, ...] | None = None
    lookup: str | None = None
    """A look-up table of this task: its value takes the code's place."""


class TextColumn(ColumnBase):
    type: Literal["string"]
    matches: str | None = None
    """A regular expression (Java's) that the whole value must match."""


class CodeColumn(ColumnBase):
    type: Literal["code"]
    system: Literal["ICD9CM", "ICD10CM"]
    roll_up: Literal["none", "category"] = "none"


class DateColumn(ColumnBase):
    type: Literal["date", "timestamp"]
    format: str
    """A Spark datetime pattern, such as yyyy-MM-dd or yyyy-MM-dd HH:mm:ss."""


Column = Annotated[
    NumberColumn | IntervalColumn | BooleanColumn | CategoryColumn | TextColumn | CodeColumn | DateColumn,
    Field(discriminator="type"),
]


class Derived(Closed):
    """A column computed from the others by a Spark SQL expression, after their own rules have run."""

    type: Literal["double", "long", "category", "boolean", "timestamp"]
    expression: str


# ---------------------------------------------------------------- source and cleaning


class Duplicates(Closed):
    """Rows alike in `same` are one row written again; `keep` says which of them counts."""

    same: Literal["whole_row"] | tuple[str, ...]
    keep: Literal["first", "latest", "earliest"] = "first"
    by: str | None = None
    """The column that orders them for latest and earliest; ties go by file and line."""


class TableSource(Closed):
    """One row per case."""

    kind: Literal["table"]
    path: str
    format: Literal["csv", "json", "ndjson", "parquet", "orc"]
    case: str
    subject: str
    time: str | None = None
    """The column with the prediction time, where the source has one."""
    timezone: str = "UTC"
    """The IANA zone of timestamps written without one; stored times are UTC."""
    missing: tuple[str, ...] = ()
    encoding: Literal["utf-8", "iso-8859-1", "windows-1252"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = True
    point_zero: bool = False
    """Whether whole numbers may be written 263.0, as programs write them that have gaps in the column."""
    quoted_newlines: bool = False
    """Whether a quoted CSV field may run over several lines; then a file is read by one task."""
    duplicates: Duplicates | None = None


class Lookup(Closed):
    """A code table: the columns `key` and `value` of a CSV file, or the pairs themselves in `entries`.

    A file may hold several tables under one another: the one whose header has `key` and `value` is read,
    down to the next empty line.
    """

    path: str | None = None
    key: str | None = None
    value: str | None = None
    missing: tuple[str, ...] = ()
    entries: dict[str, str | None] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        from_file = self.path is not None and self.key is not None and self.value is not None
        if from_file == (self.entries is not None):
            raise ValueError("expected either path, key and value, or entries")
        return self


class Check(Closed):
    """A rule across columns: a row for which `expect` is false breaks it (unknown, from a null, passes)."""

    name: str
    expect: str
    otherwise: Literal["set_aside", "fail"] = "set_aside"


@dataclass(frozen=True)
class RawTable:
    """One raw table as cleaning sees it, whether a task or a mapping of a warehouse declares it."""

    name: str
    source: TableSource
    columns: Mapping[str, Column]
    derived: Mapping[str, Derived] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    is_open: bool = False
    """Whether the source may have columns beyond the declared ones, which are then passed over, in any order."""
    optional: frozenset[str] = frozenset()
    """Columns that the source may lack; of an open table they are then missing in every row."""
