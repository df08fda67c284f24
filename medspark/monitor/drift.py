"""A night's counts beside training's: what is compared, how far apart it is, and how likely that is by chance."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from medspark.encode.kinds.base import FIRST_ID
from medspark.monitor.distances import (
    jensen_shannon_distance,
    population_stability_index,
    shares,
    wasserstein_distance,
)
from medspark.monitor.gauges import MISSING, UNSEEN, Gauge
from medspark.monitor.null import DRAWS, Comparison, p_values, thinned
from medspark.monitor.plan import LOGIT_END, LOGIT_STEP, SCORE_CELLS, Plan
from medspark.monitor.reference import Reference
from medspark.monitor.worker.read import in_its_unit
from medspark.monitor.worker.tally import Tally
from medspark.privacy.small_cells import SMALL

Ints = npt.NDArray[np.int64]

SCORES: Final = "the scores"
Measure = Literal["psi", "missing", "unseen", "outside", "codes"]
IMPUTED: Final = "missing or imputed"
"""The cell of a number that no column says is missing: others may have the value that stands for it."""
SCORE_PARTS: Final = 20
"""Cells of about the same size that scores are compared in."""
FEW: Final = SMALL - 1
"""What a count that is not told may be at most."""


@dataclass(frozen=True)
class Compared:
    """One thing that was compared, of all cases or of one level of a group."""

    subject: str
    """The gauge's name, or SCORES."""
    column: str
    level: str
    """Of the group; both are empty of all cases."""
    measure: Measure
    value: float
    """psi: the index; missing, unseen, outside: the night's share; codes: the largest change of a code's share."""
    expected: float
    """Of training; of psi and codes 0."""
    p: float
    """How often chance alone brings a night with anything as surprising."""
    js: float | None = None
    """Jensen-Shannon distance in bits, of psi."""
    wasserstein: float | None = None
    """Of psi, in the unit of the cells' places: spreads of a number, logits of a score."""
    detail: str = ""
    """The cell that changed most, in words."""

    @property
    def changed_by(self) -> float:
        """What is held against the limits."""
        return self.value if self.measure in ("psi", "codes") else self.value - self.expected


@dataclass(frozen=True)
class _Asked:
    """A comparison, and what becomes of it."""

    comparison: Comparison
    subject: str
    row: int
    measure: Measure
    places: npt.NDArray[np.float64] | None = None
    names: tuple[str, ...] = ()


def compare(
    reference: Reference, night: Tally, draws: int = DRAWS, seed: int = 0, cases_a_patient: float = 1.0
) -> list[Compared]:
    """All comparisons of a night with training, by subject; those without a case on either side are left out.

    Args:
        reference: training's.
        night: what was counted of it.
        draws: nights that are drawn for what chance does.
        seed: of the draws.
        cases_a_patient: how many cases the patient of a case has, on average.
    """
    asked = list(_asked(reference.plan, reference.tally(), night))
    sizes = max(1.0, cases_a_patient), max(1.0, reference.cases_a_patient)
    p = p_values([_of_patients(one.comparison, *sizes) for one in asked], draws, seed)
    found = zip(asked, p, strict=True)
    return [_compared(one, float(p), reference.plan.rows[one.row]) for one, p in found if min(one.comparison.sizes)]


def _of_patients(one: Comparison, night: float, reference: float) -> Comparison:
    n, m = one.cases
    return Comparison(
        thinned(one.night, night), thinned(one.reference, reference), one.kind, (round(n / night), round(m / reference))
    )


def _asked(plan: Plan, training: Tally, night: Tally) -> Iterator[_Asked]:
    for row in range(len(plan.rows)):
        seen, known = night.counts[row], training.counts[row]
        for at, gauge in enumerate(plan.gauges):
            part = slice(plan.starts[at], plan.starts[at] + gauge.cells)
            cases = (int(seen[-1]), int(known[-1]))
            if gauge.reads == "codes":
                yield from _codes(gauge, seen[part], known[part], cases) if row == 0 else ()
            else:
                yield from _cells(gauge, seen[part], known[part], row)
        scores = slice(plan.starts[-1], plan.starts[-1] + SCORE_CELLS)
        yield from _scores(seen[scores], known[scores], row)


def _codes(gauge: Gauge, night: Ints, training: Ints, cases: tuple[int, int]) -> Iterator[_Asked]:
    told = np.flatnonzero((training > 0) & (np.arange(len(night)) != UNSEEN))
    if len(told):
        names = tuple(cell_name(gauge, int(at)) for at in told)
        yield _Asked(Comparison(night[told], training[told], "codes", cases), gauge.name, 0, "codes", names=names)
    yield _share(gauge.name, 0, "missing", int(night[MISSING]), int(training[MISSING]), cases)
    yield _share(gauge.name, 0, "unseen", int(night[UNSEEN]), int(training[UNSEEN]), cases)


def _cells(gauge: Gauge, night: Ints, training: Ints, row: int) -> Iterator[_Asked]:
    n, m = int(night.sum()), int(training.sum())
    run = _runs(gauge, training)
    size = int(run.max()) + 1
    seen, known = (np.bincount(run, counts, size).astype(np.int64) for counts in (night, training))
    places = _places(gauge, run, size) if gauge.is_number else None
    names = tuple(_run_name(gauge, run, at) for at in range(size))
    yield _Asked(Comparison(seen, known), gauge.name, row, "psi", places, names)
    absent = _share(gauge.name, row, "missing", int(night[MISSING]), int(training[MISSING]), (n, m))
    yield replace(absent, names=(cell_name(gauge, MISSING),))
    if row:
        return
    if gauge.reads == "level":
        yield _share(gauge.name, row, "unseen", int(night[UNSEEN]), int(training[UNSEEN]), (n, m))
    elif len(gauge.edges) > 1:
        there = n - int(night[MISSING]), m - int(training[MISSING])
        yield _share(gauge.name, row, "outside", int(night[1] + night[-1]), 2 * FEW, there)


