"""The report's tables and its flow of participants."""

from collections.abc import Mapping
from typing import Any, Final

from medspark.evaluate.ranked import METRICS
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.evaluated import headings
from medspark.evaluate.report.format import (
    NONE,
    Cell,
    Table,
    count,
    number,
    percent,
    table,
    with_interval,
    words,
)
from medspark.privacy.small_cells import SMALL, publishable_counts

Shown = Mapping[int | None, str]
SPLITS: Final = {"train": "Training", "valid": "Validation", "test": "Test", "unused": "Unused"}
READING: Final = {
    "auroc": "higher is better",
    "auprc": "higher is better",
    "brier": "lower is better",
    "log_loss": "lower is better",
    "calibration_slope": "ideal 1",
    "calibration_intercept": "ideal 0",
    "scaled_brier": "higher is better",
    "observed_expected": "ideal 1",
    "e_average": "ideal 0",
    "e50": "ideal 0",
    "e90": "ideal 0",
    "e_max": "ideal 0",
    "sharpness": "wider tells more apart",
}


# ---------------------------------------------------------------- participants


def participants(data: ReportData) -> dict[str, Any]:
    """The flow drawing, its splits and the attrition table, all from counts that give no small cell away."""
    shown = shown_counts(data)
    return {"flow": _flow(data, shown), "splits": _splits(data, shown), "attrition": _attrition(data, shown)}


def shown_counts(data: ReportData) -> Shown:
    """Every count of the flow → how it is written: small ones hidden, and then the others rounded to tens."""
    counts = data.counts
    names = ("rows_in", "records", "duplicates", "candidates", "with_events", "non_events")
    every = [*(counts.get(name) for name in names), _aside(data)]
    every += _quarantined(data).values()
    every += [row[key] for row in data.attrition for key in ("removed", "remaining")]
    pairs = [(value, value) for value in every]
    for split in _split_counts(data).values():
        subjects = split.get("subjects", split.get("cases"))
        pairs += [(split.get(key), subjects) for key in ("cases", "positives")]
    # A count is written in one way, so where it is of few patients in one place it is hidden in all
    known: dict[int, int] = {}
    for value, people in pairs:
        if value is not None and people is not None:
            known[int(value)] = min(int(value), int(people), known.get(int(value), int(value)))
    shown = publishable_counts(list(known), list(known.values()))
    return {None: NONE, **dict(zip(known, map(count, shown), strict=True))}


def _quarantined(data: ReportData) -> Mapping[str, int]:
    return dict(data.counts.get("quarantined", {}))


def _aside(data: ReportData) -> int:
    return sum(_quarantined(data).values())


def _split_counts(data: ReportData) -> Mapping[str, Mapping[str, int]]:
    return dict(data.counts.get("splits", {}))


def _flow(data: ReportData, shown: Shown) -> list[dict[str, Any]]:
    """Boxes from top to bottom, each with what was taken out below it."""
    counts = data.counts
    taken = {"set aside by a cleaning rule": _aside(data), "duplicates removed": counts.get("duplicates", 0)}
    lost = [f"− {shown[rows]} {what}" for what, rows in taken.items() if rows]
    steps = [{"title": "Rows read", "count": shown[counts.get("rows_in")], "out": lost}]
    title, amount = _starting(data)
    for row in data.attrition:
        out = f"− {shown[row['removed']]} {row['criterion']}: {row['because']}"
        steps.append({"title": title, "count": shown[amount], "out": [out]})
        title, amount = "Remaining", row["remaining"]
    divided = ["divided by patient"] if _split_counts(data) else []
    return [*steps, {"title": "Cases", "count": shown[amount], "out": divided}]


def _starting(data: ReportData) -> tuple[str, int | None]:
    """What the exclusions start from: records, or the prediction times that events give."""
    candidates = data.counts.get("candidates")
    return ("Records", data.counts.get("records")) if candidates is None else ("Candidates", candidates)


def _splits(data: ReportData, shown: Shown) -> list[dict[str, str]]:
    return [
        {
            "name": SPLITS.get(name, words(name)),
            "cases": shown[split.get("cases")],
            "positives": f"{shown[split.get('positives')]} with the outcome",
        }
        for name, split in sorted(_split_counts(data).items(), key=lambda pair: [*SPLITS, pair[0]].index(pair[0]))
    ]


