"""What acting on the risks does: net benefit, and how many alerts of which worth, with all that a threshold costs.

In shapes, g is groups of equal risk from the highest to the lowest, b weightings.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medspark.evaluate.bootstrap import Resamples, Sample, interval_of, whole
from medspark.evaluate.logistic import Floats
from medspark.privacy.small_cells import HIDDEN_REASON, is_small

RATES: Final = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of the cases for which an alert is given."""

THRESHOLDS: Final = tuple(round(0.01 * at, 2) for at in range(1, 100))
"""Risks from which on a patient is treated."""


def net_benefit(risk: Floats, positive: Floats, negative: Floats, thresholds: NDArray[Any]) -> Floats:
    """The net benefit (b, t) of treating every case whose risk is at or above a threshold: the share of true positives
    less that of false ones, each worth the odds of the threshold (Vickers and Elkin 2006, Med Decis Making 26:565).

    Args:
        risk: (g,) falling.
        positive, negative: (b, g) the weight of the cases with and without the outcome.
        thresholds: (t,) within 0 and 1.

    >>> net_benefit(np.array([0.9, 0.2]), np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([0.5])).tolist()
    [[0.5]]
    """
    tp, fp = _flagged_from(risk, positive, thresholds), _flagged_from(risk, negative, thresholds)
    cases = (positive + negative).sum(axis=1, keepdims=True)
    return np.asarray((tp - fp * thresholds / (1 - thresholds)) / cases)


def treat_all(positive: Floats, negative: Floats, thresholds: NDArray[Any]) -> Floats:
    """The net benefit (b, t) of treating everybody; that of treating nobody is 0."""
    ones, zeros = (part.sum(axis=1, keepdims=True) for part in (positive, negative))
    return np.asarray((ones - zeros * thresholds / (1 - thresholds)) / (ones + zeros))


def _flagged_from(risk: Floats, weight: Floats, thresholds: NDArray[Any]) -> Floats:
    """The weight (b, t) of the cases whose risk is at or above each threshold."""
    place = np.searchsorted(-risk, -np.asarray(thresholds), side="right")
    return np.concatenate([np.zeros((len(weight), 1)), np.cumsum(weight, axis=1)], axis=1)[:, place]


def found_at_rates(positive: Floats, negative: Floats, rates: NDArray[Any]) -> Floats:
    """The weight (b, r) of the cases with the outcome among the highest risks, a share of all cases.

    Of cases with equal risks at the end of the share it has as many as by chance.
    """
    above = np.cumsum(positive, axis=1)
    flagged = above + np.cumsum(negative, axis=1)
    return np.stack(
        [
            np.interp(rates * every[-1], [0.0, *every], [0.0, *found])
            for every, found in zip(flagged, above, strict=True)
        ]
    )


def decision_figures(risk: Floats, drawn: Resamples) -> dict[str, Floats]:
    """Of resamples `recall` and `precision` (b, r) at each of the RATES, `benefit` (b, t) at each of the THRESHOLDS."""
    positive, negative = drawn.positive[:, 0], drawn.negative[:, 0]
    rates = np.array(RATES)
    tp, ones = found_at_rates(positive, negative, rates), positive.sum(axis=1, keepdims=True)
    flagged = rates * (ones + negative.sum(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = {"recall": tp / ones, "precision": tp / flagged}
    return {**shares, "benefit": net_benefit(risk, positive, negative, np.array(THRESHOLDS))}


def alerts(sample: Sample, spread: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """What alerts for the highest risks are worth, one dict for each of the RATES.

    Args:
        sample: the cases, with their exact risks.
        spread: of their resamples the `decision_figures`.

    Returns:
        `rate`; `from`, the lowest risk that has an alert; `alerts_per_100_patients`, since a patient may have several
        cases; `recall`, of the cases with the outcome the share with an alert; `precision`, of those with an alert the
        share with the outcome, as value, low and high. Where a count of 1 to 10 would show these are None, and
        `reason` says so.
    """
    positive, negative = (weight[:, 0] for weight in whole(sample))
    ones, cases = float(positive.sum()), float((positive + negative).sum())
    so_far = np.cumsum((positive + negative)[0])
    rows = []
    for at, (rate, tp) in enumerate(zip(RATES, found_at_rates(positive, negative, np.array(RATES))[0], strict=True)):
        flagged = rate * cases
        reason = _why_hidden(tp, flagged - tp, ones - tp, cases - ones - flagged + tp)
        last = min(int(np.searchsorted(so_far, flagged * (1 - 1e-12))), len(so_far) - 1)
        rows.append(
            {
                "rate": rate,
                "from": float(sample.risk[last]),
                "alerts_per_100_patients": 100 * rate * len(sample.cell) / len(sample.cases),
                "recall": _estimate(tp / ones if ones else None, spread["recall"][:, at], reason),
                "precision": _estimate(tp / flagged, spread["precision"][:, at], reason),
                "reason": reason if reason is not None or ones else "no case has the outcome",
            }
        )
    return rows


def _why_hidden(*counts: float) -> str | None:
    return HIDDEN_REASON if any(is_small(int(np.ceil(count - 1e-9))) for count in counts) else None


def _estimate(value: float | None, found: Floats, reason: str | None) -> dict[str, float | None]:
    if value is None or reason is not None:
        return {"value": None, "low": None, "high": None}
    low, high = interval_of(found) or (None, None)
    return {"value": float(value), "low": low, "high": high}


def decision_curve(sample: Sample, spread: Mapping[str, Floats] | None = None) -> dict[str, list[float | None]]:
    """Net benefit at each of the THRESHOLDS: `threshold`; of the model `value`, and with the resamples of its
    `decision_figures` `low` and `high`; of treating `all` and `none`.

    Where as few as 1 to 10 cases are treated, or not, or rightly or wrongly so, the model's is None: so small a count
    is not shown.
    """
    at, (positive, negative) = np.array(THRESHOLDS), (weight[:, 0] for weight in whole(sample))
    tp, fp = _flagged_from(sample.risk, positive, at)[0], _flagged_from(sample.risk, negative, at)[0]
    ones, zeros = positive.sum(), negative.sum()
    hidden = [_why_hidden(a, b, ones - a, zeros - b) is not None for a, b in zip(tp, fp, strict=True)]
    lines = {"value": net_benefit(sample.risk, positive, negative, at)[0]}
    if spread is not None:
        lines |= dict(zip(("low", "high"), np.percentile(spread["benefit"], [2.5, 97.5], axis=0), strict=True))
    return {
        "threshold": [*THRESHOLDS],
        **{name: _shown(line, hidden) for name, line in lines.items()},
        "all": _shown(treat_all(positive, negative, at)[0], [False] * len(at)),
        "none": [0.0] * len(at),
    }


def _shown(values: Floats, hidden: list[bool]) -> list[float | None]:
    return [None if gone else round(float(value), 6) for value, gone in zip(values, hidden, strict=True)]
