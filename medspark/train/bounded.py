"""A bounded step: of what a network learned in a night as much as moves risks by no more than is allowed."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from medspark.errors import GateError
from medspark.evaluate.logistic import Floats

HALVINGS: Final = 10


class Step(NamedTuple):
    share: float
    """Of the way from the weights of before to those that were learned."""
    moved: float
    """The root of the mean squared change of the risk that it moved most."""


def moved(before: Floats, after: Floats) -> float:
    """How far risks (n, k) went, by the target whose risks went farthest.

    >>> moved(np.array([[0.5, 0.1], [0.5, 0.1]]), np.array([[0.5, 0.1], [0.5, 0.3]])).__round__(3)
    0.141
    """
    return float(np.sqrt(((after - before) ** 2).mean(axis=0)).max())


def step_within(members: Any, before: list[Any], risks: Callable[[], Floats], most: float) -> Step:
    """Put a network's weights as far from those of before as the risks allow: all the way, half of it, a quarter, ...

    Args:
        members: the network with what it learned.
        before: its weights of before.
        risks: (n, k) that it gives now.
        most: how far they may move.

    Raises:
        GateError: even the least of these steps moves them farther.
    """
    learned = members.get_weights()
    members.set_weights(before)
    then = risks()
    for halving in range(HALVINGS + 1):
        share = 0.5**halving
        members.set_weights([_between(old, new, share) for old, new in zip(before, learned, strict=True)])
        far = moved(then, risks())
        if far <= most:
            return Step(share, far)
    raise GateError(
        f"the challenger was not kept: expected a step that moves risks by at most {most:g} (updating.step), received "
        f"{far:.3g} by a {2**HALVINGS}th of what was learned"
    )


def _between(old: Any, new: Any, share: float) -> Any:
    return old + np.asarray(share, old.dtype) * (new - old) if np.issubdtype(old.dtype, np.floating) else new
