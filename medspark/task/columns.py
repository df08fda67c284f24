"""The kinds of column of a raw table, each with its rules."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from medspark.task.base import Closed, DateRange, Range, unsaid
from medspark.task.spelling import BY_SPELLING, Spelling

Action = Literal["set_aside", "missing", "fail"]
"""What a violation does: quarantine the row, empty the value and count it, or end the run."""


class Scale(Closed):
    """A linear conversion: value * factor + offset."""

    factor: float = 1.0
    """What a value is multiplied by."""
    offset: float = 0.0
    """What is then added."""

    @model_validator(mode="before")
    @classmethod
    def _from_factor(cls, value: Any) -> Any:
        return {"factor": value} if isinstance(value, int | float) else value


class Units(Closed):
    """How a column that mixes units is brought to one: the column that names each row's unit, and the conversions."""

    column: str
    """The column with each row's unit."""
    to_unit: Annotated[dict[Spelling, Scale], BY_SPELLING] = Field(min_length=1)
    """The conversion of each unit into `unit`: a factor, or factor and offset."""
    when_missing: Spelling | None = None
    """The unit of a row that names none; without it such a row breaks the rule."""


class ColumnBase(Closed):
    missing: tuple[Spelling, ...] = ()
    """Spellings of a missing value, besides the source's and the empty one; compared exactly."""
    required: bool = False
    """Whether a row without a value breaks the rule."""
    otherwise: Action = "set_aside"
    """What happens to a value that cannot be read as the type, or breaks a rule of this column."""


class NumberColumn(ColumnBase):
    type: Literal["long", "integer", "double", "decimal"]
    """long and integer are whole numbers of 64 and 32 bits; a decimal has digits of its own."""
    unit: str | None = None
    """The unit, for people; with `units` the one that all values are brought to."""
    range: Range | None = None
    """The possible values, after conversion."""
    units: Units | None = None
    precision: int = Field(default=18, ge=1, le=38)
    """Of a decimal: digits in all."""
    scale: int = Field(default=4, ge=0, le=38)
    """Of a decimal: digits after the point."""


class IntervalColumn(ColumnBase):
    """Text such as "[70-80)", read as the middle of the interval."""

    type: Literal["interval"]
    """An interval."""
    unit: str | None = None
    """The unit, for people."""
    range: Range | None = None
    """The possible values of an interval's middle."""


class BooleanColumn(ColumnBase):
    type: Literal["boolean"]
    """Yes or no."""
    true_values: tuple[Spelling, ...] = ("true",)
    """Spellings of yes."""
    false_values: tuple[Spelling, ...] = ("false",)
    """Spellings of no."""

    @property
    def counts(self) -> bool:
        """Whether a source's own numbers 1 and 0 are true and false: no number is declared to be either."""
        return not any(text.strip("+-").isdecimal() for text in (*self.true_values, *self.false_values))


class CategoryColumn(ColumnBase):
    type: Literal["category"]
    """One of some levels."""
    levels: tuple[Spelling, ...] | None = None
    """The possible levels; without them every one is."""
    lookup: str | None = None
    """A look-up table of this task: its value takes the code's place."""


class TextColumn(ColumnBase):
    type: Literal["string"]
    """Text, or a key."""
    matches: str | None = None
    """A regular expression (Java's) that the whole value must match."""
    fasta: str | None = Field(default=None, exclude_if=unsaid)
    """A FASTA file, or a folder or pattern of some: the source has no such column, it is the sequence of the id in
    another one. A relative path is beside the source. The file is read each time the source is, when scoring too."""
    id: str | None = Field(default=None, exclude_if=unsaid)
    """The source's column with the ids of `fasta`."""

    @model_validator(mode="after")
    def _id_of_a_sequence(self) -> Self:
        if (self.fasta is None) != (self.id is None):
            raise ValueError("expected fasta and id together: the file, and the column that has the ids of its records")
        return self


class CodeColumn(ColumnBase):
    type: Literal["code"]
    """A diagnosis code, in one spelling: with its dot, in upper case."""
    system: Literal["ICD9CM", "ICD10CM"]
    """Which codes they are."""
    roll_up: Literal["none", "category"] = "none"
    """Whether a code is cut to its category, the part before the dot."""


