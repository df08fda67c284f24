"""Booleans, categories with their levels or look-ups, and plain text with its pattern."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.steps import Kind, Step, numbers_and, of_column, require_dtype, unchanged
from medspark.schemas import quoted
from medspark.sources.fasta import joined
from medspark.sources.whole_numbers import is_number, whole_text
from medspark.spark.columns import literal, when
from medspark.task.columns import BooleanColumn, CategoryColumn, TextColumn
from medspark.task.raw_table import Lookup


def read_boolean(name: str, spec: BooleanColumn, dtype: str) -> Kind:
    if dtype == "boolean":
        return Kind("boolean", [Step("type", "true or false", unchanged)])
    require_dtype(name, dtype, "boolean", numbers_and(dtype, "string", "boolean"))
    says = f"one of {', '.join((*spec.true_values, *spec.false_values))}"
    words: dict[str, tuple[str, ...]] = {"true": spec.true_values, "false": spec.false_values}
    if is_number(dtype) and spec.counts:
        words = {"true": (*words["true"], "1"), "false": (*words["false"], "0")}

    def parse(place: str) -> str:
        text = _as_text(dtype, place)
        return f"CASE {' '.join(f'WHEN {_among(text, named)} THEN {value}' for value, named in words.items())} END"

    return Kind("boolean", [Step("type", says, parse)])


def read_category(name: str, spec: CategoryColumn, dtype: str, lookups: Mapping[str, Lookup]) -> Kind:
    require_dtype(name, dtype, spec.type, numbers_and(dtype, "string"))
    if spec.lookup is not None:
        entries = lookups[spec.lookup].entries or {}
        step = Step("lookup", f"a code of {spec.lookup}", partial(_one_of, list(entries), dtype))
        return Kind("string", [step], of_column(partial(_meaning_of, entries)))
    if spec.levels is not None:
        named = partial(_one_of, list(spec.levels), dtype)
        return Kind("string", [Step("level", f"one of {', '.join(spec.levels)}", named)])
    return Kind("string", _type_steps("a level", dtype))


def read_text(name: str, spec: TextColumn, dtype: str) -> Kind:
    require_dtype(name, dtype, spec.type, numbers_and(dtype, "string"))
    steps, pattern = _type_steps("text, or a whole number", dtype), spec.matches
    if spec.fasta is not None:
        sequence = quoted(joined(name))
        says = f"a sequence of the id in {spec.fasta.rstrip('/').rpartition('/')[2]}"
        steps.append(Step("fasta", says, lambda value: when(f"{value} IS NOT NULL", sequence)))
    if pattern is None:
        return Kind("string", steps)
    whole = literal(rf"\A(?:{pattern})\z")
    matching = Step("pattern", f"text like {pattern}", lambda text: when(f"{text} RLIKE {whole}", text))
    return Kind("string", [*steps, matching])


def _as_text(dtype: str, value: str) -> str:
    """Text, or the digits of a whole number; null where a number is not whole."""
    return value if dtype == "string" else whole_text(value, dtype)


def _type_steps(expected: str, dtype: str) -> list[Step]:
    return [] if dtype == "string" else [Step("type", expected, partial(_as_text, dtype))]


def _one_of(levels: Sequence[str], dtype: str, value: str) -> str:
    text = _as_text(dtype, value)
    return when(_among(text, levels), text)


def _among(text: str, words: Sequence[str]) -> str:
    return f"{text} IN ({', '.join(map(literal, words))})" if words else "false"


def _meaning_of(entries: Mapping[str, str | None], code: Column) -> Column:
    literals = [F.lit(item) for item in chain.from_iterable(entries.items())]
    return F.element_at(F.create_map(*literals), code)
