"""How the model was chosen, counted, and what came before it."""

import math
from collections.abc import Mapping
from typing import Any

from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.format import Cell, Table, moment, number, percent, table, words


def settings_tried(data: ReportData) -> str:
    """How many settings competed, in a sentence or two."""
    found = data.metrics.get("tuning")
    if found:
        return (
            f"{_counted(found)}, judged on patients that they were not trained on; the best was trained anew. The test "
            "split was looked at once, last."
        )
    return "One setting was trained, the task file’s; none was searched for. The test split was looked at once, last."


def _counted(found: Mapping[str, Any]) -> str:
    """How many settings were tried, and what became of them."""
    complete, pruned, failed = (found["trials"][state] for state in ("complete", "pruned", "fail"))
    total = complete + pruned + failed
    return f"{total} settings were tried: {complete} to the end, {pruned} given up early, {failed} failed"


def tried(data: ReportData) -> Table | None:
    """Every setting that was tried, the best first; those given up after those that came to an end."""
    found = data.metrics.get("tuning")
    if not found:
        return None
    states = {"complete": "to the end", "pruned": "given up", "fail": "failed"}
    higher = found["judged_by"] in ("auroc", "auprc")
    order = [*states]

    def place(row: Mapping[str, Any]) -> tuple[int, float]:
        value = math.inf if row["value"] is None else row["value"]
        return order.index(row["outcome"]), -value if higher else value

    settings = [*found["settings"]]
    rows: list[list[Cell]] = [
        [
            str(row["trial"]) + (", chosen" if row["trial"] == found["chosen"] else ""),
            states[row["outcome"]],
            number(row["value"], 4),
            str(row["epochs"] or 0),
            *(_shown(row["settings"].get(key)) for key in settings),
        ]
        for row in sorted(found["tried"], key=place)
    ]
    names = [key.partition(".")[2].replace("_", " ").capitalize() for key in settings]
    head = "|".join(["Trial", "Outcome", words(found["judged_by"]), "Epochs", *names])
    return table("Settings that were tried", head, rows, " ".join(str(at) for at in range(2, 4 + len(names))))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def _drawn(data: ReportData) -> list[list[Cell]]:
    share = data.metrics.get("lines")
    if share is None:
        return []
    return [
        ["Logistic regression", "3", f"penalties; it is {percent(share)} of what members say, by the same patients"]
    ]


def _of_folds(found: Mapping[str, Any]) -> str:
    if "tried" not in found:
        return "folds, each trained anew; it chose nothing"
    return f"folds, each trained anew after a search without it, of {found['tried']:,} settings in all; none was kept"


def choices(data: ReportData) -> Table:
    """Everything that was chosen among others, with how many there were to choose from."""
    network, training = data.task.network, data.task.training
    folds = f"each without one of {network.members} folds of the patients" if network.cross_fitted else "of other seeds"
    searched = data.metrics.get("tuning")
    settings = (
        (str(len(searched["tried"])), _counted(searched))
        if searched
        else ("1", "the task file’s; none was searched for")
    )
    rows: list[list[Cell]] = [
        ["Settings of the network", *settings],
        [
            "Networks in the model",
            str(network.members),
            f"members, {folds}; their mean logit is served",
        ],
        [
            "Epochs",
            f"{len(data.history):,}",
            "looked at to stop in time, on patients that a member did not learn from",
        ],
        ["Ways to calibrate", "1", f"{training.calibration}, on the same patients"],
        ["Looks at the test split", "1", "after everything else was decided"],
    ]
    rows[3:3] = _drawn(data)
    if network.student is not None:
        rows.insert(2, ["Students", "1", f"{network.student}, learned from the members and served in their place"])
    found = data.metrics.get("cross_validation")
    if found:
        rows.append(["Cross-validation", str(found["folds"] * found.get("repeats", 1)), _of_folds(found)])
    compared = {name: one["metrics"]["auroc"]["value"] for name, one in data.metrics["baselines"].items()}
    told = ", ".join(f"{words(name).lower()} (AUROC {number(auroc)})" for name, auroc in compared.items())
    rows.append(["Other models", str(len(compared)), f"beside it on the same patients: {told}" if told else "none"])
    rows.append(["Gates", str(len(gates(data))), "; ".join(gates(data)) or "none asked for"])
    return table("What was chosen, and from how many", "Choice|Number|Which", rows, "1")


def gates(data: ReportData) -> list[str]:
    """What the task asks a model to reach, which this one did."""
    found = []
    if data.task.gates.auroc_at_least is not None:
        found.append(f"AUROC at least {data.task.gates.auroc_at_least:g}")
    if data.task.gates.no_worse_subgroup:
        found.append("no subgroup ranked worse than the rest")
    for name in ("calibration_slope", "calibration_intercept"):
        allowed = getattr(data.task.gates, name)
        if allowed is not None:
            ends = ("any" if end is None else f"{end:g}" for end in (allowed.low, allowed.high))
            found.append(f"{words(name).lower()} {' to '.join(ends)}")
    return found


def history(data: ReportData) -> str:
    """What came before this model, in one sentence."""
    if data.evaluated is not None:
        return f"The bundle {data.evaluated.bundle_id} of {moment(data.evaluated.made_at)} was not changed here."
    if data.parent is None:
        return "First of its line: it takes no other bundle's place."
    told = f"It takes the place of the bundle {data.parent}."
    if (updates := data.metrics.get("update", {}).get("let_through")) is None:
        return told
    return (
        f"{told} Updates that the test split's patients let through until now, this one among them: {updates}. Its "
        "figures are of such patients, and so they flatter it."
    )
