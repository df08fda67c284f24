"""A bootstrap of patients that sorts once: each resample is two counts over arrays.

Cases of equal risk and outcome are alike to every figure of a ranking or a calibration. So a resample is no list of
cases but the weight in each cell, a group of equal risk with an outcome. In shapes, n is cases, s patients, g groups
of equal risk from the highest to the lowest, m parts, b resamples.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medspark.errors import InputError
from medspark.evaluate.logistic import Floats, logit, sigmoid

CHUNK_CELLS: Final = 4_000_000
"""Numbers held of the resamples that are measured at once."""

EXACT_CASES: Final = 500
"""Above this many cases the intervals, never the values, round risks to a STEP of a logit."""

STEPS: Final = 200
"""Of a logit. Half of one moves no risk by more than 0.0007."""


class Sample(NamedTuple):
    """Cases in the order of their patients, ready to be drawn from."""

    risk: Floats
    """(g,) falling: of each group of equal risk."""
    cell: NDArray[np.intp]
    """(n,) of each case: twice its group, and 1 more with the outcome."""
    cases: NDArray[np.intp]
    """(s,) how many cases each patient has."""
    weight: Floats | None
    """(n,) of each case; None where all are 1."""
    part: NDArray[np.intp] | None = None
    """(n,) which part each case is in, such as a subgroup; None where there is one part."""
    parts: int = 1


class Resamples(NamedTuple):
    """The weight (b, m, g) of the cases with and without the outcome, in each part and group of equal risk."""

    positive: Floats
    negative: Floats


Figures = Mapping[str, Floats]
"""By name, an array with a row for each resample."""


def sample_of(
    label: NDArray[np.bool_],
    risk: Floats,
    subject: NDArray[Any],
    weight: NDArray[Any] | None = None,
    part: NDArray[np.intp] | None = None,
    exact: bool = False,
) -> Sample:
    """Cases to be drawn from, (n,) each; `part` counts from 0. Of many their risks are rounded, unless `exact`."""
    if len(subject) != len(label):
        raise InputError(f"metrics: expected a subject for each of {len(label)} cases, received {len(subject)}")
    if len(risk) > EXACT_CASES and not exact:
        risk = sigmoid(np.round(logit(risk) * STEPS) / STEPS)
    rising, place = np.unique(risk, return_inverse=True)
    patient = np.unique(np.asarray(subject), return_inverse=True)[1]
    order = np.argsort(patient, kind="stable")
    cell = (2 * (len(rising) - 1 - place) + label)[order]
    own = None if weight is None else np.asarray(weight, np.float64)[order]
    parts = 1 if part is None else int(part.max(initial=0)) + 1
    inside = None if part is None else part[order]
    return Sample(rising[::-1], cell, np.bincount(patient), own, inside, parts)


def whole(sample: Sample) -> Resamples:
    """The weights without drawing: of one resample in which every patient is once."""
    return _counted(sample, [np.ones(len(sample.cases), np.intp)])


def draws(sample: Sample, resamples: int, seed: int) -> Iterator[Resamples]:
    """The resamples, in pieces that fit in memory; the same seed draws the same patients whatever the risks are.

    A resample draws as many patients as there are, with replacement, all cases of a patient together.
    """
    rng, count = np.random.default_rng(seed), len(sample.cases)
    held = 2 * sample.parts * len(sample.risk)
    size = max(1, CHUNK_CELLS // max(held, 1))
    for done in range(0, resamples, size):
        drawn = (
            np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(min(size, resamples - done))
        )
        yield _counted(sample, drawn)


def _counted(sample: Sample, drawn: Iterable[NDArray[np.intp]]) -> Resamples:
    """The cells' weights, each patient as often as it was drawn (s,)."""
    groups = len(sample.risk)
    cell = sample.cell if sample.part is None else sample.cell + 2 * groups * sample.part
    found = []
    for times in drawn:
        weight = np.repeat(times, sample.cases).astype(np.float64)
        weight = weight if sample.weight is None else weight * sample.weight
        found.append(np.bincount(cell, weight, minlength=2 * groups * sample.parts))
    cells = np.stack(found).reshape(len(found), sample.parts, groups, 2)
    return Resamples(np.ascontiguousarray(cells[..., 1]), np.ascontiguousarray(cells[..., 0]))


def over_resamples(
    sample: Sample, resamples: int, seed: int, measure: Callable[[Resamples], Figures]
) -> dict[str, Floats]:
    """What is measured of each resample, by name."""
    parts = [measure(drawn) for drawn in draws(sample, resamples, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def resampled_means(values: Floats, subject: NDArray[Any], resamples: int, seed: int) -> Floats:
    """The means (resamples, k) of values (n, k) over the cases of each resample, the patients drawn as `draws` does."""
    patient = np.unique(np.asarray(subject), return_inverse=True)[1]
    columns = [*np.asarray(values, np.float64).T, np.ones(len(values))]
    sums = np.stack([np.bincount(patient, column) for column in columns], axis=1)
    rng, count = np.random.default_rng(seed), len(sums)
    drawn = (np.bincount(rng.integers(0, count, count), minlength=count) @ sums for _ in range(resamples))
    return np.stack([total[:-1] / total[-1] for total in drawn])


def interval_of(values: Floats) -> tuple[float, float] | None:
    """The middle 95 % of a figure's resamples (b,); None where more than one in ten has no value."""
    defined = values[np.isfinite(values)]
    if not len(values) or len(defined) < 0.9 * len(values):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
