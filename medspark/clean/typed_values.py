"""Typed values out of a source's: each column is a chain of steps, and a step that gives no value breaks a rule.

SQL in, SQL out; no data is read here. What the steps of a kind of column are, the folder `kinds` says.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

from pyspark.sql import DataFrame

from medspark.clean.kinds.categories import read_boolean, read_category, read_text
from medspark.clean.kinds.codes import read_code
from medspark.clean.kinds.images import read_images
from medspark.clean.kinds.numbers import NUMBER, read_interval, read_number
from medspark.clean.kinds.times import read_time
from medspark.clean.steps import Apply, Kind, step_name, unchanged
from medspark.clean.worker.staged import BETWEEN
from medspark.schemas import quoted
from medspark.sources.invisible_letters import COMPOSING, PLAIN, normalise
from medspark.sources.whole_numbers import is_number
from medspark.spark.columns import Value, literal, select, when
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
    """A rule with the rows that break it: `condition`, in SQL, is true for those and never null."""

    rule: str
    condition: str
    action: Action


def broken(violations: Iterable[Violation], action: Action, where: str = "true") -> str:
    """In SQL, the rules with this action that a row breaks, one a line; null where it breaks none."""
    named = [when(f"{where} AND {one.condition}", literal(one.rule)) for one in violations if one.action == action]
    return f"nullif({one_a_line(*named)}, '')"


def one_a_line(*texts: str) -> str:
    """In SQL, those of some texts that are not null."""
    return f"concat_ws({', '.join([literal(BETWEEN), *texts])})"


class Reading(NamedTuple):
    """How a column is read: its text normalised, null where it says that it is missing, then as its kind is read.

    Each step's result is a column of its own for a while (`place`), computed once however often it is read.
    """

    name: str
    spec: ColumnBase
    is_key: bool
    normalise: Apply
    given: Apply
    kind: Kind

    def place(self, depth: int) -> str:
        """The column, as SQL names it, of what the value is after so many steps: that of the last that changes it."""
        changing = [at for at, step in enumerate(self.chain()[: depth + 1]) if step is not unchanged]
        return quoted(step_name(self.name, changing[-1]) if changing else self.name)

    def chain(self) -> list[Apply]:
        return [self.normalise, self.given, *(step.apply for step in self.kind.steps)]

    def value(self) -> Value:
        value, dtype = self.kind.finish(self.place(len(self.kind.steps) + 1)), self.kind.dtype
        return f"cast({value} AS {dtype})" if isinstance(value, str) else value.cast(dtype)

    def violations(self) -> list[Violation]:
        """The column's rules in the order they judge; a value breaks one of them at most."""
        action: Action = "set_aside" if self.is_key else self.spec.otherwise
        found = []
        if self.spec.required or self.is_key:
            on_missing: Action = "fail" if action == "fail" else "set_aside"
            found.append(Violation(column_rule(self.name, "required"), f"{self.place(1)} IS NULL", on_missing))
        for depth, step in enumerate(self.kind.steps, start=1):
            condition = f"{self.place(depth)} IS NOT NULL AND {self.place(depth + 1)} IS NULL"
            found.append(Violation(column_rule(self.name, step.rule), condition, action))
        return found

    def normalised(self) -> str | None:
        """In SQL, the name of the rule by which a row's text was changed, null where it was not; None where none ever
        is.

        Space around a number, a time or true and false is how some write them, and no change.
        """
        if self.normalise is unchanged or isinstance(self.spec, ImageColumn):
            return None
        before = quoted(self.name)
        if not isinstance(self.spec, CategoryColumn | CodeColumn | TextColumn):
            before = f"trim({before})"
        return when(f"{before} <> {self.place(0)}", literal(column_rule(self.name, INVISIBLE_LETTERS)))

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
    return Reading(
        name=name,
        spec=spec,
        is_key=name in (table.source.case, table.source.subject),
        normalise=_normaliser(spec, dtype == "string", letters),
        given=_given(["", *table.source.missing, *spec.missing], dtype),
        kind=_read_kind(name, spec, dtype, table),
    )


def _given(missing: list[str], dtype: str) -> Apply:
    """What takes away the values of a column that say that there is none.

    >>> _given(["", "-9"], "string")("`a`")
    "CASE WHEN NOT `a` IN ('', '-9') THEN `a` END"
    >>> _given(["", "-9"], "int")("`a`")
    "CASE WHEN NOT isnan(double(`a`)) AND NOT double(`a`) IN (double('-9')) THEN `a` END"
    """
    if dtype == "string":
        return lambda text: when(f"NOT {text} IN ({', '.join(map(literal, missing))})", text)
    if not is_number(dtype):
        return unchanged
    numbers = [f"double({literal(text)})" for text in missing if re.fullmatch(NUMBER, text)]

    def given(value: str) -> str:
        others = f" AND NOT double({value}) IN ({', '.join(numbers)})" if numbers else ""
        return when(f"NOT isnan(double({value})){others}", value)

    return given


def _normaliser(spec: ColumnBase, is_text: bool, letters: int) -> Apply:
    """What takes invisible letters, and space at the ends, out of a column's text; of a path to an image only space."""
    if not is_text or (letters == PLAIN and not isinstance(spec, ImageColumn)):
        return unchanged
    return (lambda text: f"trim({text})") if isinstance(spec, ImageColumn) else partial(normalise, letters=letters)


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
    """Add every step of every reading that changes a value, all columns' first steps first: `place` finds them."""
    steps: defaultdict[int, dict[str, Value]] = defaultdict(dict)
    for reading in readings:
        for depth, step in enumerate(reading.chain()):
            if step is not unchanged:
                steps[depth][step_name(reading.name, depth)] = step(reading.place(depth - 1))
    for depth in sorted(steps):
        frame = select(frame, ["*"], steps[depth])
    return frame
