"""SHAP and LIME, each by its own library: a case's items are there, or have the baseline's values. No Spark here.

The background is the baseline of the bundle, medians and modes, since a sample of training cases would be patients'
rows that leave the hospital. Seeds are fixed, and a case's contributions do not depend on its neighbours.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medspark.encode.inputs import PIXELS_PREFIX
from medspark.encode.kinds.events import (
    BINS_PREFIX,
    GAPS_PREFIX,
    GRID_PREFIX,
    NUMBERS_PREFIX,
    SINCE_PREFIX,
    TIMES_PREFIX,
    TOKENS_PREFIX,
)
from medspark.encode.statistics import Statistics
from medspark.encode.worker.tensors import Arrays
from medspark.errors import MedsparkError
from medspark.evaluate.logistic import Floats
from medspark.score.worker.engine import Engine
from medspark.score.worker.explanations.facts import ExplainFacts, baseline_of, explained_logit
from medspark.score.worker.explanations.integrated import Contributed, Explainer
from medspark.score.worker.explanations.layout import Layout, layout_of, spans
from medspark.score.worker.predict import Served, statistics_of

SEED: Final = 0
CONTEXTS: Final = 8
"""Drawn coalitions with and without each item: one that changes no logit is not read, and contributes exactly 0."""
EXACT: Final = 10
"""Items up to which every coalition is tried."""
PERMUTATIONS: Final = 10
"""Of the items, each forwards and backwards, where there are more."""
LIME_SAMPLES: Final = 5_000
LIME_WIDTH: Final = 25.0
"""Of LIME's kernel over cosine distances in percent: both are the library's own for parts that are there or not."""

Masks = NDArray[np.bool_]
Game = Callable[[Masks], Floats]
"""From which items are there, (q, items), to explained logits (q,)."""


def by_shap(facts: ExplainFacts, served: Served, engine: Engine) -> Explainer:
    try:
        import shap
    except ImportError as error:
        raise MedsparkError("--explain-by shap needs shap: install medspark[explain] on the workers") from error

    def values(game: Game, items: int) -> Floats:
        nothing = shap.maskers.Independent(np.zeros((1, items)), max_samples=1)
        ask = lambda masks: game(np.asarray(masks) > 0.5)  # noqa: E731
        if items <= EXACT:
            found = shap.ExactExplainer(ask, nothing)(np.ones((1, items)), max_evals=2**items + 1, silent=True)
        else:
            explainer = shap.PermutationExplainer(ask, nothing, seed=SEED)
            found = explainer(np.ones((1, items)), max_evals=PERMUTATIONS * (2 * items + 1), silent=True)
        values: Floats = np.asarray(found.values, np.float64)[0]
        return values

    return _by_cases(facts, served, engine, values, adds_up=True)


def by_lime(facts: ExplainFacts, served: Served, engine: Engine) -> Explainer:
    try:
        from lime.lime_base import LimeBase
    except ImportError as error:
        raise MedsparkError("--explain-by lime needs lime: install medspark[explain] on the workers") from error

    def near(distance: Floats) -> Floats:
        return np.asarray(np.sqrt(np.exp(-(distance**2) / LIME_WIDTH**2)))

    def values(game: Game, items: int) -> Floats:
        rng = np.random.RandomState(SEED)
        masks = rng.randint(0, 2, (LIME_SAMPLES, items)).astype(np.bool_)
        masks[0] = True
        cosine = masks.sum(axis=1) / np.sqrt(np.maximum(masks.sum(axis=1), 1) * items)
        base = LimeBase(near, random_state=rng)
        labels = game(masks)[:, None]
        _, found, *_ = base.explain_instance_with_data(
            masks.astype(np.float64), labels, 100 * (1 - cosine), 0, items, feature_selection="none"
        )
        out = np.zeros(items)
        for item, weight in found:
            out[item] = weight
        return out

    return _by_cases(facts, served, engine, values, adds_up=False)


def _changing(game: Game, items: int) -> NDArray[np.bool_]:
    """Which items change the logit of any of CONTEXTS coalitions, (items,)."""
    masks = np.random.default_rng(SEED).random((CONTEXTS, items)) < 0.5
    every = np.tile(masks, (2 * items, 1)).reshape(2, items, CONTEXTS, items)
    for item in range(items):
        every[0, item, :, item], every[1, item, :, item] = True, False
    logit = game(every.reshape(-1, items)).reshape(2, items, CONTEXTS)
    return np.asarray((logit[0] != logit[1]).any(axis=1))


def _by_cases(
    facts: ExplainFacts, served: Served, engine: Engine, values: Callable[[Game, int], Floats], adds_up: bool
) -> Explainer:
    """Each case by itself; items that have the baseline's values contribute nothing, and are no part of the game."""
    statistics = statistics_of(served)
    layout, baseline = layout_of(statistics), baseline_of(facts, statistics.inputs())
    owners = owners_of(statistics, layout)

    def explain(tensors: Arrays, logit: Floats) -> Contributed:
        items = np.zeros((len(logit), layout.items))
        for row in range(len(logit)):
            case = {name: array[row : row + 1] for name, array in tensors.items()}
            differs = np.zeros(layout.items, np.bool_)
            for name, owner in owners.items():
                differs[owner[case[name][0] != baseline[name][0]]] = True
            there = np.flatnonzero(differs)
            if len(there):
                play = partial(game_of, case, baseline, owners, items=layout.items, engine=engine, served=served)
                there = there[_changing(play(there), len(there))]
                items[row, there] = values(play(there), len(there)) if len(there) else 0.0
        sums = np.abs(facts.baseline_logit + items.sum(axis=1) - logit) <= facts.tolerance
        return Contributed(items, None, sums if adds_up else None)

    return explain


