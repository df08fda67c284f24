"""Fit statistics on the training split: two passes over it, whatever the number of columns.

The first is one aggregation over all numeric columns, the second one grouped count over all levels and codes. The
features of events need a few passes more, which `fit_events` makes.
"""

from collections import defaultdict
from types import MappingProxyType
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.encode.fit.events import events_aggregates, events_levels, fit_events
from medspark.encode.fit.genes import fit_genes, genes_aggregates
from medspark.encode.fit.history import with_history
from medspark.encode.fit.images import Shapes, fit_images, images_aggregates
from medspark.encode.fit.numbers import Counts
from medspark.encode.fit.table import fit_table, table_aggregates, table_levels, without_a_value
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.schemas import AGE, LABEL, SPLIT, SUBJECT_ID, TARGETS, TRAIN
from medspark.task.features import CategoricalFeature, EventFeatures, Features, GroupColumn, NumericFeature
from medspark.task.training import LEAST_NAMED

MOST_LEVELS = 200_000
"""Levels and codes in all that the driver takes; past it a feature is an identifier by mistake."""


def fit_statistics(
    cases: DataFrame,
    features: Features | EventFeatures,
    shapes: Shapes = MappingProxyType({}),
    names_of_few: bool = False,
) -> Statistics:
    """Fit on the cases of the training split whose outcome is known.

    Sums in floating point depend on their order, so numbers are kept to seven significant digits and quantiles are
    taken of values at four: one seed gives one set of statistics, whatever the partitions.

    Args:
        cases: with the columns that the features read.
        features: the task's.
        shapes: of the columns of images among these.
        names_of_few: whether a level or code of fewer than LEAST_NAMED patients may be named.

    Raises:
        InputError: the training split is empty, a numeric feature has no value in it, or a vocabulary is too large.
    """
    train = cases.where((F.col(SPLIT) == TRAIN) & _is_known(cases))
    plain, groups = _parts(features, dict(cases.dtypes))
    of_inputs = [*genes_aggregates(plain.genes), *images_aggregates(plain.images)]
    numbers = _summarise(train, [*table_aggregates(plain), *events_aggregates(groups), *of_inputs])
    if numbers["cases"] == 0:
        raise InputError("the training split has no case with a known outcome: nothing can be fitted")
    empty = without_a_value(plain, numbers)
    if empty:
        raise InputError(f"these numeric features are missing in every training case: {', '.join(empty)}")
    counts = _count_levels(train, [*table_levels(plain), *events_levels(groups)], 1 if names_of_few else LEAST_NAMED)
    found = fit_table(plain, numbers, counts) | fit_events(train, groups, numbers, counts)
    found |= fit_genes(plain.genes, numbers) | fit_images(plain.images, shapes, numbers)
    return Statistics(cases=numbers["cases"], **found)


def _is_known(cases: DataFrame) -> Column:
    """Whether anything is known of a case's outcome."""
    if TARGETS not in cases.columns:
        return F.col(LABEL).isNotNull()
    return F.coalesce(F.exists(TARGETS, lambda label: label.isNotNull()), F.lit(False))


def _parts(features: Features | EventFeatures, dtypes: dict[str, str]) -> tuple[Features, list[GroupColumn]]:
    """The features of single values, and the columns of many: of events, and of earlier rows."""
    if isinstance(features, EventFeatures):
        return demographics(features), features.columns()
    return with_history(features, dtypes)


def demographics(features: EventFeatures) -> Features:
    """The demographics of an event task as features of a table: the age is a number, the others are categories."""
    return Features(
        numeric=tuple(
            NumericFeature(column=name, missing_indicator=True) for name in features.demographics if name == AGE
        ),
        categorical=tuple(CategoricalFeature(column=name) for name in features.demographics if name != AGE),
    )


def _summarise(train: DataFrame, aggregates: list[Column]) -> dict[str, Any]:
    return train.agg(F.count(F.lit(1)).alias("cases"), *aggregates).collect()[0].asDict()


def _has_repeated_patients(train: DataFrame) -> bool:
    found = train.agg(F.count("*").alias("cases"), F.count_distinct(SUBJECT_ID).alias("patients")).collect()[0]
    return bool(found["cases"] > found["patients"])


def _count_levels(train: DataFrame, items: list[Column], least: int) -> dict[str, Counts]:
    """How often each level of each feature stands in the training split; a code counts once a case.

    One of fewer than `least` patients counts once for each: many cases of one patient make no common level.
    """
    counts: dict[str, Counts] = defaultdict(dict)
    if not items:
        return counts
    # Where each case has a patient of its own there are as many of both, and nothing to keep apart
    people = F.count_distinct(SUBJECT_ID) if least > 1 and _has_repeated_patients(train) else F.count("*")
    found = (
        train.select(SUBJECT_ID, F.explode(F.concat(*items)).alias("item"))
        .groupBy("item.feature", "item.level")
        .agg(F.count("*").alias("cases"), people.alias("patients"))
        .limit(MOST_LEVELS + 1)
        .collect()
    )
    if len(found) > MOST_LEVELS:
        raise InputError(
            f"the categorical and code features have more than {MOST_LEVELS} levels in all. "
            "Is one of them an identifier or free text?"
        )
    for row in found:
        few = row["level"] is not None and row["patients"] < least
        counts[row["feature"]][row["level"]] = row["patients"] if few else row["cases"]
    return counts
