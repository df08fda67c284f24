"""Which column of what the explaining network says is of which input's place, and which item each belongs to.

A place is what a gradient is taken of: a number, a category, a code of a bag, an event, a code at a step of a grid, a
letter, a part of an image. An item is what a clinician is told of: a number with its mark of being missing is one item,
an image is one. No Spark here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medspark.encode.inputs import CATEGORIES, NUMERIC, PIXELS_PREFIX, SEEN_PREFIX, Input
from medspark.encode.kinds.base import FeatureStatistics
from medspark.encode.kinds.events import GRID_PREFIX, TOKENS_PREFIX, ValuesStatistics
from medspark.encode.kinds.genes import GENE_PREFIX, REVERSE_PREFIX
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics

MOST_PARTS = 32
"""Of an image's side: larger images are explained by squares of some pixels."""
BAG_PREFIX = "codes_"

Ints = NDArray[np.int64]


def part_side(found: Input) -> int:
    """Pixels of the side of the squares that an image is explained by.

    >>> part_side(Input("pixels_x", 784, "uint8", shape=(1, 28, 28, 1))), part_side(
    ...     Input("pixels_x", 3 * 512 * 100, "uint8", shape=(1, 512, 100, 3)))
    (1, 16)
    """
    assert found.shape is not None, f"{found.name} has pixels"
    return -(-max(found.shape[1:3]) // MOST_PARTS)


def parts_of(found: Input) -> tuple[int, int, int]:
    """Images, and the rows and columns of squares of each."""
    assert found.shape is not None, f"{found.name} has pixels"
    side = part_side(found)
    return found.shape[0], -(-found.shape[1] // side), -(-found.shape[2] // side)


def places_of(found: Input) -> int:
    """How many places an input has; 0 of one that stands beside another, as an event's time does beside its code."""
    if found.name in (NUMERIC, CATEGORIES):
        return found.width
    if found.name.startswith(PIXELS_PREFIX):
        images, rows, columns = parts_of(found)
        return images * rows * columns
    if found.name.startswith(GRID_PREFIX):
        return found.width // 2
    whole = (SEEN_PREFIX, TOKENS_PREFIX, GENE_PREFIX, REVERSE_PREFIX, BAG_PREFIX)
    return found.width if found.name.startswith(whole) else 0


def spans(inputs: Sequence[Input]) -> dict[str, slice]:
    """The columns of each input's places, by its name, in the inputs' order."""
    found, first = {}, 0
    for one in inputs:
        count = places_of(one)
        if count:
            found[one.name] = slice(first, first + count)
        first += count
    return found


class Block(NamedTuple):
    """A feature's items, which stand beside one another."""

    feature: FeatureStatistics
    first: int
    items: int
    number: int
    """Where the feature's first column in its shared input is."""


class Layout(NamedTuple):
    blocks: tuple[Block, ...]
    items: int
    order: Ints
    """The places, those of one item behind one another."""
    starts: Ints
    """(items,) where each item's begin."""

    def of_items(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Contributions of places (n, places) summed to those of items (n, items)."""
        ordered = places if np.array_equal(self.order, np.arange(len(self.order))) else places[:, self.order]
        return ordered if self.items == ordered.shape[1] else np.add.reduceat(ordered, self.starts, axis=1)


def layout_of(statistics: Statistics) -> Layout:
    """The items of all features, in the statistics' order."""
    places, numbers, categories = spans(statistics.inputs()), 0, 0
    indicator = sum(feature.varies for feature in statistics.numeric)
    blocks: list[Block] = []
    groups: list[list[int]] = []
    for feature in statistics.features():
        first, number = len(groups), 0
        if isinstance(feature, NumericStatistics):
            own = [numbers] if feature.varies else []
            own += [indicator] if feature.missing_indicator else []
            numbers, indicator = numbers + feature.varies, indicator + feature.missing_indicator
            groups += [[places[NUMERIC].start + at for at in own]] if own else []
            number = own[0] if own else 0
        elif isinstance(feature, ValuesStatistics):
            number = indicator
            indicator += feature.width
            groups += _of_values(feature, places[NUMERIC].start + number) if feature.width else []
        elif feature.kind == "categorical":
            number = categories
            if feature.inputs():
                groups.append([places[CATEGORIES].start + categories])
                categories += 1
        elif isinstance(feature, ImageStatistics):
            groups += _of_images(feature, places)
        else:
            named = [places[one.name] for one in feature.inputs() if one.name in places]
            groups += [[at] for span in named for at in range(span.start, span.stop)]
        if len(groups) > first:
            blocks.append(Block(feature, first, len(groups) - first, number))
    order = np.array([at for group in groups for at in group], np.int64)
    starts = np.cumsum([0, *(len(group) for group in groups)])[:-1].astype(np.int64)
    return Layout(tuple(blocks), len(groups), order, starts)


def _of_values(feature: ValuesStatistics, first: int) -> list[list[int]]:
    """An item for each number of each code; whether the code is there is counted with its first number."""
    each, takes = len(feature.numbers), len(feature.takes)
    found = []
    for code in range(len(feature.codes)):
        start = first + code * each
        found += [
            [start + take] + ([start + takes] if feature.marks_presence and not take else []) for take in range(takes)
        ]
    return found


def _of_images(feature: ImageStatistics, places: dict[str, slice]) -> list[list[int]]:
    """An item for each image: its squares, and whether it is there."""
    if not feature.inputs():
        return []
    pixels, seen = feature.inputs()
    images, rows, columns = parts_of(pixels)
    first, beside, each = places[pixels.name].start, places[seen.name].start, rows * columns
    return [[*range(first + at * each, first + (at + 1) * each), beside + at] for at in range(images)]