def game_of(
    case: Arrays,
    baseline: Arrays,
    owners: dict[str, NDArray[np.int64]],
    there: NDArray[np.int64],
    items: int,
    engine: Engine,
    served: Served,
) -> Game:
    """The explained logit of a case of which only some of the items `there` are kept, as a function of which."""

    def game(masks: Masks) -> Floats:
        every = np.ones((len(masks), items), np.bool_)
        every[:, there] = masks
        mixed: Arrays = {name: np.where(every[:, owner], case[name], baseline[name]) for name, owner in owners.items()}
        return explained_logit(served.calibration, engine(mixed))

    return game


def owners_of(statistics: Statistics, layout: Layout) -> dict[str, NDArray[np.int64]]:
    """Of each input the item that each of its columns is of, (width,)."""
    item_of = np.empty(len(layout.order), np.int64)
    item_of[layout.order] = np.repeat(np.arange(layout.items), np.diff(np.append(layout.starts, len(layout.order))))
    inputs = {one.name: one for one in statistics.inputs()}
    found: dict[str, Any] = {}
    for name, span in spans(list(inputs.values())).items():
        own = item_of[span]
        if name.startswith(PIXELS_PREFIX):
            images = inputs[name].shape[0]  # type: ignore[index]
            own = np.repeat(own[:: len(own) // images], inputs[name].width // images)
        elif name.startswith(GRID_PREFIX):
            codes = inputs[name].size
            assert codes is not None, "a grid has codes"
            steps = own.reshape(-1, codes)
            found[SINCE_PREFIX + name.removeprefix(GRID_PREFIX)] = own
            own = np.stack([steps, steps], axis=1).reshape(-1)
        elif name.startswith(TOKENS_PREFIX):
            for prefix in (TIMES_PREFIX, NUMBERS_PREFIX, GAPS_PREFIX, BINS_PREFIX):
                found[prefix + name.removeprefix(TOKENS_PREFIX)] = own
        found[name] = own
    return {name: owner for name, owner in found.items() if name in inputs}
