"""A line about each feature, for the report."""

from typing import Any, Final

from medspark.encode.statistics import Statistics

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
