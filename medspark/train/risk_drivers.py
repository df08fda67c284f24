"""What drives the risks of the test patients: contributions summed over all of them, and what is lost without each.

Small cells stay hidden: what is told of a code or of a part of a feature's values is of SMALL cases or more.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from medspark.encode.inputs import NUMERIC
from medspark.encode.kinds.base import FIRST_ID
from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.evaluate.bootstrap import interval_of, resampled_means
from medspark.evaluate.logistic import Floats
from medspark.privacy.small_cells import SMALL
from medspark.schemas import CASE_ID, SUBJECT_ID, TEST
from medspark.score.worker.explanations.about import indicators_of
from medspark.score.worker.explanations.explain import name_of
from medspark.score.worker.explanations.facts import explained_logit
from medspark.score.worker.explanations.layout import Block, Layout, layout_of
from medspark.score.worker.explanations.numbers import unscaled
from medspark.score.worker.explanations.sampled import owners_of
from medspark.task.training import Report
from medspark.train.agreement import agreement
from medspark.train.batches import load_split
from medspark.train.explain import Explains
from medspark.train.export import Arrays
from medspark.train.train_network import Trained

CASES: Final = 5_000
"""Test cases that are explained at most."""
HEAVY_CASES: Final = 1_000
"""The same of networks that read events, grids, letters or images."""
SHOWN: Final = 20
SHUFFLED: Final = 15
"""Features, the strongest, that are shuffled among the cases."""
SHUFFLES: Final = 3
CURVES: Final = 3
"""Numbers, the strongest, whose contributions are drawn against their values."""
TENTHS: Final = 10


class _Tested(NamedTuple):
    """Some test cases, what is known of them, and their contributions."""

    tensors: Arrays
    subject: NDArray[np.int64]
    label: Floats
    weight: Floats
    logit: Floats
    items: Floats


def drivers_of(table: str, trained: Trained, explains: Explains, report: Report) -> dict[str, Any]:
    """What the report says of the features' contributions in the test split.

    Args:
        table: the tensors.
        trained: the network, its statistics and its calibration.
        explains: its engines.
        report: what the task asks for.

    Returns:
        `cases`; `features`: each with its mean absolute contribution in logits, an interval by patient, and for the
        strongest what AUROC falls by when its values are shuffled; `curves`: of the strongest numbers; `codes`; and
        `agreement` with other methods, where the task asks for it and there are SMALL cases.
    """
    statistics = trained.statistics
    layout, tested = layout_of(statistics), _tested(table, trained, explains)
    each = np.add.reduceat(tested.items, [block.first for block in layout.blocks], axis=1)
    size = np.abs(each)
    order = np.argsort(-size.mean(axis=0), kind="stable")[:SHOWN]
    draws = resampled_means(size, tested.subject, report.bootstrap, 0)
    features = []
    for rank, at in enumerate(order.tolist()):
        block = layout.blocks[at]
        low, high = interval_of(draws[:, at]) or (None, None)
        row = {"name": name_of(block.feature), "value": float(size[:, at].mean()), "low": low, "high": high}
        lost = _lost(block, layout, tested, trained, explains) if rank < SHUFFLED else None
        features.append({**row, "auroc_lost": lost})
    found: dict[str, Any] = {
        "cases": len(tested.logit),
        "features": features,
        "curves": _curves([layout.blocks[at] for at in order], tested, statistics),
        "codes": _codes(layout, tested),
    }
    if report.agreement is not None:
        by = (explains, statistics, trained.calibration)
        agreed = agreement(tested.tensors, tested.logit, report.agreement, *by)
        found |= {"agreement": agreed} if agreed is not None else {}
    return found


def _tested(table: str, trained: Trained, explains: Explains) -> _Tested:
    """The first test cases: they lie in the order of a hash."""
    inputs, calibration = trained.statistics.inputs(), trained.calibration
    loaded = load_split(table, TEST, inputs, trained.fitted.reading, (CASE_ID, SUBJECT_ID))
    assert loaded is not None, "there are test cases"
    heavy = any(one.part in ("sequence", "grid", "gene", "image") for one in inputs)
    first = slice(0, HEAVY_CASES if heavy else CASES)
    tensors = {name: array[first] for name, array in loaded.tensors.items()}
    headline = calibration.targets.headline
    label, weight = (array[first, headline] for array in (loaded.truth.label, loaded.truth.weight))
    subject = loaded.keys[SUBJECT_ID].to_numpy()[first]
    logit = explained_logit(calibration, explains.engine(tensors))
    items = explains.explain(tensors, logit).items
    return _Tested(tensors, np.unique(subject, return_inverse=True)[1], label, weight, logit, items)


def _lost(block: Block, layout: Layout, tested: _Tested, trained: Trained, explains: Explains) -> float | None:
    """What AUROC falls by where a feature's values are another case's, the mean of SHUFFLES; None where it has none."""
    known = (tested.weight > 0) & np.isfinite(tested.label)
    label, weight = tested.label[known], tested.weight[known]
    if len(np.unique(label)) < 2:
        return None
    before = roc_auc_score(label, tested.logit[known], sample_weight=weight)
    owners, found = owners_of(trained.statistics, layout), []
    for seed in range(SHUFFLES):
        order = np.random.default_rng(seed).permutation(len(tested.logit))
        mixed = {}
        for name, owner in owners.items():
            own = (owner >= block.first) & (owner < block.first + block.items)
            array = tested.tensors[name]
            mixed[name] = np.where(own, array[order], array) if own.any() else array
        logit = explained_logit(trained.calibration, explains.engine(mixed))[known]
        found.append(before - roc_auc_score(label, logit, sample_weight=weight))
    return float(np.mean(found))


def _curves(blocks: list[Block], tested: _Tested, statistics: Statistics) -> list[dict[str, Any]]:
    """Of the strongest numbers the mean contribution by tenths of their values, those that are missing apart."""
    indicators = indicators_of(statistics)
    found: list[dict[str, Any]] = []
    for block in blocks:
        feature = block.feature
        if not isinstance(feature, NumericStatistics) or not feature.varies or len(found) == CURVES:
            continue
        numbers, size = np.asarray(tested.tensors[NUMERIC], np.float64), tested.items[:, block.first]
        absent = np.zeros(len(size), np.bool_)
        if feature.column in indicators:
            absent = numbers[:, indicators[feature.column]] > 0
        there = ~absent
        value = unscaled(numbers[there, block.number], feature.scaling, feature.center, feature.scale, feature.knots)
        points = _tenths(value, size[there])
        missing = float(size[absent].mean()) if absent.sum() >= SMALL else None
        if len(points) > 1:
            found.append({"name": feature.column, "points": points, "missing": missing})
    return found


def _tenths(value: Floats, size: Floats) -> list[dict[str, float]]:
    """The means of values and contributions in neighbouring groups of a tenth each, of SMALL cases or more."""
    if len(value) < 2 * SMALL:
        return []
    edges = np.unique(np.quantile(value, np.linspace(0, 1, TENTHS + 1)[1:-1]))
    group = np.searchsorted(edges, value, side="right")
    found = []
    for one in np.unique(group):
        own = group == one
        if own.sum() >= SMALL:
            low, high = np.quantile(size[own], [0.1, 0.9])
            found.append(
                {
                    "value": float(f"{value[own].mean():.3g}"),
                    "contribution": float(size[own].mean()),
                    "low": float(low),
                    "high": float(high),
                }
            )
    return found


def _codes(layout: Layout, tested: _Tested) -> list[dict[str, Any]]:
    """The codes with the largest mean contributions, of those that SMALL cases or more have."""
    found: list[dict[str, Any]] = []
    for block in layout.blocks:
        codes = getattr(block.feature, "codes", None)
        named = [one for one in block.feature.inputs() if one.name in tested.tensors and one.dtype == "int32"]
        if codes is None or not named:
            continue
        ids = tested.tensors[named[0].name]
        size = tested.items[:, block.first : block.first + block.items]
        for at, code in enumerate(codes, FIRST_ID):
            there = ids == at
            cases = int(there.any(axis=1).sum())
            if cases >= SMALL:
                mean = float((size * there).sum() / cases)
                found.append({"feature": name_of(block.feature), "code": code, "cases": cases, "value": mean})
    return sorted(found, key=lambda row: -abs(row["value"]))[:SHOWN]
