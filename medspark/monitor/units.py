"""A number that is suddenly in another unit: the known change of unit that explains how its distribution moved.

A night is taken for a mixture of training's distribution and of the same in another unit. Of each known change the
share of such cases that fits best is found; the change that leaves the least unexplained is named, where it explains
most of what is different. Ordinary drift is explained by none.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.monitor.plan import DECADES, STEPS_A_DECADE, UNIT_CELLS

Floats = npt.NDArray[np.float64]


LARGE: Final = 3.0


class Change(NamedTuple):
    """A change of unit: the new number is `factor` times the old one and `plus`."""

    of: str
    """What it is known of; empty where of anything."""
    came: str
    expected: str
    factor: float
    plus: float = 0.0
    words: tuple[str, ...] = ()
    """A feature whose name has one of them is taken to be of this kind where others explain as much."""

    @property
    def is_large(self) -> bool:
        """Whether it is so much that nothing else moves a distribution so: a smaller one needs the feature's name."""
        return not self.plus and not 1 / LARGE < self.factor < LARGE


_KNOWN: Final = (
    ("creatinine", "µmol/L", "mg/dL", 88.42, ("creat",)),
    ("glucose", "mg/dL", "mmol/L", 18.016, ("gluc",)),
    ("cholesterol", "mg/dL", "mmol/L", 38.67, ("chol", "ldl", "hdl")),
    ("triglycerides", "mg/dL", "mmol/L", 88.57, ("trigly",)),
    ("urea nitrogen", "mg/dL", "mmol/L", 2.801, ("bun", "urea")),
    ("bilirubin", "µmol/L", "mg/dL", 17.104, ("bili",)),
    ("calcium", "mg/dL", "mmol/L", 4.008, ("calc",)),
    ("magnesium", "mg/dL", "mmol/L", 2.431, ("magn",)),
    ("haemoglobin", "g/dL", "mmol/L", 1.611, ("hgb", "hemoglobin", "haemoglobin")),
    ("lactate", "mg/dL", "mmol/L", 9.009, ("lact",)),
    ("uric acid", "µmol/L", "mg/dL", 59.48, ("uric",)),
    ("pressure", "mmHg", "kPa", 7.50062, ("press", "bp", "pao2", "paco2")),
    ("weight", "lb", "kg", 2.20462, ("weight", "wt")),
    ("length", "in", "m", 39.3701, ("height",)),
    ("length", "cm", "in", 2.54, ("height", "length")),
    ("time", "days", "years", 365.25, ("age",)),
    ("time", "months", "years", 12.0, ("age",)),
    ("time", "minutes", "hours", 60.0, ("time", "hours", "duration")),
    ("", "", "", 10.0, ()),
    ("", "", "", 100.0, ()),
    ("", "", "", 1000.0, ()),
    ("", "", "", 1_000_000.0, ()),
)


def changes() -> Iterator[Change]:
    """All that are known, each in both directions."""
    for of, larger, smaller, factor, words in _KNOWN:
        yield Change(of, larger, smaller, factor, words=words)
        yield Change(of, smaller, larger, 1 / factor, words=words)
    temperature = ("temp",)
    yield Change("temperature", "°F", "°C", 1.8, 32.0, temperature)
    yield Change("temperature", "°C", "°F", 1 / 1.8, -32.0 / 1.8, temperature)
    yield Change("temperature", "K", "°C", 1.0, 273.15, temperature)


class Suspicion(NamedTuple):
    """A change of unit that explains a night."""

    change: Change
    share: float
    """Of the cases with a number, those that seem to be in the other unit."""
    explained: float
    """Of the divergence between the night and training the share that is gone."""

    @property
    def says(self) -> str:
        """What it is, in words."""
        change, times = self.change, f"{self.change.factor:.4g} times what they should be"
        like = f"like {change.came} in place of {change.expected} ({change.of})" if change.of else ""
        what = ", ".join(filter(None, ("" if change.plus else times, like)))
        return f"{100 * self.share:.0f} % of its numbers are {what}"


