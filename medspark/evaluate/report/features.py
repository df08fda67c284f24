"""A line about each feature, for the report, and who the training cases are."""

from typing import Any, Final

from medspark.encode.kinds.table import CategoricalStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.privacy.small_cells import HIDDEN, publishable_counts

FIRST: Final = ("numeric", "categorical", "codes", "bag")
"""Kinds that the report shows first, single values and bags; the others follow as the statistics have them."""


def feature_rows(statistics: Statistics) -> list[dict[str, Any]]:
    """What each feature says of itself in the training split; levels and counts, never a patient's value."""
    return [
        {
            "name": feature.title,
            "kind": feature.kind,
            "missing_share": feature.missing_share,
            "summary": feature.summary if feature.remark is None else f"{feature.summary}; {feature.remark}",
        }
        for feature in sorted(statistics.features(), key=lambda feature: feature.kind not in FIRST)
    ]


def characteristics(statistics: Statistics) -> list[dict[str, Any]]:
    """Of the training split's single values `name`, `mean` and `sd`, of its categories `name`, `level`, `cases` (small
    ones hidden) and `share` (None where the count is); without what is the same in all cases."""
    numbers = [_of_number(one) for one in statistics.numeric if one.varies]
    return numbers + [row for one in statistics.categorical if one.varies for row in _of_levels(one, statistics.cases)]


def _of_number(one: NumericStatistics) -> dict[str, Any]:
    return {"name": one.column, "mean": one.mean, "sd": one.sd, "missing_share": one.missing_share}


def _of_levels(one: CategoricalStatistics, cases: int) -> list[dict[str, Any]]:
    levels = [*zip(one.levels, one.counts, strict=True), ("rarer levels", one.rare)]
    levels.append(("missing", cases - sum(count for _, count in levels)))
    there = [(name, count) for name, count in levels if count > 0]
    shown = publishable_counts([count for _, count in there])
    return [
        {
            "name": one.column,
            "level": name,
            "cases": said,
            "share": None if said == HIDDEN else round(count / cases, 3 if said == count else 2),
        }
        for (name, count), said in zip(there, shown, strict=True)
    ]