TWO_DIGITS: Final = re.compile("(?<!y)yy(?!y)")
"""In a datetime pattern: a year without its century, which Spark takes for one from 2000 to 2099."""
AS_IT_STANDS: Final = re.compile("(?<!y)(?:y|yyy)(?!y)")
"""In a datetime pattern: a year of however many digits, so that 45 is the year 45."""
READS_AS_IT_STANDS: Final = "reads a year as it stands, 45 as the year 45"
"""What a problem says of such a pattern; the tasks of older bundles have some, and read as they always did."""

_ZONE_LETTERS = frozenset("XxZzVO")
_MAY_HAVE_ZONE: Final = re.compile(r"\[[XxZzVO]+\]")

ISO_8601: Final = {"date": "yyyy-MM-dd", "timestamp": "yyyy-MM-dd[ ]['T']HH:mm[:ss[.SSSSSS]][XXX][XX][X]"}
"""How a date or a time is read that names no pattern. A time may end in Z or an offset; a day alone is no time."""


class DateColumn(ColumnBase):
    type: Literal["date", "timestamp"]
    """A day, or a time."""
    format: str = ""
    """A Spark datetime pattern, such as yyyy-MM-dd or yyyy-MM-dd HH:mm:ss; without it that of ISO_8601."""
    range: DateRange | None = Field(default=None, exclude_if=unsaid)
    """By the day that the source's zone had."""
    pivot_year: int | None = Field(default=None, ge=1800, le=2200, exclude_if=unsaid)
    """Of a pattern with `yy`: two digits are of the hundred years from this one."""

    @model_validator(mode="before")
    @classmethod
    def _by_iso(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("format"):
            return {**value, "format": ISO_8601.get(str(value.get("type")), "")}
        return value

    @property
    def letters(self) -> str:
        """The pattern without its quoted text."""
        return "".join(self.format.split("'")[::2])

    @property
    def first_year(self) -> int | None:
        """Of a pattern with `yy` the first of the hundred years that two digits are of, if it is told."""
        return self.range.century() if self.pivot_year is None and self.range is not None else self.pivot_year

    @property
    def has_zone(self) -> bool:
        """Whether the pattern, its quoted text aside, holds a time zone or an offset that every text has."""
        return bool(set(re.sub(r"\[[^\[\]]*\]", "", self.letters)) & _ZONE_LETTERS)

    @property
    def without_zone(self) -> str:
        """The pattern of a text without the zone or the offset that it may have."""
        return _MAY_HAVE_ZONE.sub("", self.format)

    @property
    def written(self) -> str:
        """The pattern to write a wall-clock time by, so that it is read again as it was."""
        return self.without_zone.replace("['T']", "")


Side = Annotated[int, Field(ge=8, le=1024)]


class ImageColumn(ColumnBase):
    """A path to an image, or its bytes: PNG, JPEG, NPY or DICOM, made one size and 8 bits while it is cleaned."""

    type: Literal["image"]
    """An image."""
    folder: str | None = None
    """What paths are relative to and may not lead out of; without it the folder that the source lies in."""
    size: tuple[Side, Side] = (64, 64)
    """Height and width."""
    proportions: Literal["kept", "stretched"] = "kept"
    """Whether an image of another shape gets black edges or is stretched."""
    channels: Literal[1, 3] = 1
    """1 is grey, 3 is red, green, blue."""
    window: Literal["header", "none"] | tuple[float, float] = "header"
    """Which greys become black to white: from [center, width]; by a DICOM file's own look-up table or window, which
    without either is from its darkest to its brightest; or none: all that the file's bits can say."""
    frame: Literal["first", "middle", "last"] = "first"
    """Of a file with several."""

    @field_validator("window", mode="before")
    @classmethod
    def _center_and_width(cls, value: Any) -> Any:
        pair = isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(x, int | float) for x in value)
        if value not in ("header", "none") and not (pair and value[1] > 0):
            raise ValueError(f"expected header, none, or [center, width] with a width above 0, received {value!r}")
        return value

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return (*self.size, self.channels)


UNREAD: Final = "unread"


class UnreadColumn(ColumnBase):
    """Stands for a column that could not be read while the rules run, which know of it no more than that it exists.

    No kind of column: a task file cannot ask for it, and no task that is read holds one.
    """

    type: Literal["unread"] = UNREAD
    lookup: str | None = None
    """As far as it can be told, so that its look-up counts as read."""


Column = Annotated[
    NumberColumn | IntervalColumn | BooleanColumn | CategoryColumn | TextColumn | CodeColumn | DateColumn | ImageColumn,
    Field(discriminator="type"),
]
