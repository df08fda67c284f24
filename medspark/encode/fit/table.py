"""Fit the features of a table: numbers, categories, bags of codes."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.encode.fit.numbers import (
    Counts,
    center_and_scale,
    labelled,
    median_of,
    moments,
    reaches_far,
    rounded,
    vocabulary,
)
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.schemas import quoted
from medspark.task.features import CategoricalFeature, CodesFeature, Features, NumericFeature


def table_aggregates(features: Features) -> list[Column]:
    """What the one pass over the training split finds out: the numbers' moments, and how many cases have a code."""
    found = []
    for at, feature in enumerate(features.numeric):
        found += moments(F.col(quoted(feature.column)), at)
    for name, bag in features.codes.items():
        present = F.coalesce(*(F.col(quoted(column)) for column in bag.columns))
        found.append(F.count(present).alias(f"with {name}"))
    return found


def table_levels(features: Features) -> list[Column]:
    """Of each case the levels and codes that are counted, each once."""
    found = []
    for feature in features.categorical:
        level = F.col(quoted(feature.column)).cast("string")
        found.append(labelled(F.array(level), f"level {feature.column}"))
    for name, bag in features.codes.items():
        codes = F.array(*(F.col(quoted(column)) for column in bag.columns))
        found.append(labelled(F.array_distinct(F.array_compact(codes)), f"codes {name}"))
    return found


def without_a_value(features: Features, numbers: dict[str, Any]) -> list[str]:
    """The numeric features that are missing in every training case."""
    return [feature.column for at, feature in enumerate(features.numeric) if numbers[f"count{at}"] == 0]


def fit_table(features: Features, numbers: dict[str, Any], counts: Mapping[str, Counts]) -> dict[str, Any]:
    """The statistics by their field.

    Args:
        features: as in the task.
        numbers: `cases`, their number, and what `table_aggregates` found.
        counts: what `table_levels` found.
    """
    cases = numbers["cases"]
    return {
        "numeric": tuple(_numeric(feature, at, numbers) for at, feature in enumerate(features.numeric)),
        "categorical": tuple(
            _categorical(feature, counts[f"level {feature.column}"], cases) for feature in features.categorical
        ),
        "codes": tuple(
            _codes(name, bag, counts[f"codes {name}"], numbers[f"with {name}"], cases)
            for name, bag in features.codes.items()
        ),
    }


def _numeric(feature: NumericFeature, at: int, numbers: dict[str, Any]) -> NumericStatistics:
    mean, sd = rounded(numbers[f"mean{at}"]), rounded(numbers[f"sd{at}"])
    knots = tuple(rounded(knot) for knot in numbers[f"knots{at}"])
    center, scale = center_and_scale(feature.scaling, mean, sd, knots)
    impute = {"mean": mean, "median": median_of(knots), "zero": 0.0}
    return NumericStatistics(
        column=feature.column,
        varies=numbers[f"least{at}"] < numbers[f"most{at}"],
        far=reaches_far(numbers, at),
        scaling=feature.scaling,
        center=center,
        scale=scale,
        knots=knots,
        impute=impute[feature.impute] if isinstance(feature.impute, str) else feature.impute,
        missing_indicator=feature.missing_indicator and 0 < numbers[f"count{at}"] < numbers["cases"],
        mean=mean,
        sd=sd,
        missing_share=rounded(1 - numbers[f"count{at}"] / numbers["cases"]),
    )


def _categorical(feature: CategoricalFeature, counts: Counts, cases: int) -> CategoricalStatistics:
    levels, kept, rare = vocabulary(counts, feature.at_least)
    return CategoricalStatistics(
        column=feature.column,
        levels=levels,
        counts=kept,
        rare=rare,
        missing_share=rounded(counts.get(None, 0) / cases),
        varies=len(levels) + (rare > 0) + (counts.get(None, 0) > 0) > 1,
    )


def _codes(name: str, bag: CodesFeature, counts: Counts, with_code: int, cases: int) -> CodesStatistics:
    codes, kept, rare = vocabulary(counts, bag.at_least)
    return CodesStatistics(
        name=name,
        columns=bag.columns,
        codes=codes,
        counts=kept,
        rare=rare,
        missing_share=rounded(1 - with_code / cases),
        varies=rare > 0 or any(count < cases for count in kept),
    )