def _share(subject: str, row: int, measure: Measure, night: int, training: int, cases: tuple[int, int]) -> _Asked:
    """Two cells, without and with. A count of training that is not told may have been FEW."""
    n, m = cases
    known = min(m, max(training, FEW))
    return _Asked(Comparison(np.array([n - night, night]), np.array([m - known, known])), subject, row, measure)


def _runs(gauge: Gauge, training: Ints) -> Ints:
    """For each cell the run it is compared in, (k,): training's counts of 1 to 10 were told with others'."""
    cells = np.arange(len(training))
    if gauge.is_number:
        ends = np.flatnonzero(training[1:])
        within = np.minimum(np.searchsorted(ends, cells[:-1]), max(0, len(ends) - 1))
        return np.concatenate([[0], 1 + within])
    other = (training == 0) & (cells >= FIRST_ID)
    kept = np.cumsum(~other) - 1
    return np.where(other, UNSEEN, kept)


def _places(gauge: Gauge, run: Ints, size: int) -> npt.NDArray[np.float64]:
    """Where each run's numbers lie, in their scaled unit: the middle of its edges."""
    edges = np.asarray(gauge.edges)
    if not len(edges):
        return np.zeros(size)
    middles = np.concatenate([[edges[0]], edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
    return np.array([middles[run == at].mean() for at in range(size)])


def _scores(night: Ints, training: Ints, row: int) -> Iterator[_Asked]:
    least = max(SMALL, int(training.sum()) // SCORE_PARTS)
    ends = [int(np.searchsorted(np.cumsum(training), least * part)) for part in range(1, SCORE_PARTS)]
    run = np.searchsorted(np.unique(ends), np.arange(SCORE_CELLS))
    size = int(run.max()) + 1
    seen, known = (np.bincount(run, counts, size).astype(np.int64) for counts in (night, training))
    logits = np.clip(-LOGIT_END + (np.arange(SCORE_CELLS) - 0.5) * LOGIT_STEP, -LOGIT_END, LOGIT_END)
    places = np.array([_middle(logits[run == at], training[run == at]) for at in range(size)])
    names = tuple(f"part {at + 1} of {size}" for at in range(size))
    yield _Asked(Comparison(seen, known), SCORES, row, "psi", places, names)


def psi_of_scores(night: Ints, training: Ints) -> float:
    """The index of the scores alone, as `compare` has it, from counts (SCORE_CELLS,) with a case each."""
    (asked,) = _scores(night, training, 0)
    one = asked.comparison
    return float(population_stability_index(shares(one.night), shares(one.reference)))


def _middle(places: npt.NDArray[np.float64], weight: Ints) -> float:
    return float(np.average(places, weights=weight)) if weight.sum() else float(places.mean())


def _compared(asked: _Asked, p: float, row: tuple[str, str]) -> Compared:
    one, about = asked.comparison, (asked.subject, *row, asked.measure)
    n, m = one.sizes
    if asked.measure == "codes":
        change = one.night / n - one.reference / m
        most = int(np.abs(change).argmax())
        detail = _said(asked.names[most], one.night[most] / n, one.reference[most] / m)
        return Compared(*about, float(abs(change[most])), 0.0, p, detail=detail)
    if asked.measure != "psi":
        detail = asked.names[0] if asked.names else ""
        return Compared(*about, float(one.night[1] / n), float(one.reference[1] / m), p, detail=detail)
    night, training = shares(one.night), shares(one.reference)
    change = night - training
    most = int(np.abs(change).argmax())
    moved = None
    if asked.places is not None:
        there = slice(None) if asked.subject == SCORES else slice(1, None)
        if one.night[there].sum() and len(asked.places[there]) > 1:
            moved = float(
                wasserstein_distance(shares(one.night[there]), shares(one.reference[there]), asked.places[there])
            )
    return Compared(
        *about,
        float(population_stability_index(night, training)),
        0.0,
        p,
        float(jensen_shannon_distance(night, training)),
        moved,
        _said(asked.names[most], one.night[most] / n, one.reference[most] / m),
    )


def _said(name: str, night: float, training: float) -> str:
    return f"{name} {100 * night:.1f} % (training {100 * training:.1f} %)"


def cell_name(gauge: Gauge, cell: int) -> str:
    """A level, a code, or what is none, in words."""
    if cell == MISSING:
        return "none" if gauge.reads == "codes" else IMPUTED if gauge.missing_as is not None else "missing"
    return "unseen or rare" if cell == UNSEEN else gauge.levels[cell - FIRST_ID]


def _run_name(gauge: Gauge, run: Ints, at: int) -> str:
    cells = np.flatnonzero(run == at)
    if not gauge.is_number or cells[0] == MISSING:
        return cell_name(gauge, int(cells[0]))
    first, last = int(cells[0]), int(cells[-1])
    if not gauge.has_unit:
        return f"its {'lowest' if first == 1 else 'highest' if last == gauge.cells - 1 else 'middle'} part"
    edges = in_its_unit(np.asarray(gauge.edges), gauge)
    low = f"{edges[first - 2]:.3g}" if first > 1 else ""
    high = f"{edges[last - 1]:.3g}" if last < gauge.cells - 1 else ""
    return f"from {low} to {high}" if low and high else f"from {low} on" if low else f"below {high}" if high else "all"
