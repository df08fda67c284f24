"""Integrated gradients: what each place contributes, the mean slope of the logit on the path from the baseline.

(Sundararajan, Taly and Yan 2017, arXiv 1703.01365.) No Spark here.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medspark.bundles.network_file import open_network
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.logistic import Floats
from medspark.score.worker.engine import Engine, EngineKind, copied, engine_for
from medspark.score.worker.explanations.facts import ExplainFacts, baseline_of
from medspark.score.worker.explanations.gradients import ALPHA, slopes_of
from medspark.score.worker.explanations.layout import Layout
from medspark.score.worker.predict import Served, statistics_of

MOST_NODES: Final = 64
"""For a row whose contributions do not add up with fewer."""
ROWS_BY_TENSORFLOW: Final = 256

Slopes = Callable[[Arrays, float], Floats]
"""From the tensors of n cases and a place on the path, from 0 to 1, to slopes (n, places)."""


class Contributed(NamedTuple):
    items: Floats
    """(n, items) in logits."""
    places: Floats | None
    """(n, places), where the method tells them."""
    adds_up: NDArray[np.bool_] | None
    """(n,) whether the items and the baseline's logit add up to the case's; None where the method promises no such."""


Explainer = Callable[[Arrays, Floats], Contributed]
"""From the tensors of n cases and their explained logits (n,)."""


def by_gradients(slopes: Slopes, facts: ExplainFacts, layout: Layout) -> Explainer:
    """Integrated gradients; a row that does not add up is asked once more, with the most nodes."""

    def explain(tensors: Arrays, logit: Floats) -> Contributed:
        places = integrated(slopes, tensors, facts.nodes)
        off = np.abs(facts.baseline_logit + places.sum(axis=1) - logit)
        again = np.flatnonzero(off > facts.tolerance)
        if len(again) and facts.nodes < MOST_NODES:
            some = {name: array[again] for name, array in tensors.items()}
            places[again] = integrated(slopes, some, MOST_NODES)
            off[again] = np.abs(facts.baseline_logit + places[again].sum(axis=1) - logit[again])
        return Contributed(layout.of_items(places), places, off <= facts.tolerance)

    return explain


def integrated(slopes: Slopes, tensors: Arrays, nodes: int) -> Floats:
    """The mean slope on the path, (n, places), by so many nodes of Gauss and Legendre."""
    at, weight = legendre(nodes)
    total = weight[0] * slopes(tensors, at[0])
    for place, share in zip(at[1:], weight[1:], strict=True):
        total += share * slopes(tensors, place)
    return total


@lru_cache(maxsize=8)
def legendre(nodes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Places between 0 and 1, and the weight of each.

    >>> legendre(1)
    ((0.5,), (1.0,))
    """
    at, weight = np.polynomial.legendre.leggauss(nodes)
    return tuple(((at + 1) / 2).tolist()), tuple((weight / 2).tolist())


def slopes_by(kind: EngineKind, network: Path, digest: str, facts: ExplainFacts, served: Served) -> Slopes:
    """The slopes by LiteRT, or by TensorFlow from the network itself, loaded once in each process."""
    by_litert = kind == "litert"
    return along(engine_for("litert", network, digest) if by_litert else _tensorflow(network, digest, facts, served))


def along(engine: Engine) -> Slopes:
    """An engine's slopes at one place of the path for all cases."""

    def slopes(tensors: Arrays, place: float) -> Floats:
        rows = len(next(iter(tensors.values())))
        return engine({**tensors, ALPHA: np.full((rows, 1), place, np.float32)})

    return slopes


_loaded: OrderedDict[str, Engine] = OrderedDict()


def _tensorflow(network: Path, digest: str, facts: ExplainFacts, served: Served) -> Engine:
    if digest not in _loaded:
        with copied(network, digest) as sound:
            model = open_network(sound)
        inputs = statistics_of(served).inputs()
        found = tensorflow_slopes(slopes_of(model, inputs, baseline_of(facts, inputs), served.calibration))
        _loaded.clear()
        _loaded[digest] = found
    return _loaded[digest]


def tensorflow_slopes(slopes: Any) -> Engine:
    """Slopes as an engine, by calls of so many rows at most."""
    import tensorflow as tf

    function = tf.function(slopes, reduce_retracing=True)

    def call(tensors: Arrays) -> Floats:
        rows = len(tensors[ALPHA])
        parts = []
        for at in range(0, rows, ROWS_BY_TENSORFLOW):
            part = {name: tf.convert_to_tensor(array[at : at + ROWS_BY_TENSORFLOW]) for name, array in tensors.items()}
            alpha = part.pop(ALPHA)
            parts.append(function(part, alpha).numpy().astype(np.float64))
        return np.concatenate(parts)

    return call
