"""Booleans, categories with their levels or look-ups, and plain text with its pattern."""

from collections.abc import Mapping
from functools import partial
from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.steps import Kind, Step, numbers_and, require_dtype, unchanged
from medspark.schemas import quoted
from medspark.sources.fasta import joined
from medspark.sources.whole_numbers import is_number, whole_text
from medspark.task.columns import BooleanColumn, CategoryColumn, TextColumn
from medspark.task.raw_table import Lookup


def read_boolean(name: str, spec: BooleanColumn, dtype: str) -> Kind:
    if dtype == "boolean":
        return Kind("boolean", [Step("type", "true or false", unchanged)])
    require_dtype(name, dtype, "boolean", numbers_and(dtype, "string", "boolean"))
    says = f"one of {', '.join((*spec.true_values, *spec.false_values))}"

    def parse(value: Column) -> Column:
        text = _as_text(value, dtype)
        named = F.when(text.isin(*spec.true_values), True).when(text.isin(*spec.false_values), False)
        return named.when(text == "1", True).when(text == "0", False) if is_number(dtype) and spec.counts else named

    return Kind("boolean", [Step("type", says, parse)])


def read_category(name: str, spec: CategoryColumn, dtype: str, lookups: Mapping[str, Lookup]) -> Kind:
    require_dtype(name, dtype, spec.type, numbers_and(dtype, "string"))
    if spec.lookup is not None:
        entries = lookups[spec.lookup].entries or {}
        step = Step("lookup", f"a code of {spec.lookup}", partial(_one_of, list(entries), dtype))
        return Kind("string", [step], partial(_meaning_of, entries))
    if spec.levels is not None:
        named = partial(_one_of, list(spec.levels), dtype)
        return Kind("string", [Step("level", f"one of {', '.join(spec.levels)}", named)])
    return Kind("string", _type_steps("a level", dtype))


def read_text(name: str, spec: TextColumn, dtype: str) -> Kind:
    require_dtype(name, dtype, spec.type, numbers_and(dtype, "string"))
    steps, pattern = _type_steps("text, or a whole number", dtype), spec.matches
    if spec.fasta is not None:
        sequence = F.col(quoted(joined(name)))
        says = f"a sequence of the id in {spec.fasta.rstrip('/').rpartition('/')[2]}"
        steps.append(Step("fasta", says, lambda value: F.when(value.isNotNull(), sequence)))
    if pattern is None:
        return Kind("string", steps)
    whole = rf"\A(?:{pattern})\z"
    matching = Step("pattern", f"text like {pattern}", lambda text: F.when(text.rlike(whole), text))
    return Kind("string", [*steps, matching])


def _as_text(value: Column, dtype: str) -> Column:
    """Text, or the digits of a whole number; null where a number is not whole."""
    return value if dtype == "string" else whole_text(value, dtype)


def _type_steps(expected: str, dtype: str) -> list[Step]:
    return [] if dtype == "string" else [Step("type", expected, lambda value: _as_text(value, dtype))]


def _one_of(levels: list[str], dtype: str, value: Column) -> Column:
    text = _as_text(value, dtype)
    return F.when(text.isin(levels), text)


def _meaning_of(entries: Mapping[str, str | None], code: Column) -> Column:
    literals = [F.lit(item) for item in chain.from_iterable(entries.items())]
    return F.element_at(F.create_map(*literals), code)
