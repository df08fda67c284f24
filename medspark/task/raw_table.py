"""How a raw table is read and judged: its columns' kinds and rules, look-ups, checks across columns. No Spark here.

Closed and frozen models that mirror the YAML key for key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from medspark.task.base import Closed, Place, unsaid
from medspark.task.columns import Column, TextColumn
from medspark.task.connection import WITHOUT_FOLDER, Connection, require_one_place, shown_place
from medspark.task.dialect import Dialect
from medspark.task.spelling import BY_SPELLING, Spelling
from medspark.task.view import View

Encoding = Literal["utf-8", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-16be"]
"""How text is written as bytes; utf-16 has a byte order mark, the other two none. A file in one of these is read by one
task."""

TYPED: Final = ("parquet", "orc")
"""The formats of files whose columns have types of their own, as a database's have."""

Delimiter = Annotated[str, Field(min_length=1, max_length=1)]
"""What separates the fields of a record."""


class Derived(Closed):
    """A column computed from the others by a Spark SQL expression, after their own rules have run."""

    type: Literal["double", "long", "category", "boolean", "timestamp"]
    """What the expression gives."""
    expression: str
    """Spark SQL over the columns, as `case when age < 50 then 1 else 0 end`."""


class Duplicates(Closed):
    """Rows alike in `same` are one row written again; `keep` says which of them counts."""

    same: Literal["whole_row"] | tuple[str, ...]
    """The columns that tell a row apart, or the whole row."""
    keep: Literal["first", "latest", "earliest"] = "first"
    """Which of rows that are alike counts; the others go to the quarantine."""
    by: str | None = None
    """The column that orders them for latest and earliest; ties go by file and line."""


class TableSource(Closed):
    """One row per case."""

    kind: Literal["table"]
    """A table with one row per case."""
    path: Place | None = None
    """A file, a folder of files or a pattern; a Delta table's folder; the catalog's database, such as hospital."""
    format: Literal["csv", "json", "ndjson", "parquet", "orc", "delta", "catalog", "jdbc"]
    """How the rows are kept: json is one array a file, ndjson one record a line, jdbc a database."""
    database: Connection | None = Field(default=None, exclude_if=unsaid)
    """With format jdbc and only with it."""
    table: str | None = Field(default=None, exclude_if=unsaid)
    """The name of the table in a database or a catalog; a view has one too."""
    case: str
    """The column that tells the rows apart."""
    subject: str
    """The column with the patient; the case itself where each row is another patient."""
    time: str | None = None
    """The column with the prediction time, where the source has one."""
    timezone: str = "UTC"
    """The IANA zone of timestamps written without one; stored times are UTC."""
    missing: tuple[Spelling, ...] = ()
    """Spellings of a missing value in every column, besides the empty one."""
    encoding: Encoding = "utf-8"
    """How text is written as bytes."""
    delimiter: Delimiter = ","
    """What separates the fields of a CSV record."""
    header: bool = True
    """Whether a CSV file's first line has the columns' names."""
    point_zero: bool = False
    """Whether whole numbers may be written 263.0, as programs write them that have gaps in the column."""
    quoted_newlines: bool = False
    """Whether a quoted CSV field may run over several lines; then a file is read by one task."""
    dialect: Dialect | None = Field(default=None, exclude_if=unsaid)
    """How a file is written that is no plain CSV."""
    duplicates: Duplicates | None = None
    """What makes two rows one row written twice."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        require_one_place(self.format, self.path, self.database)
        if (self.format in WITHOUT_FOLDER) != (self.table is not None):
            raise ValueError(f"expected `table` with format jdbc or catalog and only with them, received {self.format}")
        return self

    @property
    def name(self) -> str:
        """The last part of where the rows lie: the name of a file, a folder or a table."""
        return self.table or str(self.path).rstrip("/").rpartition("/")[2]

    @property
    def place(self) -> str:
        """Where the rows lie, for messages: without user and password."""
        where = shown_place(self.path, self.database)
        return where if self.table is None else f"{where} {self.table}"


class Lookup(Closed):
    """A code table: the columns `key` and `value` of a CSV file, or the pairs themselves in `entries`.

    A file may hold several tables under one another: the one whose header has `key` and `value` is read,
    down to the next empty line.
    """

    path: Place | None = None
    """A CSV file."""
    key: str | None = None
    """Its column with the codes."""
    value: str | None = None
    """Its column with what they mean."""
    missing: tuple[Spelling, ...] = ()
    """Meanings that say nothing."""
    entries: Annotated[dict[Spelling, Spelling | None] | None, BY_SPELLING] = None
    """The pairs themselves, in place of a file."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        from_file = self.path is not None and self.key is not None and self.value is not None
        if from_file == (self.entries is not None):
            raise ValueError("expected either path, key and value, or entries")
        return self


class Check(Closed):
    """A rule across columns: a row for which `expect` is false breaks it (unknown, from a null, passes)."""

    name: str
    """What the quarantine and the counts call it."""
    expect: str
    """A condition on the columns of a row."""
    otherwise: Literal["set_aside", "fail"] = "set_aside"
    """What happens to a row that breaks it."""


Share = Annotated[float, Field(ge=0, lt=1)]


class Limits(Closed):
    """What a source as a whole may lack: a row each may be sound, and all of them together not."""

    set_aside_at_most: Share | None = None
    """Share of the rows that may break a rule."""
    missing_at_most: dict[str, Share] = Field(default_factory=dict)
    """By column, the share of the records that may have no value of it."""


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
    decide_nothing: frozenset[str] = frozenset()
    """Optional columns that are read where they are there and can be, and that decide nothing of their rows."""
    order: tuple[str, ...] = ()
    """All columns that the source may have, in their order, those that nobody reads among them; without it those that
    are read."""
    limits: Limits | None = None
    """What the source as a whole may lack."""
    view: View | None = None
    """Which rows a line becomes, where a line is a FHIR resource."""
    beside: Mapping[str, TextColumn] = field(default_factory=dict)
    """Columns that the source does not have: each is looked up in a file by the id in another column."""

    @property
    def judged(self) -> Mapping[str, Column]:
        """The columns that have rules: those of the source, and those beside it."""
        return {**self.columns, **self.beside} if self.beside else self.columns

    reads_file: bool = False
    """Whether a rule of a mapping's table reads the name of a row's file, which is then part of the source."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that the source may have, in their order."""
        return self.order or tuple(self.columns)

    @property
    def order_matters(self) -> bool:
        """Whether which of two different rows counts depends on the rows' order."""
        return self.source.duplicates is not None and self.source.duplicates.same != "whole_row"
