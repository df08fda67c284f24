"""Facts of a run in a sentence or two each, as the lists of a model card ask for them; None where a run knows none."""

from typing import Any

from medspark.evaluate.report import tables
from medspark.evaluate.report.card import fact, joined
from medspark.evaluate.report.choices import history
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.fairness import named
from medspark.evaluate.report.format import count, interval, number, percent, words
from medspark.evaluate.report.sentences import calibrated, flagging, prediction, ranked

MARGIN = 0.05
"""Of the outcome's overall share, within which a study should tell it (Riley et al. 2020, BMJ 368:m441)."""


def intended_use(data: ReportData) -> str | None:
    return data.task.intended_use


def source(data: ReportData) -> str:
    """Where the data come from."""
    what = fact(prediction(data.task), "Source") if data.evaluated is None else data.evaluated.source
    rows = data.counts.get("rows_in")
    return f"{what}; {tables.shown_counts(data)[rows]} rows read." if rows else f"{what}."


def period(data: ReportData) -> str | None:
    if data.period is None:
        return None
    return f"Prediction times from {data.period[0]} to {data.period[1]}."


def population(data: ReportData) -> str:
    """Who is a case, and who is not."""
    facts = dict(prediction(data.task))
    wanted = ("Population", "Required", "Exclusions")
    return " ".join(f"{name}: {joined(facts[name])}" for name in wanted if name in facts)


def preparation(data: ReportData) -> str:
    return f"{tables.balance(data)} The same rules held for everybody."


def about_outcome(data: ReportData) -> str:
    facts = dict(prediction(data.task))
    return " ".join(joined(facts[name]) for name in ("Outcome", "Follow-up") if name in facts)


def about_splits(data: ReportData) -> str:
    if data.evaluated is not None:
        return "Every case with a known outcome was evaluated, once; nothing was learned from any."
    return fact(prediction(data.task), "Split")


def about_missing(data: ReportData) -> str:
    """Which predictors have missing values, and what became of them."""
    cases = data.counts.get("splits", {}).get("train", {}).get("cases")
    shares = [(row["missing_share"] or 0.0, row["name"]) for row in data.features]
    some = sorted(((share, name) for share, name in shares if share > 0), reverse=True)
    how = "A missing number becomes the training split's median, a missing level or code a level of its own."
    if not some:
        return f"No predictor is missing in the training split. {how}"
    most = ", ".join(f"{name} {tables.missing(share, cases)}" for share, name in some[:3])
    return f"{len(some)} of {len(shares)} predictors have missing values, most of all {most}. {how}"


def precision_reached(data: ReportData) -> str:
    """How many cases there are, and how precisely they tell what was asked."""
    test = data.metrics["test"]
    share, found = test["prevalence"], test["metrics"]
    needed = (1.96 / MARGIN) ** 2 * share * (1 - share)
    return (
        f"All eligible cases were taken; no number was set before. {count(test['cases'])} cases were evaluated; "
        f"{max(1, round(needed)):,} tell the outcome’s share within {MARGIN:g}. Reached: AUROC "
        f"{interval(found['auroc'])}, calibration slope {interval(found['calibration_slope'])}."
    )


def network_in_words(data: ReportData) -> str:
    network = data.task.network
    training, weights = data.task.training, data.engine.get("parameters")
    size = f" and {weights:,} weights" if weights else ""
    of = " with what gradient boosting says of the same patients" if "taught" in data.metrics else ""
    how = f"trained by {training.optimizer} on {words(training.loss).lower()}{of}, calibrated by {training.calibration}"
    return f"A {network.kind} neural network of {network.members} members{size}, {how}."


def how_scored(data: ReportData) -> str:
    engine = "LiteRT" if data.engine.get("litert_max_difference") is not None else "TensorFlow"
    return f"By `medspark score` from the bundle alone: rules, features, network ({engine}) and calibration are in it."


