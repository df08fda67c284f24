"""What the page says where it is of a bundle on other data than it was made from."""

from collections.abc import Mapping
from typing import Any, Final

from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.format import Cell, Table, count, moment, percent, table, with_interval, words

BESIDE: Final = ("auroc", "auprc", "brier", "calibration_slope", "calibration_intercept")


def about(data: ReportData) -> str:
    """The line under the title: what this page is of, and when it was made."""
    if data.evaluated is None:
        return f"Model card of the task {data.task.task}, made {moment(data.created_at)}."
    found = data.evaluated
    return (
        f"Evaluation on other data of the bundle {found.bundle_id} (task {data.task.task}, "
        f"made {moment(found.made_at)}), done {moment(data.created_at)} on {found.source}."
    )


def caution(data: ReportData) -> str:
    """What to bear in mind of where the figures are from: the last sentence of the summary."""
    if data.evaluated is None:
        return (
            "All of this was measured on patients of the same source, held out from training. Another hospital, "
            "another period or a changed practice needs its own evaluation first."
        )
    if data.evaluated.same_source:
        return (
            "These are the very data that the model was made from, most of which it learned from: the figures flatter "
            "it. The bundle’s own report has those of patients that it had never seen."
        )
    return (
        "All of this was measured on data that the model was not made from. Whether some of the patients are the same "
        "cannot be told from the bundle."
    )


def beside_then(data: ReportData) -> Table | None:
    """The figures here beside those of the bundle's own test split; None on the page of a training run."""
    if data.evaluated is None:
        return None
    then, now = data.evaluated.then, data.metrics["test"]
    rows: list[list[Cell]] = [
        ["Cases", *(count(one["cases"]) for one in (now, then))],
        ["With the outcome", *(percent(one["prevalence"]) for one in (now, then))],
        ["Mean risk", *(percent(one["mean_probability"]) for one in (now, then))],
    ]
    rows += [[words(name), *(with_interval(_metric(one, name)) for one in (now, then))] for name in BESIDE]
    return table("Here, and when the bundle was made", "Figure|These data|The bundle’s own test split", rows, "1 2")


def _metric(test: Mapping[str, Any], name: str) -> Any:
    return test["metrics"].get(name)


def headings(data: ReportData) -> dict[str, str]:
    """The words that differ on the two kinds of page."""
    if data.evaluated is None:
        return {"kind": "model card", "performance": "Performance on held-out patients", "table": "Test split"}
    return {"kind": "evaluation", "performance": "Performance on these data", "table": "These data"}


def left_out(data: ReportData) -> str:
    """Of the cases here those that count in no figure; empty on the page of a training run."""
    if data.evaluated is None:
        return ""
    lost = {"of unknown outcome": data.evaluated.unknown, "without a score": data.evaluated.unscored}
    told = " and ".join(f"{count(cases)} {which}" for which, cases in lost.items() if cases)
    return f" Left out are cases: {told}." if told else ""
