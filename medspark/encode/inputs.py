"""The network's inputs: an array each, and what models make of it. No Spark here."""

from typing import Literal, NamedTuple

NUMERIC = "numeric"
CATEGORIES = "categories"
"""Names of the two inputs that many features share; any other is named after its feature."""

Plain = Literal["numbers", "categories", "codes", "events", "grid", "positions"]
"""What a plain model, one of the baselines, takes an input for."""


class Input(NamedTuple):
    """An input of the network, (n, width), or a feature's share of one."""

    name: str
    width: int
    dtype: Literal["float32", "int32"]
    size: int | None = None
    """Of ids, how many there are; of a grid, how many codes; of other numbers None."""
    part: str | None = None
    """The network's part that reads it, by its name among PARTS; None where another input's part reads it along."""
    plain: Plain | None = None
    """None where a plain model leaves it out."""


def share_of_numbers(width: int) -> Input:
    """A share of the input that numbers share."""
    return Input(NUMERIC, width, "float32", part="numbers", plain="numbers")


def share_of_categories(width: int, size: int) -> Input:
    """A share of the input that categories share, and of its table: each feature has a range of ids there."""
    return Input(CATEGORIES, width, "int32", size, part="categories", plain="categories")


def bag_of_codes(name: str, width: int, size: int) -> Input:
    """A bag of codes, 0 where a case has fewer."""
    return Input(f"codes_{name}", width, "int32", size, part="codes", plain="codes")


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
