"""Who is served otherwise than the rest: the sentences and the tables."""

from collections.abc import Mapping
from typing import Any, Final

from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.format import NONE, Cell, Table, number, percent, table, with_interval, words

SHOWN: Final = ("auroc", "calibration_intercept", "calibration_slope", "observed_expected", "e_average")


def named(metrics: Mapping[str, Any]) -> list[str]:
    """Which levels differ from all other cases beyond chance, in sentences; that none does is a sentence too."""
    found = metrics.get("fairness")
    if found is None or not found["compared"]:
        return ["No subgroup is large enough to be compared with the rest."]
    told = [_sentence(one) for one in found["found"]]
    if not told:
        return [f"No subgroup differs from all other cases beyond chance, of {found['compared']} comparisons."]
    return told


def worse(metrics: Mapping[str, Any]) -> list[str]:
    """The levels that the model ranks worse than all other cases beyond chance, in sentences."""
    found = metrics.get("fairness", {}).get("found", [])
    return [_sentence(one) for one in found if one["worse"]]


def _sentence(one: Mapping[str, Any]) -> str:
    who = f"{words(one['column'])}: {one['level']}"
    gap = one["difference"]
    size = f"{number(abs(gap['value']))}"
    if one["metric"] == "auroc":
        how = "worse" if one["worse"] else "better"
        return f"{who} is ranked {how} than all other cases (AUROC {size} {'lower' if one['worse'] else 'higher'})."
    if one["metric"] == "calibration_intercept":
        way = "high" if gap["value"] < 0 else "low"
        return f"Of {who} the risks are too {way} beside those of all other cases ({size} in log odds)."
    way = "extreme" if gap["value"] < 0 else "cautious"
    return f"Of {who} the risks are too {way} beside those of all other cases (calibration slope {size} apart)."


def differences(data: ReportData) -> list[Table]:
    """A table for each column of the subgroups: how far each level is from all other cases."""
    rows = data.metrics["subgroups"]
    head = "|".join(["Level", "With the outcome", "Mean risk", *map(words, SHOWN)])
    return [
        table(
            f"{words(column)}: each level less all other cases",
            head,
            [_row(row) for row in rows if row["column"] == column],
            " ".join(str(at + 1) for at in range(len(SHOWN) + 2)),
        )
        for column in dict.fromkeys(row["column"] for row in rows)
        if any(row["column"] == column and row.get("difference") for row in rows)
    ]


def _row(row: Mapping[str, Any]) -> list[Cell]:
    shares = [percent(row["prevalence"]), percent(row["mean_probability"])]
    gaps = row.get("difference")
    if gaps is None:
        return [
            row["level"],
            *shares,
            row["reason"] or row.get("difference_reason") or NONE,
            *[NONE] * (len(SHOWN) - 1),
        ]
    return [row["level"], *shares, *(with_interval(gaps[name]) for name in SHOWN)]
