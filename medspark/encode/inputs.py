"""The network's inputs: an array each, and what models make of it. No Spark here."""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

NUMERIC = "numeric"
CATEGORIES = "categories"
"""Names of the two inputs that many features share; any other is named after its feature."""

PIXELS_PREFIX = "pixels_"
SEEN_PREFIX = "seen_"
"""Before an image's name: the names of its two inputs."""

Plain = Literal["numbers", "categories", "codes", "events", "grid", "positions", "image"]
"""What a plain model, one of the baselines, takes an input for."""


class Input(NamedTuple):
    """An input of the network, (n, width), or a feature's share of one."""

    name: str
    width: int
    dtype: Literal["float32", "int32", "uint8"]
    size: int | None = None
    """Of ids, how many there are; of a grid, how many codes; of other numbers None."""
    part: str | None = None
    """The network's part that reads it, by its name among PARTS; None where another input's part reads it along."""
    plain: Plain | None = None
    """None where a plain model leaves it out."""
    shape: tuple[int, int, int, int] | None = None
    """Of pixels: images a case, their height, width and channels."""


def share_of_numbers(width: int) -> Input:
    """A share of the input that numbers share."""
    return Input(NUMERIC, width, "float32", part="numbers", plain="numbers")


def share_of_categories(width: int, size: int) -> Input:
    """A share of the input that categories share, and of its table: each feature has a range of ids there."""
    return Input(CATEGORIES, width, "int32", size, part="categories", plain="categories")


def bag_of_codes(name: str, width: int, size: int) -> Input:
    """A bag of codes, 0 where a case has fewer."""
    return Input(f"codes_{name}", width, "int32", size, part="codes", plain="codes")


def images(name: str, shape: tuple[int, int, int, int]) -> tuple[Input, Input]:
    """A case's images, image by image and row by row, and of each 1 where there is one and 0 where there is none."""
    return (
        Input(PIXELS_PREFIX + name, math.prod(shape), "uint8", part="image", plain="image", shape=shape),
        Input(SEEN_PREFIX + name, shape[0], "float32", plain="numbers"),
    )


PIXELS_AT_ONCE = 2**19
"""That a network gets at a time: its first layers hold some hundred bytes for each."""


def rows_at_once(most: int, pixels: int) -> int:
    """How many cases a network gets at a time: `most`, and of cases with so many pixels each a power of two.

    >>> rows_at_once(1024, 0), rows_at_once(1024, 28 * 28), rows_at_once(1024, 3 * 512 * 512)
    (1024, 512, 1)
    """
    return most if not pixels else min(most, 2 ** max(0, (PIXELS_AT_ONCE // pixels).bit_length() - 1))


def pixels_of(inputs: Iterable[Input]) -> int:
    """How many pixels a case has, those of all channels."""
    return sum(found.width for found in inputs if found.dtype == "uint8")


def together(one: Input, other: Input) -> Input:
    """Two shares of one input, the other's columns behind the first's.

    >>> together(share_of_categories(1, 4), share_of_categories(2, 7))[:4]
    ('categories', 3, 'int32', 11)
    """
    size = None if one.size is None or other.size is None else one.size + other.size
    return one._replace(width=one.width + other.width, size=size)


def size_of(found: Input) -> int:
    """How many ids are behind an input of ids, or how many codes behind a grid."""
    assert found.size is not None, f"{found.name} has numbers, no ids"
    return found.size
