"""The champion and its challenger on the same held-out patients: how much worse the challenger is, and where.

Each difference has an interval from a bootstrap in which both are measured on the same resamples of patients.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medspark.evaluate.bootstrap import interval_of
from medspark.evaluate.logistic import Floats
from medspark.evaluate.metrics import performance, resampled
from medspark.evaluate.subgroups import Cases, Drawing, few_together, levels_of, too_small
from medspark.task.updating import Updating

WORSE: Final[dict[str, Callable[[Any], Any]]] = {
    "auroc": lambda value: -value,
    "brier": lambda value: value,
    "e_average": lambda value: value,
    "calibration_slope": lambda value: np.abs(value - 1),
    "calibration_intercept": np.abs,
}
"""What is compared, each as a number that grows as a model gets worse."""
NAMES: Final = {"auroc": "AUROC", "brier": "Brier score", "e_average": "mean calibration error"}
"""Those that an update is refused by, in words."""
EVERYBODY: Final = "everybody"

Row = dict[str, Any]
"""`column` and `level` of the patients, `cases`, `champion` and `challenger` (by metric the value, None where there is
none), `worse_by` (by metric how much worse the challenger is: `value`, `low`, `high`), `champion_auroc` with its ends,
and `reason`, why there is no more than this."""


def challenged(
    cases: Cases,
    challenger: Floats,
    groups: Mapping[str, "pd.Series[Any]"],
    drawing: Drawing,
    names_of_few: bool = False,
) -> list[Row]:
    """A row for all cases, and one for each level of each subgroup.

    Args:
        cases: n cases, with the champion's risks.
        challenger: (n,) its risks of the same.
        groups: by column the subgroup (n,) of each case; null is a level too.
        drawing: the bootstrap.
        names_of_few: whether levels of few patients have a row of their own, by their name.
    """
    every = np.ones(len(cases.label), np.bool_)
    rows = [_row(EVERYBODY, EVERYBODY, cases, challenger, every, drawing)]
    for column, values in groups.items():
        levels = levels_of(values) if names_of_few else few_together(levels_of(values), cases.subject)
        rows += [
            _row(column, level, cases, challenger, levels == level, drawing) for level in np.unique(levels).tolist()
        ]
    return rows


def _row(column: str, level: str, cases: Cases, challenger: Floats, inside: NDArray[np.bool_], drawing: Drawing) -> Row:
    one, risk = cases.part(inside), challenger[inside]
    reason = too_small(len(one.label), int(one.label.sum()))
    if reason is not None:
        return {"column": column, "level": level, "reason": reason}
    values = [performance(one.label, p, one.weight) for p in (one.risk, risk)]
    spread = [
        resampled(one.label, p, one.subject, drawing.resamples, drawing.seed, one.weight) for p in (one.risk, risk)
    ]
    worse: dict[str, dict[str, float | None]] = {}
    for name, harm in WORSE.items():
        old, new = values[0][name], values[1][name]
        value = None if old is None or new is None else float(harm(new) - harm(old))
        low, high = interval_of(harm(spread[1][name]) - harm(spread[0][name])) or (None, None)
        worse[name] = {"value": value, "low": low, "high": high}
    low, high = interval_of(spread[0]["auroc"]) or (None, None)
    shown = {who: {name: found[name] for name in WORSE} for who, found in zip(_WHO, values, strict=True)}
    about = {"column": column, "level": level, "cases": len(one.label), "reason": None, **shown}
    return {**about, "worse_by": worse, "champion_auroc": {"value": values[0]["auroc"], "low": low, "high": high}}


_WHO: Final = ("champion", "challenger")


def refusals(recent: list[Row], before: list[Row], margins: Updating) -> list[str]:
    """Why a challenger does not take the champion's place, a sentence each; none where it may.

    A figure counts against it where it is worse beyond the margin, and beyond chance: the whole interval is on the
    worse side. Of the patients of before it must rank as well; how common the outcome is may have changed since. Where
    the champion ranks recent patients the wrong way round, beyond chance, it is their outcomes that are in doubt.

    Args:
        recent: rows of the patients that the update is for.
        before: rows of held-out patients of the store, none where it has none.
        margins: of the task.
    """
    now = {"auroc": margins.auroc, "brier": margins.brier, "e_average": margins.calibration}
    then = {"auroc": margins.before}
    told = [f"{EVERYBODY}: {row['reason']}: nothing can be compared" for row in recent[:1] if row["reason"] is not None]
    told += [_doubt(row) for row in recent if _is_reversed(row)]
    for which, rows, allowed in (("recent patients", recent, now), ("patients of before", before, then)):
        told += [
            f"{NAMES[name]} of {_who(row, which)} is worse by {row['worse_by'][name]['value']:.4f} (95 % interval "
            f"{row['worse_by'][name]['low']:.4f} to {row['worse_by'][name]['high']:.4f}), expected at most "
            f"{most:g}"
            for row in rows
            for name, most in allowed.items()
            if _is_worse(row, name, most)
        ]
    return told


def _is_worse(row: Row, name: str, margin: float) -> bool:
    if row["reason"] is not None:
        return False
    value, low = row["worse_by"][name]["value"], row["worse_by"][name]["low"]
    return value is not None and low is not None and value > margin and low > 0


def _is_reversed(row: Row) -> bool:
    high = None if row["reason"] is not None else row["champion_auroc"]["high"]
    return high is not None and high < 0.5


def _doubt(row: Row) -> str:
    return (
        f"the champion ranks {_who(row, 'recent patients')} the wrong way round (AUROC "
        f"{row['champion_auroc']['value']:.3f}): are their outcomes right?"
    )


def _who(row: Row, which: str) -> str:
    return which if row["column"] == EVERYBODY else f"{which} with {row['column']} {row['level']}"
