"""Fit statistics on the training split: two passes over it, whatever the number of columns.

The first is one aggregation over all numeric columns, the second one grouped count over all levels and codes.
"""

import math
from collections import defaultdict
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.columns import LABEL, SPLIT, TRAIN, quoted
from medspark.encode.statistics import (
    KNOTS,
    CategoricalStatistics,
    CodesStatistics,
    NumericStatistics,
    Statistics,
)
from medspark.errors import InputError
from medspark.task import CategoricalFeature, CodesFeature, Features, NumericFeature

MOST_LEVELS = 200_000
"""Levels and codes in all that the driver takes; past it a feature is an identifier by mistake."""
_DIGITS = 7


def fit_statistics(cases: DataFrame, features: Features) -> Statistics:
    """Fit on the cases of the training split whose outcome is known.

    Sums in floating point depend on their order, so numbers are kept to seven significant digits and quantiles are
    taken of values at four: one seed gives one set of statistics, whatever the partitions.

    Raises:
        InputError: the training split is empty, a numeric feature has no value in it, or a vocabulary is too large.
    """
    train = cases.where((F.col(SPLIT) == TRAIN) & F.col(LABEL).isNotNull())
    numbers = _summarise(train, features)
    if numbers["cases"] == 0:
        raise InputError("the training split has no case with a known outcome: nothing can be fitted")
    empty = [f.column for at, f in enumerate(features.numeric) if numbers[f"count{at}"] == 0]
    if empty:
        raise InputError(f"these numeric features are missing in every training case: {', '.join(empty)}")
    counts = _count_levels(train, features)
    return Statistics(
        cases=numbers["cases"],
        numeric=tuple(_numeric(feature, at, numbers) for at, feature in enumerate(features.numeric)),
        categorical=tuple(
            _categorical(feature, counts[f"level {feature.column}"], numbers["cases"])
            for feature in features.categorical
        ),
        codes=tuple(
            _codes(name, bag, counts[f"codes {name}"], numbers[f"with {name}"] / numbers["cases"])
            for name, bag in features.codes.items()
        ),
    )


def _summarise(train: DataFrame, features: Features) -> dict[str, Any]:
    steps = F.array(*map(F.lit, KNOTS))
    aggregates = [F.count(F.lit(1)).alias("cases")]
    for at, feature in enumerate(features.numeric):
        value = as_number(F.col(quoted(feature.column)))
        aggregates += [
            F.count(value).alias(f"count{at}"),
            F.avg(value).alias(f"mean{at}"),
            F.stddev_pop(value).alias(f"sd{at}"),
            F.percentile(_four_digits(value), steps).alias(f"knots{at}"),
        ]
    for name, bag in features.codes.items():
        present = F.coalesce(*(F.col(quoted(column)) for column in bag.columns))
        aggregates.append(F.count(present).alias(f"with {name}"))
    return train.agg(*aggregates).collect()[0].asDict()


def as_number(value: Column) -> Column:
    """A feature's value as a double, null where it is missing or not a number."""
    number = value.cast("double")
    return F.when(F.abs(number) < float("inf"), number)


def _four_digits(value: Column) -> Column:
    """Rounded to four significant digits, which bounds how many values a quantile has to tell apart."""
    power = F.pow(F.lit(10.0), 3 - F.floor(F.log10(F.abs(value))))
    return F.when(value == 0, 0.0).otherwise(F.rint(value * power) / power)


def _count_levels(train: DataFrame, features: Features) -> dict[str, dict[str | None, int]]:
    """How often each level of each feature stands in the training split; a code counts once a case."""
    items = [
        F.array(
            F.struct(
                F.lit(f"level {f.column}").alias("feature"),
                F.col(quoted(f.column)).cast("string").alias("level"),
            )
        )
        for f in features.categorical
    ]
    for name, bag in features.codes.items():
        codes = F.array_distinct(F.array_compact(F.array(*(F.col(quoted(column)) for column in bag.columns))))
        items.append(_labelled(codes, f"codes {name}"))
    counts: dict[str, dict[str | None, int]] = defaultdict(dict)
    if not items:
        return counts
    found = (
        train.select(F.explode(F.concat(*items)).alias("item"))
        .groupBy("item.feature", "item.level")
        .count()
        .limit(MOST_LEVELS + 1)
        .collect()
    )
    if len(found) > MOST_LEVELS:
        raise InputError(
            f"the categorical and code features have more than {MOST_LEVELS} levels in all. "
            "Is one of them an identifier or free text?"
        )
    for row in found:
        counts[row["feature"]][row["level"]] = row["count"]
    return counts


def _labelled(codes: Column, feature: str) -> Column:
    return F.transform(codes, lambda code: F.struct(F.lit(feature).alias("feature"), code.alias("level")))


def _numeric(feature: NumericFeature, at: int, numbers: dict[str, Any]) -> NumericStatistics:
    mean, sd = _rounded(numbers[f"mean{at}"]), _rounded(numbers[f"sd{at}"])
    knots = tuple(_rounded(knot) for knot in numbers[f"knots{at}"])
    median = knots[KNOTS.index(0.5)]
    centers = {
        "standard": (mean, sd),
        "robust": (median, _spread(knots)),
        "quantile": (0.0, 1.0),
        "none": (0.0, 1.0),
    }
    center, scale = centers[feature.scaling]
    impute = {"mean": mean, "median": median, "zero": 0.0}
    return NumericStatistics(
        column=feature.column,
        scaling=feature.scaling,
        center=center,
        scale=scale or 1.0,
        knots=knots,
        impute=impute[feature.impute] if isinstance(feature.impute, str) else feature.impute,
        missing_indicator=feature.missing_indicator,
        mean=mean,
        sd=sd,
        missing_share=_rounded(1 - numbers[f"count{at}"] / numbers["cases"]),
    )


def _spread(knots: tuple[float, ...]) -> float:
    """From the second to the eighth decile, in standard deviations of a normal distribution as wide: 1.683."""
    return _rounded((knots[KNOTS.index(0.8)] - knots[KNOTS.index(0.2)]) / 1.683)


def _categorical(feature: CategoricalFeature, counts: dict[str | None, int], cases: int) -> CategoricalStatistics:
    levels, kept, rare = _vocabulary(counts, feature.at_least)
    return CategoricalStatistics(
        column=feature.column,
        levels=levels,
        counts=kept,
        rare=rare,
        missing_share=_rounded(counts.get(None, 0) / cases),
    )


def _codes(name: str, bag: CodesFeature, counts: dict[str | None, int], with_code: float) -> CodesStatistics:
    codes, kept, rare = _vocabulary(counts, bag.at_least)
    return CodesStatistics(
        name=name,
        columns=bag.columns,
        codes=codes,
        counts=kept,
        rare=rare,
        missing_share=_rounded(1 - with_code),
    )


def _vocabulary(counts: dict[str | None, int], at_least: int) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """The entries seen often enough, the commonest first and ties by name, their counts, and the count of the rest."""
    known = sorted(
        ((n, level) for level, n in counts.items() if level is not None), key=lambda item: (-item[0], item[1])
    )
    kept = [(n, level) for n, level in known if n >= at_least]
    rare = sum(n for n, _ in known) - sum(n for n, _ in kept)
    return tuple(level for _, level in kept), tuple(n for n, _ in kept), rare


def _rounded(value: float) -> float:
    """To seven significant digits: what is beyond them depends on the order of a sum."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else 0.0
