"""What training saw, as the bundle carries it: counts of cells, none of them of 1 to 10 patients. No Spark here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medspark.encode.kinds.base import FIRST_ID, Frozen
from medspark.encode.statistics import Statistics
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.logistic import logit, sigmoid
from medspark.monitor.gauges import MISSING, UNSEEN, Gauge, gauges_of
from medspark.monitor.plan import SCORE_CELLS, Group, Plan
from medspark.monitor.worker.read import codes_of, levels_of, numbers_of
from medspark.monitor.worker.tally import Tally, empty
from medspark.privacy.small_cells import SMALL

MOST_CASES: Final = 200_000
"""Counted of training."""
MOST_OF_A_NIGHT: Final = 50_000
"""Counted of a night: of so many a share is known to half a point, and counting costs a tenth of scoring."""
QUANTILES: Final = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
LEAST_IN_GROUP: Final = 50
"""Training cases of a level by which all is counted apart."""
MOST_LEVELS: Final = 20

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Sparse = dict[int, int]
"""Counts by cell, the others 0."""


class Reference(Frozen):
    """What a night is compared with."""

    plan: Plan
    counts: tuple[Sparse, ...]
    """A row for all cases and one for each level of the groups: features of the training split, scores of the held-out
    patients of the test split."""
    units: tuple[Sparse, ...]
    cases_a_patient: float = 1.0
    """How many cases the patient of a training case has, on average."""
    recalibration: Annotated[tuple[float, ...], Field(min_length=3, max_length=3)] | None = None
    """How sure the calibration is: the variances of intercept and slope of the outcome's regression on the logit of the
    risk, and their covariance, in the test split. None where it cannot be had."""

    def tally(self) -> Tally:
        """The counts as arrays."""
        like = empty(self.plan)
        for array, rows in ((like.counts, self.counts), (like.units, self.units)):
            for at, row in enumerate(rows):
                array[at, list(row)] = list(row.values())
        return like


def plan_of(
    statistics: Statistics,
    tensors: Arrays,
    subgroups: tuple[str, ...],
    others: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> Plan:
    """What can be watched, with the edges of its numbers fitted on training cases.

    Args:
        statistics: the bundle's.
        tensors: (n, width) each, of training cases.
        subgroups: columns by which all is counted apart, where they are features.
        others: further ones, which are not, each with its levels and how many training cases have them.
    """
    n = len(next(iter(tensors.values())))
    gauges = [_fitted(gauge, tensors) for gauge in gauges_of(statistics)]
    places = {gauge.name: at for at, gauge in enumerate(gauges) if gauge.reads == "level"}
    counts = {feature.column: feature.counts for feature in statistics.categorical}
    groups = []
    for column in subgroups:
        if column in places:
            named = sum(count * n >= LEAST_IN_GROUP * statistics.cases for count in counts[column])
            levels = gauges[places[column]].levels[: min(named, MOST_LEVELS)]
            groups.append(Group(column=column, levels=levels, gauge=places[column]))
    groups += [Group(column=column, levels=_commonest(levels)) for column, levels in others.items()]
    return Plan(gauges=tuple(gauges), groups=tuple(groups))


def _fitted(gauge: Gauge, tensors: Arrays) -> Gauge:
    if gauge.is_number:
        return gauge.model_copy(update={"edges": edges_of(numbers_of(gauge, tensors))})
    return gauge.model_copy(update={"levels": gauge.levels[: _told_apart(gauge, tensors)]})


def _commonest(levels: Mapping[str, int]) -> tuple[str, ...]:
    known = sorted((-cases, level) for level, cases in levels.items() if cases >= LEAST_IN_GROUP)
    return tuple(level for _, level in known[:MOST_LEVELS])


def _told_apart(gauge: Gauge, tensors: Arrays) -> int:
    """How many of a gauge's levels, the commonest first, have SMALL of the cases each."""
    cells = levels_of(gauge, tensors) if gauge.reads == "level" else codes_of(gauge, tensors)[1]
    counts = np.bincount(cells, minlength=gauge.cells)[FIRST_ID:]
    few = np.flatnonzero(counts < SMALL)
    return int(few[0]) if len(few) else len(counts)


