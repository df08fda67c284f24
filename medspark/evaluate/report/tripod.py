"""TRIPOD+AI's 27 items and what answers each (Collins et al. 2024, BMJ 385:e078378; CC BY 4.0, shortened)."""

from typing import Any, Final

from medspark.evaluate.report.card import Answer, Item, answers, coverage, fact, joined
from medspark.evaluate.report.choices import settings_tried
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.facts import (
    about_missing,
    about_outcome,
    about_splits,
    about_subgroups,
    about_updating,
    flow_in_words,
    how_scored,
    intended_use,
    limits,
    network_in_words,
    period,
    population,
    precision_reached,
    preparation,
    results,
    software,
    source,
    thresholds_in_words,
)
from medspark.evaluate.report.format import percent
from medspark.evaluate.report.sentences import prediction, summary
from medspark.privacy.small_cells import is_small

MEASURES: Final = (
    "Discrimination: AUROC, AUPRC; overall: Brier score, scaled Brier score, log loss; calibration: intercept, slope, "
    "ratio of observed to expected, and the distances to a smooth curve; clinical utility: net benefit, recall and "
    "precision of alerts; the spread of the risks. Each with a 95 % interval from a bootstrap of patients."
)


def _title(data: ReportData) -> str:
    outcome = data.task.outcome.name
    if data.evaluated is not None:
        return f"Evaluation, on other data, of a model that predicts: {outcome}. Title: {data.task.title}."
    what = "Development and internal evaluation of a neural network"
    return f"{what} that predicts: {outcome}. Title: {data.task.title}."


def _objective(data: ReportData) -> str:
    what = "To evaluate" if data.evaluated is not None else "To develop and internally evaluate"
    return f"{what} a model that gives each eligible case a calibrated risk of: {data.task.outcome.name}."


def _differences(data: ReportData) -> str:
    if data.evaluated is None:
        return "By design there is no difference: one source, divided by patient, under the same rules."
    return f"The model was evaluated on {source(data)} Rules, predictors and outcome are those of the task shown here."


def _imbalance(data: ReportData) -> str:
    weight = data.task.training.class_weight
    if weight == "none":
        return "No method against class imbalance was used."
    return f"Classes were weighed ({weight}) in training; the risks were calibrated on cases not learned from."


def _fairness(data: ReportData) -> str | None:
    if not data.task.report.subgroups:
        return None
    return f"No group is treated otherwise in training. {about_subgroups(data)}"


def _predictors(data: ReportData) -> str:
    names = [row["name"] for row in data.features]
    return f"{len(names)} predictors, named in the task file before training; none was chosen by its result."


def _definitions(data: ReportData) -> str:
    moment = fact(prediction(data.task), "Moment of prediction")
    return f"The section Predictors defines each, as recorded by the prediction time. {moment}"


def _handled(data: ReportData) -> str:
    kind = data.task.network.kind
    ramps = " and also enter as ramps between their quantiles" if kind == "tabular" else ""
    return f"Numbers are scaled by the training split{ramps}; categories and codes become learned vectors."


def _comparison(data: ReportData) -> str | None:
    if data.evaluated is None:
        splits: dict[str, Any] = dict(data.counts.get("splits", {}))
        shares = [
            f"{name} {percent(one['positives'] / one['cases'])}"
            for name, one in splits.items()
            if one.get("cases") and not is_small(one["positives"])
        ]
        return f"Share with the outcome by split: {', '.join(shares)}." if shares else None
    then, now = data.evaluated.then, data.metrics["test"]
    return (
        f"With the outcome: {percent(now['prevalence'])} here, {percent(then['prevalence'])} of the bundle's own test "
        f"cases; mean risk {percent(now['mean_probability'])} and {percent(then['mean_probability'])}."
    )


def _recalibration(data: ReportData) -> str:
    if data.evaluated is not None:
        return "The model was evaluated as it is; nothing was recalibrated."
    method = data.task.training.calibration
    return f"Calibration by {method} on cases not learned from; nothing was changed after the evaluation."


def _missing_input(data: ReportData) -> str:
    absent = {"stop": "stops the run", "warn": "is named, and the run goes on"}[data.task.scoring.absent]
    return (
        "A row that breaks a cleaning rule has no score and a reason instead; a missing value is handled as in "
        f"training; a table or column that training read and the source lacks {absent}."
    )


def _no_assessor(_: ReportData) -> str:
    return "Computed by the rule above from records; no assessor of this study judged it."


def _blinding(_: ReportData) -> str:
    return "The rule reads the outcome’s own records alone, and no predicted risk."


def _as_recorded(_: ReportData) -> str:
    return "Taken from records as they are; nobody of this study assessed them."


def _model(data: ReportData) -> str:
    return f"{network_in_words(data)} {settings_tried(data)}"


def _characteristics(data: ReportData) -> str | None:
    if not data.characteristics and not data.features:
        return None
    return "Who the training cases are is in Participants, what is missing in Predictors."


