"""A source mapping: how each table of a warehouse becomes events in the columns of the Medical Event Data Standard.

Data, not code: `conf/sources/*.yaml`. A hospital writes its own beside the shipped ones. No Spark here.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from medspark.task.base import Closed, Name, Range, unsaid
from medspark.task.columns import Column, Scale
from medspark.task.dialect import Dialect
from medspark.task.raw_table import Check, Delimiter, Derived, Duplicates, Encoding, Lookup
from medspark.task.spelling import BY_SPELLING, Spelling
from medspark.task.view import AnyView

PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""A column's name in a code's pattern."""

POSSIBLE_DAYS = ["1875-01-01", "2300-12-31"]
"""Of a date in short form: beyond lie years such as 0001 and 9999, which stand for no day; some warehouses shift days
by a century or two."""

SHORT_FORMS = {
    "date": {"type": "date", "range": POSSIBLE_DAYS},
    "timestamp": {"type": "timestamp", "range": POSSIBLE_DAYS},
}


def _column_short_form(value: Any) -> Any:
    """`person_id: long` for {type: long}; a date or timestamp in short form is read by ISO 8601, of POSSIBLE_DAYS."""
    return SHORT_FORMS.get(value, {"type": value}) if isinstance(value, str) else value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Skip(Closed):
    """Rows that are no events, by a rule that says so; they are counted."""

    name: str
    """What the counts call it."""
    when: str
    """A condition on a row."""
    because: str
    """The reason, for people."""


class RowId(Closed):
    """How the rows of a table that are written again are told: of a row's writings the newest counts."""

    same: tuple[str, ...] = Field(min_length=1)
    """The columns of the row's id. A row stays with its patient."""
    deleted: str | None = None
    """A condition on a writing that takes the row back, as `operation = 'D'`."""
    written: str | None = Field(default=None, exclude_if=unsaid)
    """Of a source with `increment: {by: column}`: the column with the time of each writing, by which the newest counts.
    Rows without one are read each time, and are older than any with one."""