def _attrition(data: ReportData, shown: Shown) -> Table:
    title, amount = _starting(data)
    rows: list[list[Cell]] = [[f"all {title.lower()}", NONE, shown[amount], NONE]]
    rows += [
        [row["criterion"], shown[row["removed"]], shown[row["remaining"]], row["because"]] for row in data.attrition
    ]
    return table("Exclusions, in the order applied", "Criterion|Removed|Remaining|Because", rows, "1 2")


# ---------------------------------------------------------------- data


def balance(data: ReportData) -> str:
    """Rows in against rows kept and set aside, in two sentences."""
    shown, counts = shown_counts(data), data.counts
    kept = f"{shown[counts.get('records')]} kept as records"
    if "with_events" in counts:
        kept = (
            f"{shown[counts['with_events']]} made {shown[counts.get('records')]} events, "
            f"{shown[counts['non_events']]} are no events by a rule of the mapping"
        )
    return (
        f"{shown[counts.get('rows_in')]} rows read: {kept}, "
        f"{shown[_aside(data)]} set aside, {shown[counts.get('duplicates')]} duplicates removed and "
        f"{counts.get('blank_lines', 0):,} blank lines. Nothing else was dropped; every row set aside is "
        "kept with its place and its reason."
    )


def quality(data: ReportData) -> list[Table]:
    """Rows set aside and values emptied, by rule; only the tables that have rows."""
    shown = shown_counts(data)
    aside = [[rule, shown[rows]] for rule, rows in _quarantined(data).items()]
    emptied = [[rule, count(values)] for rule, values in data.counts.get("set_missing", {}).items()]
    tables = (
        table("Rows set aside (quarantine)", "Rule|Rows", aside, "1"),
        table("Values set missing", "Rule|Values", emptied, "1"),
    )
    return [found for found in tables if found.rows]


def features(data: ReportData) -> Table:
    """Every predictor with its share of missing values in the training split."""
    cases = _split_counts(data).get("train", {}).get("cases")
    rows: list[list[Cell]] = [
        [row["name"], row["kind"], missing(row["missing_share"], cases), row["summary"] or NONE]
        for row in data.features
    ]
    return table("Predictors", "Name|Kind|Missing|Summary", rows, "2")


def characteristics(data: ReportData) -> Table | None:
    """Who the training cases are; None where nothing of one value or level is among the predictors."""
    rows: list[list[Cell]] = [
        [row["name"], f"mean {row['mean']:.4g}", f"SD {row['sd']:.4g}"]
        if "mean" in row
        else [f"{row['name']}: {row['level']}", count(row["cases"]), percent(row["share"])]
        for row in data.characteristics
    ]
    return (
        table("Characteristics of the training cases", "Characteristic|Cases, or mean|Share, or SD", rows, "1 2")
        if rows
        else None
    )


def missing(share: float | None, cases: int | None) -> str:
    """A share of the training cases that is missing; of 1 to 10 of them no more than that it is so few."""
    if share is not None and cases and 0 < round(share * cases) < SMALL:
        return f"<{percent(SMALL / cases, 2)}"
    return percent(share)


# ---------------------------------------------------------------- performance


def performance(data: ReportData) -> Table:
    """The model beside the baselines, each metric over its interval."""
    baselines = data.metrics["baselines"]
    columns = [data.metrics["test"]["metrics"], *(baseline["metrics"] for baseline in baselines.values())]
    rows: list[list[Cell]] = [
        [words(name), READING[name], *(with_interval(column.get(name)) for column in columns)] for name in METRICS
    ]
    head = "|".join(["Metric", "Reading", "This model", *map(words, baselines)])
    return table(headings(data)["table"], head, rows, " ".join(str(2 + place) for place in range(len(columns))))


def outcomes(data: ReportData) -> list[Table]:
    """Of several targets the figures of each; of classes those of all together, and which is taken for which."""
    found = data.metrics.get("outcomes")
    if not found:
        return []
    shown = ("auroc", "auprc", "brier", "calibration_slope", "calibration_intercept")
    rows: list[list[Cell]] = []
    for one in found["targets"]:
        counts = [count(one["cases"]), count(one["positives"])]
        rows.append([one["name"], "this model", *counts, *(with_interval(one["metrics"][name]) for name in shown)])
        for name, metrics in one["baselines"].items():
            rows.append(["", words(name).lower(), "", "", *(with_interval(metrics[key]) for key in shown)])
    head = "|".join(["Target", "Model", "Cases", "With it", *map(words, shown)])
    tables = [table(f"Each of the {KINDS[found['kind']]}", head, rows, "2 3 4 5 6 7 8")]
    if "together" in found:
        tables += [_together(found["together"]), _confusion(found)]
    return tables