LEAST_EXPLAINED: Final = 0.7
LEAST_CASES: Final = 10
FLOOR: Final = 1e-3
"""Of the mass, spread over all cells: what no distribution foretells."""
AS_GOOD: Final = 4.0
"""Log-likelihood by which a change that the feature's name speaks for may be behind the best."""
_EDGES: Final = np.linspace(*DECADES, UNIT_CELLS + 1)


def suspected(name: str, night: npt.NDArray[np.int64], reference: npt.NDArray[np.int64]) -> Suspicion | None:
    """The change of unit that explains a night's numbers; None where none does.

    Args:
        name: the feature's.
        night: (UNIT_CELLS,) counts by order of magnitude.
        reference: the same of training.
    """
    n = int(night.sum())
    if n < LEAST_CASES or not reference.sum():
        return None
    expected = _with_floor(smooth(reference / reference.sum()))
    seen = night / n
    told = seen > 0
    apart = float((seen[told] * np.log(seen[told] / expected[told])).sum())
    best: list[tuple[float, Suspicion]] = []
    for change in (change for change in changes() if change.is_large or _speaks_of(name, change)):
        other = _with_floor(moved(smooth(reference / reference.sum()), change))
        share = best_share(seen, expected, other)
        mixed = (1 - share) * expected + share * other
        left = float((seen[told] * np.log(seen[told] / mixed[told])).sum())
        found = Suspicion(change, share, (apart - left) / max(apart, 1e-12))
        if found.explained >= LEAST_EXPLAINED and share * n >= LEAST_CASES:
            best.append((n * left, found))
    if not best:
        return None
    least = min(unexplained for unexplained, _ in best)
    as_good = [found for unexplained, found in best if unexplained <= least + AS_GOOD]
    named = [found for found in as_good if _speaks_of(name, found.change)]
    return named[0] if named else next(found for unexplained, found in best if unexplained == least)


def _speaks_of(name: str, change: Change) -> bool:
    """Whether a feature's name has a word of the change.

    >>> _speaks_of("labs: last of Creatinine", Change("creatinine", "", "", 88.42, words=("creat",)))
    True
    """
    return any(part.startswith(change.words) for part in re.split("[^a-z0-9]+", name.lower()))


def best_share(seen: Floats, one: Floats, other: Floats, steps: int = 60) -> float:
    """The share of `other` in a mixture with `one` that makes what was seen likeliest, by expectation-maximisation.

    >>> one, other = np.array([0.9, 0.1]), np.array([0.1, 0.9])
    >>> round(best_share(0.7 * one + 0.3 * other, one, other), 3)
    0.3
    """
    share = 0.5
    for _ in range(steps):
        mixed = (1 - share) * one + share * other
        share = float((seen * share * other / mixed).sum())
    return share


def smooth(part: Floats) -> Floats:
    """Shares by cell, each with a little of its neighbours': where training had few, there are some."""
    kernel = np.array([0.05, 0.2, 0.5, 0.2, 0.05])
    return np.asarray(np.convolve(part, kernel, mode="same"))


def _with_floor(part: Floats) -> Floats:
    return np.asarray((1 - FLOOR) * part / max(part.sum(), 1e-300) + FLOOR / UNIT_CELLS)


def moved(part: Floats, change: Change) -> Floats:
    """The shares by order of magnitude, (UNIT_CELLS,), after a change of unit; what leaves the cells is at their ends.

    >>> part = np.zeros(UNIT_CELLS)
    >>> part[6 * STEPS_A_DECADE] = 1.0
    >>> int(moved(part, Change("", "", "", 10.0)).argmax()) - 6 * STEPS_A_DECADE == STEPS_A_DECADE
    True
    """
    ends = np.maximum(change.factor * 10.0**_EDGES + change.plus, 10.0 ** DECADES[0])
    places = np.clip((np.log10(ends) - DECADES[0]) * STEPS_A_DECADE, 0, UNIT_CELLS)
    curve = np.interp(np.arange(UNIT_CELLS + 1), places, np.concatenate([[0.0], np.cumsum(part)]))
    curve[-1] = part.sum()
    return np.diff(curve)
