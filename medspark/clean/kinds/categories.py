"""Booleans, categories with their levels or look-ups, and plain text with its pattern."""

from collections.abc import Mapping
from functools import partial
from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.steps import WHOLE_DTYPES, Kind, Step, require_dtype, unchanged
from medspark.task.columns import BooleanColumn, CategoryColumn, TextColumn
from medspark.task.raw_table import Lookup


def read_boolean(name: str, spec: BooleanColumn, dtype: str) -> Kind:
    if dtype == "boolean":
        return Kind("boolean", [Step("type", "true or false", unchanged)])
    require_dtype(name, dtype, "boolean", {"string", "boolean"})
    says = f"one of {', '.join((*spec.true_values, *spec.false_values))}"

    def parse(text: Column) -> Column:
        return F.when(text.isin(*spec.true_values), True).when(text.isin(*spec.false_values), False)

    return Kind("boolean", [Step("type", says, parse)])


def read_category(name: str, spec: CategoryColumn, dtype: str, lookups: Mapping[str, Lookup]) -> Kind:
    require_dtype(name, dtype, spec.type, {"string", *WHOLE_DTYPES})
    if spec.lookup is not None:
        entries = lookups[spec.lookup].entries or {}
        step = Step("lookup", f"a code of {spec.lookup}", partial(_one_of, list(entries)))
        return Kind("string", [step], partial(_meaning_of, entries))
    if spec.levels is not None:
        return Kind("string", [Step("level", f"one of {', '.join(spec.levels)}", partial(_one_of, list(spec.levels)))])
    return Kind("string", [] if dtype == "string" else [Step("type", "a level", lambda value: value.cast("string"))])


def read_text(name: str, spec: TextColumn, dtype: str) -> Kind:
    require_dtype(name, dtype, spec.type, {"string"})
    pattern = spec.matches
    if pattern is None:
        return Kind("string", [])
    whole = rf"\A(?:{pattern})\z"
    return Kind("string", [Step("pattern", f"text like {pattern}", lambda text: F.when(text.rlike(whole), text))])


def _one_of(levels: list[str], value: Column) -> Column:
    text = value.cast("string")
    return F.when(text.isin(levels), text)


def _meaning_of(entries: Mapping[str, str | None], code: Column) -> Column:
    literals = [F.lit(item) for item in chain.from_iterable(entries.items())]
    return F.element_at(F.create_map(*literals), code)