KINDS: Final = {"classes": "classes", "several": "outcomes", "horizons": "horizons"}


def _together(found: Mapping[str, Any]) -> Table:
    models = {"this model": found["metrics"], **{words(name): one for name, one in found["baselines"].items()}}
    names = list(found["metrics"])
    rows: list[list[Cell]] = [[name, *(with_interval(one[key]) for key in names)] for name, one in models.items()]
    return table("All classes together", "|".join(["Model", *map(words, names)]), rows, "1 2 3 4")


def _confusion(found: Mapping[str, Any]) -> Table:
    names = [one["name"] for one in found["targets"]]
    rows: list[list[Cell]] = [
        [name, *map(count, row)] for name, row in zip(names, found["together"]["confusion"], strict=True)
    ]
    places = " ".join(str(at + 1) for at in range(len(names)))
    return table("True class (rows) by the likeliest one", "|".join(["Class", *names]), rows, places)


def cross_validation(data: ReportData) -> Table | None:
    """Mean and standard deviation over the folds, where they were run."""
    found = data.metrics.get("cross_validation")
    if not found:
        return None
    rows = [[words(name), number(m["mean"]), number(m["sd"])] for name, m in found["metrics"].items()]
    times = f", drawn {found['repeats']} times" if found.get("repeats", 1) > 1 else ""
    return table(f"Cross-validation, {found['folds']} folds by patient{times}", "Metric|Mean|SD", rows, "1 2")


def thresholds(data: ReportData) -> Table:
    """Each band: how many are in it and come true, and what flagging from its start would do."""
    shares = ("flagged_share", "sensitivity", "specificity", "ppv", "npv")
    rows: list[list[Cell]] = [
        [
            row["band"],
            f"{percent(row['from'], 0)} to {percent(row['to'], 0)}",
            count(row["n"]),
            percent(row["observed"]),
            count(row["flagged"]),
            number(row.get("alerts_per_100_patients"), 1),
            *(percent(row[share]) for share in shares),
            number(row.get("net_benefit")),
        ]
        for row in data.metrics["test"]["thresholds"]
    ]
    head = "Band|Risk|Cases|Observed|Flagged|Alerts for 100 patients|Share|Sensitivity|Specificity|PPV|NPV|Net benefit"
    return table("Risk bands", head, rows, "2 3 4 5 6 7 8 9 10 11")


def subgroups(data: ReportData) -> list[Table]:
    """A table per column of the subgroups; a level too small says why instead of showing metrics."""
    rows = data.metrics["subgroups"]
    head = "Level|Cases|With the outcome|AUROC|AUPRC|Brier score|Calibration slope|Calibration intercept"
    return [
        table(
            f"By {words(column).lower()}",
            head,
            [_subgroup(row) for row in rows if row["column"] == column],
            "1 2 3 4 5 6 7",
        )
        for column in dict.fromkeys(row["column"] for row in rows)
    ]


def _subgroup(row: Mapping[str, Any]) -> list[Cell]:
    counts: list[Cell] = [row["level"], count(row["cases"]), count(row["positives"])]
    if row["metrics"] is None:
        return [*counts, row["reason"], NONE, NONE, NONE, NONE]
    shown = ("auroc", "auprc", "brier", "calibration_slope", "calibration_intercept")
    return counts + [with_interval(row["metrics"][name]) for name in shown]


# ---------------------------------------------------------------- the rest


def versions(data: ReportData) -> Table:
    """Package versions, as recorded in the bundle."""
    rows = [[name, version] for name, version in data.versions.items()]
    return table("Versions", "Package|Version", rows)


def seconds(data: ReportData) -> Table:
    """Wall-clock seconds per stage."""
    rows = [[words(stage), f"{spent:,.1f}"] for stage, spent in data.seconds.items()]
    return table("Run times", "Stage|Seconds", rows, "1")
