"""Whether what stands beside the scores holds for held-out patients: all, by subgroup, and by how much is missing.

A coverage of 90 % of everyone can be one of 78 % somewhere, so each group is looked at apart.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medspark.evaluate.beside_scores import BANDS, Beside
from medspark.evaluate.curves import wilson
from medspark.evaluate.logistic import Floats
from medspark.evaluate.subgroups import FEW_CASES, levels_of
from medspark.privacy.small_cells import distinct, is_small, publishable_counts

EVERYONE: Final = "all"
BY_MISSING: Final = "share missing"
"""Names of groups beside those of the task."""


class Stated(NamedTuple):
    """What a bundle promises of what stands beside its scores."""

    unusual_share: float
    coverage: float | None
    """None where it gives no conformal bands."""
    absent: Mapping[str, str]
    """What stays empty, and why."""


def reliance(
    stated: Stated,
    stands: Beside,
    label: Floats,
    missing: Floats,
    subgroups: pd.DataFrame,
    subject: NDArray[Any],
) -> dict[str, Any]:
    """What becomes of n held-out cases.

    Args:
        stated: the bundle's promises.
        stands: what stands beside their scores.
        label: (n,) of 0 and 1, NaN where it is not known.
        missing: (n,) the share of each case that is missing.
        subgroups: (n, columns) as text.
        subject: (n,) whose case each is: small counts are of patients.

    Returns:
        `unusual`: the share flagged, and what it is to be at most; `absent`; `coverage`: what is stated, and `groups`,
        a row for each with the cases, the share whose outcome the band left open of those with and without the outcome,
        each with its 95 % Wilson interval, and the share that is `uncertain`; `interval`: the means of its ends with
        the outcome's share, and the median width. The last two are there where the bundle has them.
    """
    known = np.isfinite(label)
    unusual = {"share": _mean(stands.unusual), "at_most": stated.unusual_share, "cases": len(label)}
    found: dict[str, Any] = {"unusual": unusual, "absent": dict(stated.absent)}
    if stated.coverage is not None and stands.band is not None:
        groups = [(name, level, inside & known) for name, level, inside in _groups(missing, subgroups)]
        rows = [_row(name, level, stands.band, label, inside, subject) for name, level, inside in groups]
        patients = [distinct(subject, inside) for _, _, inside in groups]
        counts = publishable_counts([int(inside.sum()) for _, _, inside in groups], patients)
        shown = [{**row, "cases": count} for row, count in zip(rows, counts, strict=True)]
        found["coverage"] = {"stated": stated.coverage, "groups": shown}
    if stands.low is not None and stands.high is not None:
        found["interval"] = _interval(stands.low[known], stands.high[known], label[known])
    return found


def missing_ends(missing: Floats, groups: int) -> Floats:
    """The largest shares missing of so many groups of cases, about as many in each; fewer where many shares are alike,
    and none of no case.

    >>> missing_ends(np.array([0.5, 0.0, 0.1, 0.2]), 2).tolist()
    [0.1, 0.5]
    """
    if not len(missing):
        return np.empty(0)
    return np.asarray(np.unique(np.quantile(missing, np.arange(1, groups + 1) / groups, method="inverted_cdf")))


def _groups(missing: Floats, subgroups: pd.DataFrame) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Everyone, then cases by thirds of what is missing, then those of each level that enough cases have."""
    yield EVERYONE, EVERYONE, np.ones(len(missing), bool)
    ends = missing_ends(missing, 3)
    place = np.searchsorted(ends, missing)
    for at, end in enumerate(ends):
        if len(ends) > 1:
            yield BY_MISSING, f"up to {end:.0%}" if at == 0 else f"{ends[at - 1]:.0%} to {end:.0%}", place == at
    for column in subgroups.columns:
        values = levels_of(subgroups[column])
        for level in sorted(set(values)):
            if (values == level).sum() >= FEW_CASES:
                yield str(column), level, values == level


def _row(
    name: str, level: str, band: NDArray[Any], label: Floats, inside: NDArray[np.bool_], subject: NDArray[Any]
) -> dict[str, Any]:
    """One group's coverage; a share of few is not given, and neither is what is left of it."""
    of_each = {"with_outcome": (1, "unlikely"), "without_outcome": (0, "likely")}
    row: dict[str, Any] = {"group": name, "level": level}
    for key, (outcome, ruled_out) in of_each.items():
        cases, is_open = inside & (label == outcome), band != BANDS.index(ruled_out)
        share = _share(cases, is_open, subject)
        low, high = (None, None) if share is None else wilson(share * cases.sum(), int(cases.sum()))
        row[key] = None if share is None else {"covered": share, "low": low, "high": high}
    row["uncertain"] = _share(inside, band == BANDS.index("uncertain"), subject)
    return row


def _share(cases: NDArray[np.bool_], chosen: NDArray[np.bool_], subject: NDArray[Any]) -> float | None:
    """The share of some cases that are chosen; None of FEW_CASES, or where either part is of 1 to 10 patients."""
    parts = (cases & chosen, cases & ~chosen)
    if cases.sum() < FEW_CASES or any(is_small(distinct(subject, part)) for part in parts):
        return None
    return float(parts[0].sum() / cases.sum())


def _interval(low: Floats, high: Floats, label: Floats) -> Mapping[str, float | None]:
    """The ends' means beside the outcome's share: one of the two ends is calibrated, so that it lies between them, but
    for chance."""
    width = high - low
    return {"low": _mean(low), "high": _mean(high), "observed": _mean(label), "median_width": _median(width)}


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None


def _median(values: NDArray[Any]) -> float | None:
    return float(np.median(values)) if len(values) else None
