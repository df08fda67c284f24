"""Where in a network each input has become numbers that a straight path can be drawn between. No Spark, no Keras here.

An identity layer stands at each such place; its name is all that tells of it, so that a network read from its file has
the marks too. Explanations follow the logit's slope along the paths (`score/worker/explanations/gradients.py`).
"""

import re
from typing import Final, Literal, NamedTuple

Role = Literal["embedded", "ramps", "present"]
"""embedded: the input's numbers or vectors; ramps: those of its numbers; present: 1 where there is something, 0 where
there is padding, by which what the network says of it is multiplied."""

_NAME: Final = re.compile(r"(embedded|ramps|present)\.(.+)\.(\d+)\.[A-Za-z0-9_]+")


class Mark(NamedTuple):
    role: Role
    input: str
    at: int
    """Which image of a case; 0 of all other inputs."""


def mark_name(mark: Mark, of: int | str) -> str:
    """The layer's name.

    Args:
        mark: what the layer stands for.
        of: a seed or a word that tells it from others of the same mark.

    >>> mark_name(Mark("embedded", "codes_past_7_5d", 0), 3)
    'embedded.codes_past_7_5d.0.3'
    """
    return f"{mark.role}.{mark.input}.{mark.at}.{of}"


def mark_of(name: str) -> Mark | None:
    """What a layer of this name marks; None where it marks nothing.

    >>> mark_of("embedded.codes_past_7_5d.0.3")
    Mark(role='embedded', input='codes_past_7_5d', at=0)
    >>> mark_of("dense_3") is None
    True
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    role, one, at = found.groups()
    return Mark(role, one, int(at))  # type: ignore[arg-type]
