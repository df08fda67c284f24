"""Fit statistics on the training split: two passes over it, whatever the number of columns.

The first is one aggregation over all numeric columns, the second one grouped count over all levels and codes. The
features of events need a few passes more, which `fit_groups` makes.
"""

from collections import defaultdict
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.encode.fit.events import codes_of, fit_groups
from medspark.encode.fit.numbers import Counts, as_number, four_digits
from medspark.encode.fit.table import fit_categorical, fit_codes, fit_numeric
from medspark.encode.statistics import KNOTS, Statistics
from medspark.errors import InputError
from medspark.schemas import AGE, LABEL, SPLIT, TRAIN, quoted
from medspark.task.features import CategoricalFeature, EventFeatures, Features, GroupColumn, NumericFeature

MOST_LEVELS = 200_000
"""Levels and codes in all that the driver takes; past it a feature is an identifier by mistake."""


def fit_statistics(cases: DataFrame, features: Features | EventFeatures) -> Statistics:
    """Fit on the cases of the training split whose outcome is known.

    Sums in floating point depend on their order, so numbers are kept to seven significant digits and quantiles are
    taken of values at four: one seed gives one set of statistics, whatever the partitions.

    Raises:
        InputError: the training split is empty, a numeric feature has no value in it, or a vocabulary is too large.
    """
    train = cases.where((F.col(SPLIT) == TRAIN) & F.col(LABEL).isNotNull())
    plain, groups = _parts(features)
    numbers = _summarise(train, plain, groups)
    if numbers["cases"] == 0:
        raise InputError("the training split has no case with a known outcome: nothing can be fitted")
    empty = [f.column for at, f in enumerate(plain.numeric) if numbers[f"count{at}"] == 0]
    if empty:
        raise InputError(f"these numeric features are missing in every training case: {', '.join(empty)}")
    counts = _count_levels(train, plain, groups)
    of_groups = {group.name: counts[f"group {group.name}"] for group in groups}
    with_code = {group.name: numbers[f"group {group.name}"] for group in groups}
    return Statistics(
        cases=numbers["cases"],
        numeric=tuple(fit_numeric(feature, at, numbers) for at, feature in enumerate(plain.numeric)),
        categorical=tuple(
            fit_categorical(feature, counts[f"level {feature.column}"], numbers["cases"])
            for feature in plain.categorical
        ),
        codes=tuple(
            fit_codes(name, bag, counts[f"codes {name}"], numbers[f"with {name}"] / numbers["cases"])
            for name, bag in plain.codes.items()
        ),
        **fit_groups(train, groups, of_groups, with_code, numbers["cases"])._asdict(),
    )


def _parts(features: Features | EventFeatures) -> tuple[Features, list[GroupColumn]]:
    """The features of single values, and the columns of events."""
    if isinstance(features, EventFeatures):
        return demographics(features), features.columns()
    return features, []


def demographics(features: EventFeatures) -> Features:
    """The demographics of an event task as features of a table: the age is a number, the others are categories."""
    return Features(
        numeric=tuple(
            NumericFeature(column=name, missing_indicator=True) for name in features.demographics if name == AGE
        ),
        categorical=tuple(CategoricalFeature(column=name) for name in features.demographics if name != AGE),
    )


def _summarise(train: DataFrame, features: Features, groups: list[GroupColumn]) -> dict[str, Any]:
    steps = F.array(*map(F.lit, KNOTS))
    aggregates = [F.count(F.lit(1)).alias("cases")]
    for at, feature in enumerate(features.numeric):
        value = as_number(F.col(quoted(feature.column)))
        aggregates += [
            F.count(value).alias(f"count{at}"),
            F.avg(value).alias(f"mean{at}"),
            F.stddev_pop(value).alias(f"sd{at}"),
            F.percentile(four_digits(value), steps).alias(f"knots{at}"),
        ]
    for name, bag in features.codes.items():
        present = F.coalesce(*(F.col(quoted(column)) for column in bag.columns))
        aggregates.append(F.count(present).alias(f"with {name}"))
    for group in groups:
        seen = F.when(F.size(quoted(group.name)) > 0, 1)
        aggregates.append(F.count(seen).alias(f"group {group.name}"))
    return train.agg(*aggregates).collect()[0].asDict()


def _count_levels(train: DataFrame, features: Features, groups: list[GroupColumn]) -> dict[str, Counts]:
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
    items += [_labelled(codes_of(group), f"group {group.name}") for group in groups]
    counts: dict[str, Counts] = defaultdict(dict)
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
