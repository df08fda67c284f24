"""How far a score can be relied on: what stands beside it, by a bundle's `uncertainty.json`. No Spark here.

- strangeness: the share of held-out patients that lie less far from the training cases, by the conformal p-value of
  each of a case's distances (Bates et al. 2023, Ann Stat 51:149), the smallest times how many there are; a case is
  unusual where no more than a stated share of patients like those of training would be as strange.
- disagreement: the standard deviation of the members' logits.
- interval: the two probabilities of Venn-Abers (Vovk & Petej 2014, UAI), one of which is calibrated whatever the
  distribution, and the probability itself between them.
- conformal band: the outcomes that can't be ruled out at a stated coverage, of each outcome's own patients among those
  of whom about as much is missing (Mondrian conformal prediction, Vovk 2012): `likely`, `unlikely`, or `uncertain`
  where it is both. With one pair of ends for all, a coverage of 90 % of everyone is less of those of whom more is
  missing.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from medspark.encode.worker.arrow import number_array, text_array, truth_array
from medspark.errors import BundleError
from medspark.evaluate.beside_scores import BANDS, Beside
from medspark.evaluate.logistic import Floats
from medspark.schemas import (
    CONFORMAL_BAND,
    DISAGREEMENT,
    INTERVAL_HIGH,
    INTERVAL_LOW,
    MISSING_SHARE,
    NEWEST_EVENT,
    STRANGENESS,
    UNUSUAL,
)

_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
DISAGREES: Final = "disagreement"
"""The name of that output of the network, among those of its distances."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tail(_Frozen):
    """Of a distance: how many of `cases` held-out cases are as far away."""

    cases: int
    distances: tuple[float, ...]
    """Rising."""
    as_far: tuple[int, ...]
    """Of each distance the cases that are at least so far."""

    @model_validator(mode="after")
    def _ordered(self) -> "Tail":
        if not self.distances or len(self.distances) != len(self.as_far):
            raise ValueError("expected as many distances as counts, and one at least")
        if (np.diff(self.distances) < 0).any() or (np.diff(self.as_far) > 0).any():
            raise ValueError("expected rising distances and falling counts")
        return self


class VennAbers(_Frozen):
    """The probabilities if a case of this probability had no outcome, and if it had one; flat between the edges."""

    edges: tuple[float, ...]
    """(m - 1,) rising, within 0 and 1."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    """(m,) each."""

    @model_validator(mode="after")
    def _fits(self) -> "VennAbers":
        if len(self.low) != len(self.edges) + 1 or len(self.high) != len(self.low):
            raise ValueError("expected one probability more than edges, of both kinds")
        return self


class Conformal(_Frozen):
    """Which outcomes a probability leaves open, in each of m groups by how much of a case is missing."""

    coverage: float
    """Of each outcome's patients in each group the share whose outcome is left open, at least."""
    missing_up_to: tuple[float, ...] = ()
    """(m - 1,) rising: the groups' last shares missing, but for the last group's."""
    likely_from: tuple[float, ...]
    """(m,) the outcome is left open from this probability on."""
    unlikely_to: tuple[float, ...]
    """(m,) no outcome is left open up to this probability."""

    @model_validator(mode="after")
    def _fits(self) -> "Conformal":
        groups = len(self.missing_up_to) + 1
        if len(self.likely_from) != groups or len(self.unlikely_to) != groups:
            raise ValueError("expected two ends of each group by what is missing")
        return self


class Uncertainty(_Frozen):
    """What stands beside a bundle's scores."""

    beside: tuple[str, ...]
    """What the network gives behind the logits: `disagreement` where it has members, then distances by their names."""
    unusual_share: float
    """Of patients like those of training the share that is flagged, at most."""
    tails: dict[str, Tail]
    """Of each distance."""
    interval: VennAbers | None = None
    conformal: Conformal | None = None
    newest_event: bool = False
    """Whether cases say when their last event happened: those of tables have no events."""
    absent: dict[str, str] = {}
    """Columns that stay empty, and why."""

    @model_validator(mode="after")
    def _whole(self) -> "Uncertainty":
        if {*self.beside} - {DISAGREES} != {*self.tails}:
            raise ValueError("expected the tail of each distance")
        return self


def uncertainty_of(text: str) -> Uncertainty:
    """What was written as JSON.

    Raises:
        BundleError: it is not what medspark writes.
    """
    try:
        return Uncertainty.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"uncertainty.json: {where}: {first['msg']}") from None


