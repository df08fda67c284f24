"""The report's tables on how far a score can be relied on."""

from collections.abc import Mapping
from typing import Any

from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.format import NONE, SPACE, Cell, Table, count, number, percent, table


def reliance(data: ReportData) -> list[Table]:
    """What stands beside the scores, and whether it held for the test split; nothing of a report from before."""
    found = data.metrics.get("reliance")
    if found is None:
        return []
    return [_columns(found), *([_coverage(found["coverage"])] if "coverage" in found else [])]


def _columns(found: Mapping[str, Any]) -> Table:
    unusual, interval = found["unusual"], found.get("interval")
    rows: list[list[Cell]] = [
        [
            "Unusual",
            f"at most {percent(unusual['at_most'])} of such patients",
            percent(unusual["share"]),
        ]
    ]
    if interval is not None:
        mean = f"{number(interval['low'])} to {number(interval['high'])}, observed {number(interval['observed'])}"
        rows.append(["Interval of the risk", "the share with the outcome lies between the means of its ends", mean])
        rows.append(
            ["Width of that interval", "half of the cases have a narrower one", number(interval["median_width"])]
        )
    rows += [[name.capitalize(), f"not given: {because}", NONE] for name, because in found["absent"].items()]
    return table("Beside the scores of the test split", "Column|Promise|Found", rows, "2")


def _coverage(found: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = [
        [
            row["group"] if row["level"] == row["group"] else f"{row['group']}: {row['level']}",
            count(row["cases"]),
            _covered(row["with_outcome"]),
            _covered(row["without_outcome"]),
            percent(row["uncertain"]),
        ]
        for row in found["groups"]
    ]
    head = "Group|Cases|Left open, with the outcome|Left open, without|Band uncertain"
    return table(f"What the conformal bands leave open, of {percent(found['stated'], 0)} stated", head, rows, "1 2 3 4")


def _covered(share: Mapping[str, float] | None) -> str:
    if share is None:
        return NONE
    return f"{percent(share['covered'])} ({percent(share['low']).replace(f'{SPACE}%', '')} to {percent(share['high'])})"
