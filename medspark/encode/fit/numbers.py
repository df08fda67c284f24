"""What is fitted is the same whatever the partitions: the numbers and their scalings, the counts and vocabularies."""

import math
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.encode.kinds.base import FAR, KNOTS

Counts = dict[str | None, int]
"""How many cases have each level or code; None is a missing level."""
_DIGITS = 7


def moments(value: Column, at: int) -> list[Column]:
    """Of a number, the aggregates `count{at}`, `mean{at}`, `sd{at}`, `least{at}`, `most{at}` and `knots{at}`."""
    number = as_number(value)
    return [
        F.count(number).alias(f"count{at}"),
        F.avg(number).alias(f"mean{at}"),
        F.stddev_pop(number).alias(f"sd{at}"),
        F.min(number).alias(f"least{at}"),
        F.max(number).alias(f"most{at}"),
        F.percentile(four_digits(number), F.array(*map(F.lit, KNOTS))).alias(f"knots{at}"),
    ]


def labelled(levels: Column, feature: str) -> Column:
    """An array of levels as one of (feature, level), to be counted with those of other features."""
    return F.transform(levels, lambda level: F.struct(F.lit(feature).alias("feature"), level.alias("level")))


def as_number(value: Column) -> Column:
    """A feature's value as a double, null where it is missing or not a number."""
    number = value.cast("double")
    return F.when(F.abs(number) < float("inf"), number)


def four_digits(value: Column) -> Column:
    """Rounded to four significant digits, which bounds how many values a quantile has to tell apart."""
    power = F.pow(F.lit(10.0), 3 - F.floor(F.log10(F.abs(value))))
    return F.when(value == 0, 0.0).otherwise(F.rint(value * power) / power)


def rounded(value: float) -> float:
    """To seven significant digits: what is beyond them depends on the order of a sum.

    >>> rounded(0.1 + 0.2), rounded(123456789.0)
    (0.3, 123456800.0)
    """
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else 0.0


def center_and_scale(scaling: str, mean: float, sd: float, knots: tuple[float, ...]) -> tuple[float, float]:
    """What a value is shifted and divided by; never by 0."""
    if scaling == "standard":
        return mean, sd or 1.0
    if scaling == "robust":
        return median_of(knots), _between(knots, 0.2, 0.8, 1.683) or 1.0
    if scaling == "smooth":
        return median_of(knots), spread(knots) or 1.0
    return 0.0, 1.0


def median_of(knots: tuple[float, ...]) -> float:
    return knots[KNOTS.index(0.5)]


def spread(knots: tuple[float, ...]) -> float:
    """Half the width of the middle, in standard deviations of a normal distribution as wide; 0 where all are alike.

    Of numbers that are mostly the same a wider part is taken, and at last all.

    >>> spread(KNOTS), spread((0.0,) * 9 + (1.0, 2.0, 4.0, 1e30))
    (0.3565062, 0.3901678)
    """
    parts = ((0.2, 0.8, 1.683), (0.1, 0.9, 2.563), (0.0, 0.95, 1.645), (0.0, 0.99, 2.326), (0.0, 1.0, 2.0))
    return next(filter(None, (_between(knots, *part) for part in parts)), 0.0)


def _between(knots: tuple[float, ...], low: float, high: float, deviations: float) -> float:
    return rounded((knots[KNOTS.index(high)] - knots[KNOTS.index(low)]) / deviations)


def reaches_far(found: dict[str, Any], at: int) -> bool:
    """Whether any value lies more than FAR spreads from the median."""
    middle, wide = median_of(found[f"knots{at}"]), FAR * spread(found[f"knots{at}"])
    return bool(found[f"most{at}"] - middle > wide or middle - found[f"least{at}"] > wide)


def vocabulary(counts: Counts, at_least: int) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """The entries seen often enough, the commonest first and ties by name, their counts, and the count of the rest.

    >>> vocabulary({"E11": 30, "I10": 90, "A00": 30, "Z99": 2, None: 70}, at_least=20)
    (('I10', 'A00', 'E11'), (90, 30, 30), 2)
    """
    known = sorted(
        ((n, level) for level, n in counts.items() if level is not None), key=lambda item: (-item[0], item[1])
    )
    kept = [(n, level) for n, level in known if n >= at_least]
    rare = sum(n for n, _ in known) - sum(n for n, _ in kept)
    return tuple(level for _, level in kept), tuple(n for n, _ in kept), rare
