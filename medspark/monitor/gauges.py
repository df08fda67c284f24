"""What is watched of the network's inputs: one gauge for a number, a category, a bag of codes. No Spark here.

Everything is read off the tensors, which training and every way of scoring have alike, so a night is counted while it
is scored and a kind of feature is watched wherever it comes from. A number is told by cells between fixed edges, a
category by its levels, a bag by how many cases have each code.
"""

import math
from collections.abc import Iterator
from typing import Final, Literal

from medspark.encode.inputs import CATEGORIES, NUMERIC
from medspark.encode.kinds.base import FIRST_ID, Frozen
from medspark.encode.kinds.events import GRID_PREFIX, PRESENCE, TIMES_PREFIX, TOKENS_PREFIX, ValuesStatistics
from medspark.encode.kinds.genes import GENE_PREFIX
from medspark.encode.statistics import Statistics
from medspark.encode.worker.flat import CLIP
from medspark.task.features import Scaling

MISSING: Final = 0
"""The first cell of every gauge: no value, no level, no code."""
UNSEEN: Final = 1
"""The second cell of levels and codes: training had none like it, or too few."""
VALUES: Final = ("last", "first", "mean", "min", "max")
"""Numbers of a code that are in its own unit."""
MOST_NUMBERS: Final = 500
MOST_CODES: Final = 500
"""Watched of one feature, the commonest first: a bag may have ten thousand codes."""

Reads = Literal["number", "level", "codes", "grid", "hours", "pixels", "letters"]


class Gauge(Frozen):
    """One thing that is watched, and where in the tensors it stands."""

    name: str
    reads: Reads
    input: str
    """The network's input that has it."""
    at: int = 0
    """Its column there; of a grid, its code."""
    missing_at: int | None = None
    """The column that is 1 where the number is missing."""
    present_at: int | None = None
    """The column that is 0 where the number is missing."""
    missing_as: float | None = None
    """What a missing number is encoded as, where no column says it: the same number is then taken for missing too."""
    offset: int = 0
    """Of a level: its feature's first id."""
    center: float = 0.0
    scale: float = 1.0
    scaling: Scaling = "none"
    """How the number was scaled: what it is in its own unit."""
    steps: int = 0
    """Of a grid, and its codes in all."""
    codes: int = 0
    levels: tuple[str, ...] = ()
    """Names of the cells behind MISSING and UNSEEN."""
    edges: tuple[float, ...] = ()
    """Of a number, as it is encoded, rising: below the first and from the last on training had nearly nothing."""

    @property
    def is_number(self) -> bool:
        return self.reads not in ("level", "codes")

    @property
    def has_unit(self) -> bool:
        """Whether the number's value in its own unit can be told: places among quantiles end with the training's."""
        return self.reads in ("number", "grid") and self.scaling != "quantile"

    @property
    def cells(self) -> int:
        return len(self.edges) + 2 if self.is_number else len(self.levels) + FIRST_ID


def gauges_of(statistics: Statistics) -> list[Gauge]:
    """All that can be watched of a network's inputs, in their order; numbers without edges yet."""
    return [
        *_numbers(statistics),
        *_levels(statistics),
        *_codes(statistics),
        *_of_grids(statistics),
        *_of_sequences(statistics),
        *_of_images_and_genes(statistics),
    ]


def _numbers(statistics: Statistics) -> Iterator[Gauge]:
    """The columns of `numeric`: the features that vary, then their indicators, then each group of values."""
    varying = [feature for feature in statistics.numeric if feature.varies]
    marked = [feature.column for feature in statistics.numeric if feature.missing_indicator]
    for at, feature in enumerate(varying):
        indicator = len(varying) + marked.index(feature.column) if feature.column in marked else None
        missing = None
        if indicator is None:
            missing = _encoded(feature.scaling, feature.impute, feature.center, feature.scale)
        yield Gauge(
            name=feature.column,
            reads="number",
            input=NUMERIC,
            at=at,
            missing_at=indicator,
            missing_as=missing,
            center=feature.center,
            scale=feature.scale,
            scaling=feature.scaling,
        )
    at = len(varying) + len(marked)
    for group in statistics.values:
        yield from _values(group, at)
        at += group.width


