"""Text to levels: booleans, categories, look-ups, patterns."""

from functools import partial
from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.kinds.steps import WHOLE_DTYPES, Step, require_dtype, unchanged
from medspark.task.columns import BooleanColumn, CategoryColumn
from medspark.task.raw_table import Lookup, RawTable


def boolean_type(name: str, spec: BooleanColumn, dtype: str) -> Step:
    if dtype == "boolean":
        return Step("type", "true or false", unchanged)
    require_dtype(name, dtype, "boolean", {"string", "boolean"})
    says = f"one of {', '.join((*spec.true_values, *spec.false_values))}"
    return Step(
        "type",
        says,
        lambda text: F.when(text.isin(*spec.true_values), True).when(text.isin(*spec.false_values), False),
    )


def level_steps(name: str, spec: CategoryColumn, dtype: str, table: RawTable) -> list[Step]:
    require_dtype(name, dtype, spec.type, {"string", *WHOLE_DTYPES})
    if spec.lookup is not None:
        codes = list(table.lookups[spec.lookup].entries or {})
        return [Step("lookup", f"a code of {spec.lookup}", partial(_one_of, codes))]
    if spec.levels is not None:
        return [Step("level", f"one of {', '.join(spec.levels)}", partial(_one_of, list(spec.levels)))]
    return [] if dtype == "string" else [Step("type", "a level", lambda value: value.cast("string"))]


def _one_of(levels: list[str], value: Column) -> Column:
    text = value.cast("string")
    return F.when(text.isin(levels), text)


def meaning_of(lookup: Lookup, code: Column) -> Column:
    pairs = (lookup.entries or {}).items()
    literals = [F.lit(item) for item in chain.from_iterable(pairs)]
    return F.element_at(F.create_map(*literals), code)


def pattern_step(pattern: str) -> Step:
    return Step("pattern", f"text like {pattern}", lambda text: F.when(text.rlike(rf"\A(?:{pattern})\z"), text))