def _specification(data: ReportData) -> str:
    parts = "its rules, statistics, network and calibration"
    return f"The bundle holds the whole model: {parts}. Their digest is {data.decides_scores}."


def _interpretation(data: ReportData) -> str:
    return f"{results(data)} {about_subgroups(data) or ''}".strip()


def _interaction(_: ReportData) -> str:
    return "No user handles the input: scores are computed from the records."


SUBGROUPS: Final = "report.subgroups"

ITEMS: Final = (
    Item("1", "Title", "developing or evaluating, target population, outcome", _title),
    Item("2", "Abstract", "a structured summary", lambda data: joined(summary(data))),
    Item("3a", "Background", "context of care, rationale, existing models", keys=("background",)),
    Item("3b", "Background", "population, purpose, users", intended_use, keys=("users",), where="intended_use"),
    Item("3c", "Background", "known health inequalities", keys=("inequalities",)),
    Item("4", "Objectives", "development or validation", _objective),
    Item("5a", "Data", "sources, and what they represent", source, keys=("representative",)),
    Item("5b", "Data", "dates of the data", period, instead=("dates",)),
    Item("6a", "Participants", "setting, number and place of centres", keys=("setting",)),
    Item("6b", "Participants", "eligibility", population),
    Item("6c", "Participants", "treatments", keys=("treatments",)),
    Item("7", "Data preparation", "pre-processing and quality checks", preparation),
    Item("8a", "Outcome", "definition, horizon, reason, assessment", about_outcome, keys=("outcome_reason",)),
    Item("8b", "Outcome", "assessors, where assessment is subjective", _no_assessor),
    Item("8c", "Outcome", "blinding", _blinding),
    Item("9a", "Predictors", "choice before modelling", _predictors),
    Item("9b", "Predictors", "definitions, when measured", _definitions),
    Item("9c", "Predictors", "assessors, where measurement is subjective", _as_recorded),
    Item("10", "Sample size", "how it was arrived at, and whether it is enough", precision_reached),
    Item("11", "Missing data", "how they were handled", about_missing),
    Item("12a", "Analysis", "how the data were used and divided", about_splits),
    Item("12b", "Analysis", "how predictors were handled", _handled),
    Item("12c", "Analysis", "type of model, building, tuning, internal validation", _model),
    Item("12d", "Analysis", "heterogeneity across clusters", about_subgroups, where=SUBGROUPS),
    Item("12e", "Analysis", "measures and plots", lambda _: MEASURES),
    Item("12f", "Analysis", "updating that came of the evaluation", _recalibration),
    Item("12g", "Analysis", "how predictions were calculated", how_scored),
    Item("13", "Class imbalance", "methods, and recalibration after them", _imbalance),
    Item("14", "Fairness", "approaches, and why", _fairness, instead=("fairness",), where=SUBGROUPS),
    Item(
        "15", "Model output", "probability or class, and thresholds", thresholds_in_words, keys=("thresholds_reason",)
    ),
    Item("16", "Training versus evaluation", "differences between the data", _differences),
    Item("17", "Ethical approval", "approval and consent, or waiver", keys=("ethics",)),
    Item("18a", "Funding", "source and part of the funders", keys=("funding",)),
    Item("18b", "Conflicts of interest", "of all authors", keys=("conflicts",)),
    Item("18c", "Protocol", "where it is", keys=("protocol",)),
    Item("18d", "Registration", "where, and its number", keys=("registration",)),
    Item("18e", "Data sharing", "availability of the data", keys=("data_sharing",)),
    Item("18f", "Code sharing", "availability of the code", software),
    Item("19", "Patient and public involvement", "in design, conduct, reporting", keys=("involvement",)),
    Item("20a", "Participants", "flow, with and without the outcome", flow_in_words),
    Item("20b", "Participants", "characteristics, missing data", _characteristics),
    Item("20c", "Participants", "comparison with the development data", _comparison),
    Item("21", "Model development", "participants and outcomes in each analysis", flow_in_words),
    Item("22", "Model specification", "the full model", _specification),
    Item("23a", "Performance", "with intervals, by subgroup", results),
    Item("23b", "Performance", "heterogeneity across clusters", about_subgroups, where=SUBGROUPS),
    Item("24", "Model updating", "results of any", about_updating),
    Item("25", "Interpretation", "of the results, with fairness", _interpretation, more=("interpretation",)),
    Item("26", "Limitations", "and what they do", limits, more=("limits",)),
    Item("27a", "Usability", "poor or unavailable input", _missing_input),
    Item("27b", "Usability", "users' interaction and expertise", _interaction, keys=("users",)),
    Item("27c", "Usability", "next steps", keys=("next_steps",)),
)


def tripod(data: ReportData) -> list[Answer]:
    """What answers each item."""
    return answers(ITEMS, data)


def tripod_coverage(found: list[Answer]) -> dict[str, Any]:
    """How many of the 27 items are answered in all their parts."""
    return coverage(found, main=lambda number: number.rstrip("abcdefg"))