class EventRule(Closed):
    """One event of a row. Every value is a Spark SQL expression over the table's columns; `code` is a pattern."""

    code: Annotated[tuple[Spelling, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
    """Text with columns in braces, as "LOINC/{loinc}". Of several, the first whose columns all have a value."""
    time: str | None = None
    """When it happened; without it and `date` the event is static, true of the patient at any time."""
    date: str | None = None
    """The day it happened, for rows without a time."""
    available: str | None = None
    """When it became known, where the source says so."""
    value: str | None = None
    """Text that is a number ("6.1"), a comparator with a number (">6") or neither ("positive")."""
    number: str | None = None
    """A number; of a code with values of its own brought to one unit."""
    text: str | None = None
    """Text that is no number."""
    unit: str | None = None
    """The number's unit."""
    encounter: str | None = None
    """The stay or visit that the event is of."""
    when: str | None = None
    """Which rows have this event; without it, those with a code and, unless it is static, a time."""


OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


class Joined(Closed):
    """Columns of another table's row that has the same key, as the end of the stay that a diagnosis is of."""

    same: OneOrMore
    """The columns of the key, which both tables have; no two rows of the other one that count have the same."""
    columns: OneOrMore
    """The columns of the other table that are taken. This table's events and `skip` read them."""


class MappedTable(Closed):
    """One table of the source: its columns, as far as they are read, and the events of each row."""

    files: str | None = None
    """Files below the source's path, as a pattern; without it TABLE.EXT or a folder TABLE."""
    delimiter: Delimiter | None = Field(default=None, exclude_if=unsaid)
    """Of this table, where it is another than the mapping's."""
    dialect: Dialect | None = Field(default=None, exclude_if=unsaid)
    """Of this table, where it is another than the mapping's."""
    optional: bool = False
    """Whether a source may lack this table."""
    subject: str
    """The column, or the derived column, with the patient."""
    view: AnyView | None = Field(default=None, exclude_if=unsaid)
    """Of a source of format fhir: the table's rows, made of each resource; its columns are the view's."""
    columns: dict[str, Annotated[Column, BeforeValidator(_column_short_form)]] = Field(default_factory=dict)
    """The columns that are read; a type alone is short for its settings."""
    joined: dict[str, Joined] = Field(default_factory=dict, exclude_if=unsaid)
    """By another table of the mapping, the columns of its rows that stand beside those of this table."""
    absent: tuple[str, ...] = ()
    """Columns that a source may lack; they are then missing in every row."""
    derived: dict[str, Derived] = Field(default_factory=dict)
    """Columns made of the others."""
    lookups: dict[Name, Lookup] = Field(default_factory=dict)
    """Code tables."""
    checks: tuple[Check, ...] = ()
    """Rules across columns."""
    duplicates: Duplicates | None = None
    """What makes two rows one row written twice."""
    skip: tuple[Skip, ...] = ()
    """Rows that are no events."""
    row: RowId | None = Field(default=None, exclude_if=unsaid)
    """Of a source with `increment`: how a corrected or a deleted row is told from a new one."""
    events: tuple[EventRule, ...] = Field(min_length=1)
    """The events of each row."""

    @property
    def passed_over(self) -> tuple[Skip, ...]:
        """Rows that are no events: those that the source took back, then those of `skip`."""
        if self.row is None or self.row.deleted is None:
            return self.skip
        return (Skip(name="deleted", when=self.row.deleted, because="the source takes the row back"), *self.skip)


class ValueRule(Closed):
    """How the numbers of one code are brought to one unit, and which are possible."""

    unit: str | None = None
    """The unit that the numbers are brought to."""
    to_unit: Annotated[dict[Spelling, Scale], BY_SPELLING] = Field(default_factory=dict)
    """Conversions into `unit`, by the unit that an event names."""
    when_missing: Spelling | None = None
    """The unit of an event that names none; without it such a number is kept as it is."""
    range: Range | None = None
    """After conversion; a row outside is set aside."""


class Observation(Closed):
    """The codes that open and close a patient's time under observation."""

    start: Spelling
    """The code that opens it."""
    end: Spelling
    """The code that closes it."""


class ConceptTables(Closed):
    """Two tables of the source that relate concepts, with OMOP's columns."""

    ancestors: str
    """The table of descendants, concept_ancestor."""
    relationships: str
    """The table of what maps to what, concept_relationship."""


class Mapping(Closed):
    """How the tables of a warehouse become events."""

    mapping: Name
    """The name that tasks call it by."""
    title: str
    """A heading for people."""
    timezone: str = "UTC"
    """The IANA zone of times written without one."""
    missing: tuple[Spelling, ...] = ()
    """Spellings of a missing value, in every table."""
    encoding: Encoding = "utf-8"
    """How text is written as bytes."""
    delimiter: Delimiter = ","
    """What separates the fields of a CSV record."""
    point_zero: bool = False
    """Whether whole numbers may be written 263.0."""
    quoted_newlines: bool = False
    """Whether a quoted CSV field may run over several lines."""
    dialect: Dialect | None = Field(default=None, exclude_if=unsaid)
    """How CSV files are written that are no plain ones."""
    midnight: Literal["time", "date_only"] = "time"
    """Whether a time of exactly midnight is a date without a time, as OMOP writes it."""
    date_only_known: Literal["end_of_day", "start_of_day"] = "end_of_day"
    """When a date without a time is known: at the end of its day unless the source is sure of more."""
    birth: Spelling = "MEDS_BIRTH"
    """The code of a birth."""
    death: Spelling = "MEDS_DEATH"
    """The code of a death."""
    demographics: dict[Name, Spelling] = Field(default_factory=dict)
    """Name of a demographic feature and the first part of its codes: `sex: GENDER` reads GENDER/8532 as 8532."""
    observation: Observation | None = None
    """Without it a patient is observed from the first event to the last."""
    concepts: ConceptTables | None = None
    code_metadata: str | None = None
    """A file below the source's path with each code's parents, as MEDS writes it: metadata/codes.parquet."""
    deleted: str | None = Field(default=None, exclude_if=unsaid)
    """Of a source of format fhir: files below its path, as a pattern, with the bundles by which an export takes
    resources back."""
    values: Annotated[dict[Spelling, ValueRule], BY_SPELLING] = Field(default_factory=dict)
    """How the numbers of a code are brought to one unit, by the code."""
    tables: dict[str, MappedTable] = Field(min_length=1)
    """The tables, by their names."""

    @property
    def period_tables(self) -> tuple[str, ...]:
        """The tables that may tell periods of observation."""
        codes = (self.observation.start, self.observation.end) if self.observation is not None else ()
        patterns = ((name, code) for name, table in self.tables.items() for rule in table.events for code in rule.code)
        return tuple(dict.fromkeys(name for name, pattern in patterns if any(_may_be(pattern, code) for code in codes)))


def _may_be(pattern: str, code: str) -> bool:
    """Whether a pattern's codes may be this one, by what stands before its first column.

    >>> _may_be("OBSERVED", "OBSERVED"), _may_be("{code}", "OBSERVED"), _may_be("LAB/{loinc}", "OBSERVED")
    (True, True, False)
    """
    begin = PLACEHOLDER.split(pattern)[0]
    return pattern == code if begin == pattern else code.startswith(begin)
