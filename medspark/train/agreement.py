"""How far SHAP and LIME agree with integrated gradients on the riskiest test cases, and what each of them costs."""

import time
from typing import Any, Final

import numpy as np
from scipy.stats import spearmanr

from medspark.encode.statistics import Statistics, to_json
from medspark.errors import MedsparkError
from medspark.evaluate.logistic import Floats
from medspark.privacy.small_cells import SMALL
from medspark.score.worker.calibration import TargetCalibrations
from medspark.score.worker.explanations.integrated import Explainer
from medspark.score.worker.explanations.sampled import by_lime, by_shap
from medspark.score.worker.predict import Served
from medspark.train.explain import Explains
from medspark.train.export import Arrays

TOP: Final = 5
TIMED: Final = 1_024
"""Cases on which gradients are timed, which explain a batch of them at once."""
LEAST_ITEMS: Final = 3
"""Contributions of a case, so that it has an order to speak of."""


def agreement(
    tensors: Arrays,
    logit: Floats,
    cases: int,
    explains: Explains,
    statistics: Statistics,
    calibration: TargetCalibrations,
) -> dict[str, Any] | None:
    """Explain the riskiest cases by each method.

    Args:
        tensors: of n cases.
        logit: (n,) that is explained.
        cases: how many of them.
        explains: the bundle's engines.
        statistics: of the features.
        calibration: of the logits.

    Returns:
        `cases`; `methods`, a row for each, gradients first: `method`, `cases_a_second` of this process's CPU, and of
        the others what `compared` has; of one that is not installed `absent`, the reason. None of fewer than SMALL
        cases, whose number is not told.
    """
    if min(cases, len(logit)) < SMALL:
        return None
    riskiest = np.argsort(-logit, kind="stable")[:cases]
    some, own = {name: array[riskiest] for name, array in tensors.items()}, logit[riskiest]
    first = {name: array[:TIMED] for name, array in tensors.items()}
    _, rate = _timed(explains.explain, first, logit[:TIMED])
    gradients = explains.explain(some, own).items
    rows: list[dict[str, Any]] = [{"method": "gradients", "cases_a_second": rate}]
    served = Served("litert", "", "", to_json(statistics), calibration, bands={})
    for name, method in {"shap": by_shap, "lime": by_lime}.items():
        try:
            explain = method(explains.facts, served, explains.engine)
        except MedsparkError:  # which says what scoring needs
            rows.append({"method": name, "absent": f"{name} (medspark[explain]) was not installed when it was trained"})
            continue
        items, rate = _timed(explain, some, own)
        rows.append({"method": name, "cases_a_second": rate, **compared(gradients, items)})
    return {"cases": len(own), "methods": rows}


def compared(one: Floats, other: Floats) -> dict[str, float | None]:
    """How far contributions (n, items) of two methods agree, the means over cases.

    Returns:
        `rank_correlation`: Spearman's, of the sizes of the items that either method gives something; `top_overlap`:
        the share of the five largest that both have; `first_same`: how often the largest is the same. None of no case
        with LEAST_ITEMS such items.

    >>> compared(np.array([[3.0, -2, 1, 0]]), np.array([[2.0, -3, 1, 0]]))
    {'rank_correlation': 0.5, 'top_overlap': 1.0, 'first_same': 0.0}
    """
    rank, overlap, same = [], [], []
    for first, second in zip(np.abs(one), np.abs(other), strict=True):
        there = (first > 0) | (second > 0)
        if there.sum() < LEAST_ITEMS:
            continue
        a, b = first[there], second[there]
        rank.append(float(spearmanr(a, b).statistic))
        most = [{*np.argsort(-sizes, kind="stable")[:TOP].tolist()} for sizes in (a, b)]
        overlap.append(len(most[0] & most[1]) / len(most[0]))
        same.append(float(a.argmax() == b.argmax()))
    means = (float(np.nanmean(values)) if np.isfinite(values).any() else None for values in (rank, overlap, same))
    return dict(zip(("rank_correlation", "top_overlap", "first_same"), means, strict=True))


def _timed(explain: Explainer, tensors: Arrays, logit: Floats) -> tuple[Floats, float]:
    """What a method says, and how many cases a second of CPU it explains."""
    begun = time.process_time()
    items = explain(tensors, logit).items
    return items, len(logit) / max(time.process_time() - begun, 1e-6)
