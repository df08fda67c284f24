"""Typed values out of a source's: each column is a chain of steps, and a step that gives no value breaks a rule.

Columns in, columns out; no data is read here. What the steps of a kind of column are, the folder `kinds` says.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.clean.kinds.categories import read_boolean, read_category, read_text
from medspark.clean.kinds.codes import read_code
from medspark.clean.kinds.images import read_images
from medspark.clean.kinds.numbers import NUMBER, read_interval, read_number
from medspark.clean.kinds.times import read_time
from medspark.clean.steps import Kind, step_name, unchanged
from medspark.schemas import quoted
from medspark.sources.invisible_letters import COMPOSING, PLAIN, normalise
from medspark.sources.whole_numbers import is_number
from medspark.task.columns import (
    Action,
    BooleanColumn,
    CategoryColumn,
    CodeColumn,
    ColumnBase,
    DateColumn,
    ImageColumn,
    IntervalColumn,
    NumberColumn,
    TextColumn,
)
from medspark.task.raw_table import RawTable

INVISIBLE_LETTERS: Final = "invisible letters"
"""The rule by which a text is normalised."""


class Violation(NamedTuple):
    """A rule with the rows that break it: `condition` is true for those and never null."""

    rule: str
    reason: str
    condition: Column
    action: Action


class Reading(NamedTuple):
    """How a column is read: its text normalised, null where it says that it is missing, then as its kind is read.

    Each step's result is a column of its own for a while (`at`), computed once however often it is read.
    """

    name: str
    spec: ColumnBase
    is_key: bool
    normalise: Callable[[Column], Column]
    given: Callable[[Column], Column]
    kind: Kind
    letters: int = PLAIN
    """What its text needs at most to be normalised."""

    def at(self, depth: int) -> Column:
        return F.col(quoted(step_name(self.name, depth)))

    def chain(self) -> list[Callable[[Column], Column]]:
        return [self.normalise, self.given, *(step.apply for step in self.kind.steps)]

    def value(self) -> Column:
        value = self.kind.finish(self.at(len(self.kind.steps) + 1))
        return value.cast(self.kind.dtype).alias(self.name)

    def violations(self) -> list[Violation]:
        """The column's rules in the order they judge; a value breaks one of them at most."""
        action: Action = "set_aside" if self.is_key else self.spec.otherwise
        found = []
        if self.spec.required or self.is_key:
            on_missing: Action = "fail" if action == "fail" else "set_aside"
            rule = column_rule(self.name, "required")
            found.append(Violation(rule, self.reason("a value"), self.at(1).isNull(), on_missing))
        for depth, step in enumerate(self.kind.steps, start=1):
            broken = self.at(depth).isNotNull() & self.at(depth + 1).isNull()
            rule = column_rule(self.name, step.rule)
            found.append(Violation(rule, self.reason(step.expected), broken, action))
        return found

    def normalised(self) -> Column | None:
        """The name of the rule by which a row's text was changed, null where it was not; None where none ever is.

        Space around a number, a time or true and false is how some write them, and no change.
        """
        if self.normalise in (unchanged, F.trim) or self.letters == PLAIN:
            return None
        before = F.col(quoted(self.name))
        if not isinstance(self.spec, CategoryColumn | CodeColumn | TextColumn):
            before = F.trim(before)
        return F.when(before != self.at(0), column_rule(self.name, INVISIBLE_LETTERS))

    def reason(self, expected: str) -> str:
        return f"{self.name}: expected {expected}"

    def reasons(self) -> dict[str, str]:
        """What each rule expects, by the rule's name."""
        steps = {column_rule(self.name, step.rule): self.reason(step.expected) for step in self.kind.steps}
        return {column_rule(self.name, "required"): self.reason("a value"), **steps}


def column_rule(column: str, rule: str) -> str:
    """The name of a column's rule.

    >>> column_rule("age", "range")
    'age: range'
    """
    return f"{column}: {rule}"


def read_column(name: str, dtype: str, table: RawTable, letters: int = COMPOSING) -> Reading:
    """How a source column of Spark type `dtype` is read, by its declaration in the table.

    Args:
        letters: what text needs at most to be normalised, of `medspark.sources.invisible_letters`.

    Raises:
        InputError: a column of this Spark type cannot be read as the declared type.
    """
    spec = table.judged[name]
    is_text = dtype == "string"
    missing = ["", *table.source.missing, *spec.missing]

    def given(value: Column) -> Column:
        if is_text:
            return F.when(~value.isin(missing), value)
        if is_number(dtype):
            numbers = [float(text) for text in missing if re.fullmatch(NUMBER, text)]
            return F.when(~F.isnan(value.cast("double")) & ~value.cast("double").isin(numbers), value)
        return value

    return Reading(
        name=name,
        spec=spec,
        is_key=name in (table.source.case, table.source.subject),
        normalise=_normaliser(spec, is_text, letters),
        given=given,
        kind=_read_kind(name, spec, dtype, table),
        letters=letters if is_text else PLAIN,
    )


def _normaliser(spec: ColumnBase, is_text: bool, letters: int) -> Callable[[Column], Column]:
    """What takes invisible letters, and space at the ends, out of a column's text; of a path to an image only space."""
    if not is_text:
        return unchanged
    return F.trim if isinstance(spec, ImageColumn) else partial(normalise, letters=letters)


def _read_kind(name: str, spec: ColumnBase, dtype: str, table: RawTable) -> Kind:
    match spec:
        case NumberColumn():
            return read_number(name, spec, dtype, table.source)
        case IntervalColumn():
            return read_interval(name, spec, dtype)
        case BooleanColumn():
            return read_boolean(name, spec, dtype)
        case CategoryColumn():
            return read_category(name, spec, dtype, table.lookups)
        case TextColumn():
            return read_text(name, spec, dtype)
        case CodeColumn():
            return read_code(name, spec, dtype)
        case DateColumn():
            return read_time(name, spec, dtype, table.source.timezone)
        case ImageColumn():
            return read_images(name, spec, dtype, str(table.source.path))
    raise AssertionError(type(spec))


def read_all(frame: DataFrame, readings: list[Reading]) -> DataFrame:
    """Add every step of every reading to the frame, all columns' first steps first: `Reading.at` finds them."""
    current = {reading.name: F.col(quoted(reading.name)) for reading in readings}
    for depth in range(max((len(reading.chain()) for reading in readings), default=0)):
        deep = [reading for reading in readings if depth < len(reading.chain())]
        added = [
            reading.chain()[depth](current[reading.name]).alias(step_name(reading.name, depth)) for reading in deep
        ]
        frame = frame.select("*", *added)
        current |= {reading.name: reading.at(depth) for reading in deep}
    return frame
