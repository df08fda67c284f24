"""What earlier rows say, as the features that it is made of: numbers, categories, bags of codes."""

from collections.abc import Mapping

from medspark.task.features import (
    CategoricalFeature,
    CodesGroup,
    Features,
    GroupColumn,
    NumericFeature,
)
from medspark.task.history import EARLIER_ROWS, SINCE_LAST_ROW, History, last_of

NOT_NUMBERS = frozenset({"string", "boolean"})
"""Spark types of columns whose last value is a level, unless the column itself is a numeric feature."""


def with_history(features: Features, dtypes: Mapping[str, str]) -> tuple[Features, list[GroupColumn]]:
    """The features of single values with those of the past among them, and the bags of codes.

    A column's last value is read as the column itself, with its settings, where that is a feature; else by its type.

    Args:
        features: a table task's.
        dtypes: Spark types of the columns of cases.
    """
    history = features.history
    if history is None:
        return features, []
    numeric = {feature.column: feature for feature in features.numeric}
    categorical = {feature.column: feature for feature in features.categorical}
    numbers, levels = _numbers(history), []
    for name in history.last:
        last = last_of(name)
        if name in numeric or (name not in categorical and dtypes[last] not in NOT_NUMBERS):
            numbers.append(numeric.get(name, NumericFeature(column=name)).model_copy(update={"column": last}))
        else:
            levels.append(categorical.get(name, CategoricalFeature(column=name)).model_copy(update={"column": last}))
    both = {"numeric": (*features.numeric, *numbers), "categorical": (*features.categorical, *levels)}
    return features.model_copy(update=both), _bags(history)


def _numbers(history: History) -> list[NumericFeature]:
    asked = {EARLIER_ROWS: history.count, SINCE_LAST_ROW: history.gap}
    return [NumericFeature(column=name) for name, wanted in asked.items() if wanted]


def _bags(history: History) -> list[GroupColumn]:
    return [
        GroupColumn(name, "codes", CodesGroup(of=bag.columns, at_least=bag.at_least, most=bag.most), None)
        for name, bag in history.codes.items()
    ]