def thresholds_in_words(data: ReportData) -> str:
    bands = sorted(data.task.risk_bands.items(), key=lambda band: band[1])
    if not bands:
        return "A probability; no threshold is proposed."
    named_bands = ", ".join(f"{name} from {percent(start, 0)}" for name, start in bands)
    return f"A probability, and risk bands that were set before training: {named_bands}."


def software(data: ReportData) -> str | None:
    version = data.versions.get("medspark")
    return None if version is None else f"medspark {version}; the bundle has the whole task file, all rules in it."


def results(data: ReportData) -> str:
    """Ranking, calibration and flagging in words."""
    test = data.metrics["test"]
    return " ".join([*ranked(test["metrics"]), *calibrated(test["metrics"]), *flagging(test["thresholds"])])


def about_subgroups(data: ReportData) -> str | None:
    """What the subgroups show; None where the task names none."""
    columns = dict.fromkeys(words(row["column"]).lower() for row in data.metrics["subgroups"])
    return f"Examined by {', '.join(columns)}. {' '.join(named(data.metrics))}" if columns else None


def who_they_are(data: ReportData) -> str | None:
    """The training cases by the columns that the task examines as subgroups; by all categories where it names none."""
    rows = [row for row in data.characteristics if row.get("share") is not None]
    wanted = [row for row in rows if row["name"] in data.task.report.subgroups] or rows
    columns: dict[str, list[str]] = {}
    for row in wanted:
        columns.setdefault(row["name"], []).append(f"{row['level']} {percent(row['share'], 0)}")
    columns |= {row["name"]: [f"mean {row['mean']:.4g}"] for row in data.characteristics if row["name"] == "age"}
    told = [f"{words(name)}: {', '.join(levels)}" for name, levels in columns.items()]
    return f"Of the training cases. {'. '.join(told)}." if told else None


def flow_in_words(data: ReportData) -> str:
    """How many cases, with how many outcomes, went into each analysis."""
    if data.evaluated is not None:
        test, lost = data.metrics["test"], data.evaluated
        return (
            f"{count(test['cases'])} cases evaluated, {count(test['positives'])} with the outcome; "
            f"{count(lost.unknown)} of unknown outcome and {count(lost.unscored)} without a score were left out."
        )
    splits: dict[str, Any] = dict(data.counts.get("splits", {}))
    shown = tables.shown_counts(data)
    each = [
        f"{tables.SPLITS.get(name, name)}: {shown[one.get('cases')]} cases, "
        f"{shown[one.get('positives')]} with the outcome"
        for name, one in splits.items()
    ]
    return f"{'; '.join(each)}." if each else f"{count(data.metrics['test']['cases'])} test cases."


def about_updating(data: ReportData) -> str:
    return history(data)


def limits(data: ReportData) -> str:
    """What the run itself knows to be limits."""
    test, found = data.metrics["test"], []
    if data.evaluated is None:
        found.append("One source; nothing is known of other hospitals, other periods or a changed practice.")
    elif data.evaluated.same_source:
        found.append("The data are those that the bundle was made from: the figures flatter it.")
    else:
        found.append("Whether patients of these data were also learned from cannot be told from the bundle.")
    rarer = min(test["positives"], test["cases"] - test["positives"])
    if rarer < 100:
        found.append("Fewer than 100 cases of the rarer outcome: every figure is uncertain.")
    slope = test["metrics"]["calibration_slope"]
    if slope["low"] is None:
        found.append("Calibration could not be judged.")
    elif slope["high"] < 1:
        found.append(f"The risks are too extreme (slope {number(slope['value'], 2)}).")
    worse = [one for one in data.metrics.get("fairness", {}).get("found", []) if one["worse"]]
    found += [f"It ranks {words(one['column']).lower()} {one['level']} worse than all others." for one in worse]
    small = sum(row["metrics"] is None for row in data.metrics["subgroups"])
    found += [f"{small} subgroups are too small to be judged."] if small else []
    return " ".join(found)