def edges_of(number: Floats) -> tuple[float, ...]:
    """Edges of cells that hold SMALL of the numbers each, and of the two ends that hold fewer: quantiles, mostly.

    Args:
        number: (n,), NaN where it is missing.

    >>> edges_of(np.repeat([0.0, 1.0, 2.0], [50, 30, 20]))[:3]
    (0.0, 1.0, 2.0)
    >>> edges_of(np.arange(10.0))
    ()
    """
    found = np.sort(number[np.isfinite(number)])
    if len(found) < 4 * SMALL:
        return ()
    low, high = found[SMALL - 1], found[-SMALL]
    inner = np.unique(np.quantile(found, QUANTILES, method="lower"))
    edges = [float(low)]
    for edge in inner[(inner > low) & (inner <= high)]:
        if _between(found, edges[-1], edge) >= SMALL and _between(found, edge, np.nextafter(high, np.inf)) >= SMALL:
            edges.append(float(edge))
    return (*edges, float(np.nextafter(high, np.inf)))


def _between(found: Floats, low: float, high: float) -> int:
    return int(np.searchsorted(found, high) - np.searchsorted(found, low))


def fit_reference(
    plan: Plan,
    train: Tally,
    test: Tally,
    recalibration: tuple[float, ...] | None = None,
    cases_a_patient: float = 1.0,
) -> Reference:
    """What may leave the hospital of two tallies: features of the training split, scores of the test split."""
    counts = train.counts.copy()
    scores = slice(plan.starts[-1], plan.starts[-1] + SCORE_CELLS)
    counts[:, scores] = test.counts[:, scores]
    for row in counts:
        if row[-1] < LEAST_IN_GROUP and row is not counts[0]:
            row[:] = 0
        for at, gauge in enumerate(plan.gauges):
            part = row[plan.starts[at] : plan.starts[at] + gauge.cells]
            part[:] = _publishable(part, gauge, int(row[-1]))
        row[scores] = neighbours_together(row[scores])
    units = [_sparse(neighbours_together(row)) for row in train.units]
    return Reference(
        plan=plan,
        counts=tuple(map(_sparse, counts)),
        units=tuple(units),
        cases_a_patient=cases_a_patient,
        recalibration=recalibration,
    )


def _sparse(row: Ints) -> Sparse:
    return {int(at): int(row[at]) for at in np.flatnonzero(row)}


def _publishable(part: Ints, gauge: Gauge, cases: int) -> Ints:
    """The counts of a gauge's cells; where 1 to 10 cases would be told, they are told with others."""
    if gauge.reads == "codes":
        few, all_but_few = (part > 0) & (part < SMALL), (part < cases) & (cases - part < SMALL)
        return np.where(few, 0, np.where(all_but_few, cases, part))
    out = part.copy()
    if gauge.is_number:
        out[1:] = neighbours_together(out[1:])
    else:
        few = (out > 0) & (out < SMALL) & (np.arange(len(out)) >= FIRST_ID)
        out[UNSEEN] += out[few].sum()
        out[few] = 0
    for cell in (MISSING, UNSEEN) if not gauge.is_number else (MISSING,):
        if 0 < out[cell] < SMALL:
            held, out[cell] = out[cell], 0
            out[out.argmax()] += held
    return out


def neighbours_together(counts: Ints) -> Ints:
    """Counts of cells in a row, those of 1 to 10 told together with their neighbours', so that none is left.

    Neighbours are added up until they have 11 cases, and stand at the last of them; what is left over at the end goes
    to the ones before. The sum stays, and `runs_of` finds again what was added up; a sum below 11 is not told.

    >>> neighbours_together(np.array([20, 3, 0, 5, 9, 0, 2])).tolist()
    [20, 0, 0, 0, 19, 0, 0]
    """
    out = np.zeros_like(counts)
    held, last = 0, None
    for at in np.flatnonzero(counts):
        held += int(counts[at])
        if held >= SMALL:
            out[at], held, last = held, 0, at
    if held and last is not None:
        out[last] += held
    return out


def recalibration_of(label: npt.NDArray[np.bool_], probability: Floats) -> tuple[float, float, float] | None:
    """The variances of intercept and slope, and their covariance, of the outcome's logistic regression on the logit of
    the risk, at no change: the inverse of Fisher's information, ((1, x), (x, x^2)) weighted by p (1 - p).

    Args:
        label: (n,) of the test split.
        probability: (n,) of it.
    """
    x = np.clip(logit(probability), -20, 20)
    weight = sigmoid(x) * (1 - sigmoid(x))
    design = np.stack([np.ones(len(x)), x], axis=1)
    information = (design * weight[:, None]).T @ design
    if len(np.unique(label)) < 2 or np.linalg.cond(information) > 1e12:
        return None
    inverse = np.linalg.inv(information)
    return float(inverse[0, 0]), float(inverse[1, 1]), float(inverse[0, 1])