def beside_scores(uncertainty: Uncertainty, answers: Floats, probability: Floats, missing: Floats) -> Beside:
    """What stands beside n scores, row by row.

    Args:
        uncertainty: the bundle's.
        answers: (n, outputs) what the network gives behind the logits.
        probability: (n,) of the headline; a NaN has whatever.
        missing: (n,) the share of each case that is missing.
    """
    by_name = dict(zip(uncertainty.beside, answers.T, strict=True))
    disagreement = by_name.pop(DISAGREES, None)
    strangeness = strangeness_of(uncertainty, by_name, len(answers))
    low, high = (None, None) if uncertainty.interval is None else interval_of(uncertainty.interval, probability)
    band = None if uncertainty.conformal is None else conformal_band(uncertainty.conformal, probability, missing)
    unusual = strangeness >= 1 - uncertainty.unusual_share
    return Beside(strangeness, unusual, disagreement, low, high, band)


def strangeness_of(uncertainty: Uncertainty, distances: dict[str, Floats], rows: int) -> Floats:
    """One less the p-value of each of n rows, (n,), by all of its distances: Bonferroni's."""
    least = np.ones(rows)
    for name, distance in distances.items():
        least = np.minimum(least, share_as_far(uncertainty.tails[name], distance))
    return 1 - np.minimum(1, least * max(1, len(distances)))


def share_as_far(tail: Tail, distance: Floats) -> Floats:
    """The conformal p-value of each distance, (n,): never more sure than the number of held-out cases allows.

    >>> share_as_far(Tail(cases=9, distances=(1.0, 2.0), as_far=(5, 1)), np.array([0.5, 1.5, 2.5])).tolist()
    [1.0, 0.6, 0.2]
    """
    as_far = np.array([tail.cases, *tail.as_far])
    # A case farther than a stored distance has at most as many behind it as that one
    place = np.searchsorted(np.array(tail.distances), distance, side="right")
    return np.asarray((1 + as_far[place]) / (1 + tail.cases))


def interval_of(found: VennAbers, probability: Floats) -> tuple[Floats, Floats]:
    """The lower and the upper end of each probability's interval, (n,) each; the probability is in it."""
    place = np.searchsorted(np.array(found.edges), probability, side="right")
    low, high = np.array(found.low)[place], np.array(found.high)[place]
    return np.minimum(low, probability), np.maximum(high, probability)


def conformal_band(found: Conformal, probability: Floats, missing: Floats) -> npt.NDArray[np.int8]:
    """Each one's place among BANDS, (n,). Where both outcomes could be ruled out, none is: `uncertain`.

    >>> found = Conformal(coverage=0.9, missing_up_to=(0.5,), likely_from=(0.2, 0.0), unlikely_to=(0.5, 0.7))
    >>> conformal_band(found, np.array([0.1, 0.3, 0.6, 0.6]), np.array([0.0, 0.0, 0.5, 0.9])).tolist()
    [0, 1, 2, 1]
    """
    group = np.searchsorted(np.array(found.missing_up_to), missing)
    likely = probability >= np.array(found.likely_from)[group]
    unlikely = probability <= np.array(found.unlikely_to)[group]
    return np.where(likely == unlikely, 1, np.where(likely, 2, 0)).astype(np.int8)


def columns_beside() -> dict[str, pa.DataType]:
    """The columns beside a score, with Arrow's types."""
    number = pa.float64()
    return {
        UNUSUAL: pa.bool_(),
        STRANGENESS: number,
        DISAGREEMENT: number,
        INTERVAL_LOW: number,
        INTERVAL_HIGH: number,
        CONFORMAL_BAND: pa.string(),
        MISSING_SHARE: number,
        NEWEST_EVENT: _TIMESTAMP,
    }


def as_columns(
    found: Beside, missing: Floats, newest: pa.Array | None, unscored: npt.NDArray[np.bool_] | None
) -> dict[str, pa.Array]:
    """The columns of n rows; null where there is no score, or where the bundle says nothing.

    Args:
        found: what stands beside the scores.
        missing: (n,) the share of each case that is missing.
        newest: (n,) when its last event happened.
        unscored: (n,) which rows have no score; None where all have one.
    """
    rows = len(missing)

    def numbers(values: npt.NDArray[Any] | None) -> pa.Array:
        return pa.nulls(rows, pa.float64()) if values is None else number_array(values, unscored)

    place = pa.nulls(rows, pa.int8()) if found.band is None else number_array(found.band, unscored)
    return {
        UNUSUAL: truth_array(found.unusual, unscored),
        STRANGENESS: numbers(found.strangeness),
        DISAGREEMENT: numbers(found.disagreement),
        INTERVAL_LOW: numbers(found.low),
        INTERVAL_HIGH: numbers(found.high),
        CONFORMAL_BAND: pa.DictionaryArray.from_arrays(place, text_array(list(BANDS))),
        MISSING_SHARE: numbers(missing),
        NEWEST_EVENT: pa.nulls(rows, _TIMESTAMP) if newest is None else newest.cast(_TIMESTAMP),
    }
