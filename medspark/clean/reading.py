"""Typed values out of text: each kind of column is a chain of steps, and a step that empties a value is a violation.

Columns in, columns out; no data is read here.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.clean.kinds.codes import category, normalise_icd9, normalise_icd10
from medspark.clean.kinds.levels import boolean_type, level_steps, meaning_of, pattern_step
from medspark.clean.kinds.numbers import NUMBER, interval_middle, number_type, range_steps, unit_steps
from medspark.clean.kinds.steps import WHOLE_DTYPES, Step, require_dtype, spark_type, step_column, unchanged
from medspark.clean.kinds.times import time_type
from medspark.schemas import quoted
from medspark.task.columns import (
    Action,
    BooleanColumn,
    CategoryColumn,
    CodeColumn,
    ColumnBase,
    DateColumn,
    IntervalColumn,
    NumberColumn,
    TextColumn,
)
from medspark.task.raw_table import RawTable


def column_rule(column: str, rule: str) -> str:
    """The name of a column's rule: column_rule("age", "range") gives "age: range"."""
    return f"{column}: {rule}"


_NUMBER_DTYPES = WHOLE_DTYPES | {"float", "double"}


class Violation(NamedTuple):
    """A rule with the rows that break it: `condition` is true for those and never null."""

    rule: str
    reason: str
    condition: Column
    action: Action


class Reading(NamedTuple):
    """How a column is read: its text trimmed, emptied where missing, through the steps in order, and finished.

    Each step's result is a column of its own for a while (`at`), computed once however often it is read.
    """

    name: str
    spec: ColumnBase
    is_key: bool
    trim: Callable[[Column], Column]
    given: Callable[[Column], Column]
    steps: list[Step]
    finish: Callable[[Column], Column]

    def at(self, depth: int) -> str:
        return step_column(self.name, depth)

    def chain(self) -> list[Callable[[Column], Column]]:
        return [self.trim, self.given, *(step.apply for step in self.steps)]

    def value(self) -> Column:
        value = self.finish(F.col(self.at(len(self.steps) + 1)))
        return value.cast(spark_type(self.spec)).alias(self.name)

    def violations(self) -> list[Violation]:
        """The column's rules in the order they judge; a value breaks one of them at most."""
        action: Action = "set_aside" if self.is_key else self.spec.otherwise
        found = []
        if self.spec.required or self.is_key:
            on_missing: Action = "fail" if action == "fail" else "set_aside"
            empty = F.col(self.at(1)).isNull()
            rule = column_rule(self.name, "required")
            found.append(Violation(rule, self.reason("a value"), empty, on_missing))
        for depth, step in enumerate(self.steps, start=1):
            broken = F.col(self.at(depth)).isNotNull() & F.col(self.at(depth + 1)).isNull()
            rule = column_rule(self.name, step.rule)
            found.append(Violation(rule, self.reason(step.expected), broken, action))
        return found

    def reason(self, expected: str) -> str:
        return f"{self.name}: expected {expected}"

    def reasons(self) -> dict[str, str]:
        """What each rule expects, by the rule's name."""
        steps = {column_rule(self.name, step.rule): self.reason(step.expected) for step in self.steps}
        return {column_rule(self.name, "required"): self.reason("a value"), **steps}


def read_column(name: str, dtype: str, table: RawTable) -> Reading:
    """How a source column of Spark type `dtype` is read, by its declaration in the table.

    Raises:
        InputError: a column of this Spark type cannot be read as the declared type.
    """
    spec = table.columns[name]
    is_text = dtype == "string"
    missing = ["", *table.source.missing, *spec.missing]

    def given(value: Column) -> Column:
        if is_text:
            key = F.trim(value) if isinstance(spec, TextColumn) else value
            return F.when(~key.isin(missing), value)
        if dtype in _NUMBER_DTYPES or dtype.startswith("decimal"):
            numbers = [float(text) for text in missing if re.fullmatch(NUMBER, text)]
            return F.when(~F.isnan(value.cast("double")) & ~value.cast("double").isin(numbers), value)
        return value

    return Reading(
        name=name,
        spec=spec,
        is_key=name in (table.source.case, table.source.subject),
        # Space around text is no part of it, except in a column of type string
        trim=F.trim if is_text and not isinstance(spec, TextColumn) else unchanged,
        given=given,
        steps=_steps(name, spec, dtype, table),
        finish=_finish(spec, table),
    )


def read_all(frame: DataFrame, readings: list[Reading]) -> DataFrame:
    """Add every step of every reading to the frame, all columns' first steps first: `Reading.at` names them."""
    current = {reading.name: quoted(reading.name) for reading in readings}
    for depth in range(max((len(reading.chain()) for reading in readings), default=0)):
        deep = [reading for reading in readings if depth < len(reading.chain())]
        added = [
            reading.chain()[depth](F.col(current[reading.name])).alias(reading.at(depth).strip("`").replace("``", "`"))
            for reading in deep
        ]
        frame = frame.select("*", *added)
        current |= {reading.name: reading.at(depth) for reading in deep}
    return frame


def _steps(name: str, spec: ColumnBase, dtype: str, table: RawTable) -> list[Step]:
    match spec:
        case NumberColumn():
            return [
                number_type(name, spec, dtype, table.source.point_zero),
                *unit_steps(spec.units),
                *range_steps(spec.range),
            ]
        case IntervalColumn():
            require_dtype(name, dtype, spec.type, {"string"})
            return [Step("type", "an interval such as [70-80) or >200", interval_middle), *range_steps(spec.range)]
        case BooleanColumn():
            return [boolean_type(name, spec, dtype)]
        case CategoryColumn():
            return level_steps(name, spec, dtype, table)
        case TextColumn():
            require_dtype(name, dtype, spec.type, {"string"})
            return [] if spec.matches is None else [pattern_step(spec.matches)]
        case CodeColumn():
            require_dtype(name, dtype, spec.type, {"string"})
            normalise = normalise_icd9 if spec.system == "ICD9CM" else normalise_icd10
            return [Step("code", f"a code of {spec.system}", normalise)]
        case DateColumn():
            return [time_type(name, spec, dtype, table.source.timezone)]
    raise AssertionError(type(spec))


def _finish(spec: ColumnBase, table: RawTable) -> Callable[[Column], Column]:
    """What happens to a value that broke no rule: a code's meaning, or its category, takes its place."""
    if isinstance(spec, CategoryColumn) and spec.lookup is not None:
        return partial(meaning_of, table.lookups[spec.lookup])
    if isinstance(spec, CodeColumn) and spec.roll_up == "category":
        return category
    return unchanged
