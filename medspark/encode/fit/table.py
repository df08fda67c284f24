"""Fit the features of a table: numbers, categories, bags of codes."""

from typing import Any

from medspark.encode.fit.numbers import Counts, center_and_scale, rounded, vocabulary
from medspark.encode.statistics import KNOTS, CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.task.features import CategoricalFeature, CodesFeature, NumericFeature


def fit_numeric(feature: NumericFeature, at: int, numbers: dict[str, Any]) -> NumericStatistics:
    mean, sd = rounded(numbers[f"mean{at}"]), rounded(numbers[f"sd{at}"])
    knots = tuple(rounded(knot) for knot in numbers[f"knots{at}"])
    median = knots[KNOTS.index(0.5)]
    center, scale = center_and_scale(feature.scaling, mean, sd, knots)
    impute = {"mean": mean, "median": median, "zero": 0.0}
    return NumericStatistics(
        column=feature.column,
        scaling=feature.scaling,
        center=center,
        scale=scale,
        knots=knots,
        impute=impute[feature.impute] if isinstance(feature.impute, str) else feature.impute,
        missing_indicator=feature.missing_indicator,
        mean=mean,
        sd=sd,
        missing_share=rounded(1 - numbers[f"count{at}"] / numbers["cases"]),
    )


def fit_categorical(feature: CategoricalFeature, counts: Counts, cases: int) -> CategoricalStatistics:
    levels, kept, rare = vocabulary(counts, feature.at_least)
    return CategoricalStatistics(
        column=feature.column,
        levels=levels,
        counts=kept,
        rare=rare,
        missing_share=rounded(counts.get(None, 0) / cases),
    )


def fit_codes(name: str, bag: CodesFeature, counts: Counts, with_code: float) -> CodesStatistics:
    codes, kept, rare = vocabulary(counts, bag.at_least)
    return CodesStatistics(
        name=name,
        columns=bag.columns,
        codes=codes,
        counts=kept,
        rare=rare,
        missing_share=rounded(1 - with_code),
    )