def _encoded(scaling: Scaling, value: float, center: float, scale: float) -> float | None:
    """A number as the encoder scales it; None of a place among quantiles, which ties with others."""
    if scaling == "quantile":
        return None
    deviation = (value - center) / scale
    return deviation / math.hypot(1.0, deviation / CLIP) if scaling == "smooth" else deviation


def _values(group: ValuesStatistics, first: int) -> Iterator[Gauge]:
    """Of each code each number; a column says whether it is there, unless every training case had it."""
    each, takes, constant = len(group.numbers), len(group.takes), set(group.constant)
    says = next((word for word in (PRESENCE, "present") if word in group.numbers), None)
    for code, name in enumerate(group.codes[: max(1, MOST_NUMBERS // max(1, takes))]):
        start = first + code * each
        present = start + group.numbers.index(says) if says is not None and (name, says) not in constant else None
        for take, what in enumerate(group.takes):
            if (name, what) in constant:
                continue
            center, scale = group.center[code][take], group.scale[code][take]
            missing = _encoded(group.scaling, group.impute[code][take], center, scale) if present is None else None
            yield Gauge(
                name=f"{group.column}: {what} of {name}",
                reads="number",
                input=NUMERIC,
                at=start + take,
                present_at=present,
                missing_as=missing if what in VALUES else None,
                center=center,
                scale=scale,
                scaling=group.scaling if what in VALUES else "quantile",
            )


def _levels(statistics: Statistics) -> Iterator[Gauge]:
    at = offset = 0
    for feature in statistics.categorical:
        if not feature.varies:
            continue
        yield Gauge(name=feature.column, reads="level", input=CATEGORIES, at=at, offset=offset, levels=feature.levels)
        at, offset = at + 1, offset + feature.size


def _codes(statistics: Statistics) -> Iterator[Gauge]:
    known = [(bag.inputs(), bag.codes) for bag in statistics.codes]
    known += [(bag.inputs(), bag.codes) for bag in statistics.bags]
    for inputs, codes in known:
        for found in inputs:
            name = found.name.removeprefix("codes_")
            yield Gauge(name=name, reads="codes", input=found.name, levels=codes[:MOST_CODES])


def _of_grids(statistics: Statistics) -> Iterator[Gauge]:
    """Of each code the last number in the grid, missing where the grid has none."""
    for grid in statistics.grids:
        if not grid.carried:
            continue
        for code, name in enumerate(grid.codes[:MOST_NUMBERS]):
            yield Gauge(
                name=f"{grid.column}: {name}",
                reads="grid",
                input=GRID_PREFIX + grid.column,
                at=code,
                steps=grid.steps,
                codes=len(grid.codes),
                center=grid.mean[code],
                scale=grid.scale[code] or 1.0,
                scaling=grid.scaling,
            )


def _of_sequences(statistics: Statistics) -> Iterator[Gauge]:
    """The codes of a sequence's events, and how long before the prediction the newest one was."""
    for found in statistics.sequences:
        tokens = TOKENS_PREFIX + found.column
        yield Gauge(name=found.column, reads="codes", input=tokens, levels=found.codes[:MOST_CODES])
        times = TIMES_PREFIX + found.column
        yield Gauge(name=f"{found.column}: hours since the newest event", reads="hours", input=times)


def _of_images_and_genes(statistics: Statistics) -> Iterator[Gauge]:
    for image in statistics.images:
        for pixels in image.inputs()[:1]:
            yield Gauge(name=f"{image.name}: mean brightness", reads="pixels", input=pixels.name)
    for gene in statistics.genes:
        if gene.varies:
            yield Gauge(name=f"{gene.name}: share of G and C", reads="letters", input=GENE_PREFIX + gene.name)
