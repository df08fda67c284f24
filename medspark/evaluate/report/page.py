"""The model card: one HTML file that needs nothing else, for a person to read, print and send on.

`sentences` and `tables` turn a run's numbers into prose and tables; here they meet the
template.
"""

from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from medspark.evaluate.report import choices, decisions, evaluated, fairness, plots, sentences, tables
from medspark.evaluate.report.card import list_table
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.drivers import drivers
from medspark.evaluate.report.reliance import reliance
from medspark.evaluate.report.source_attributes import attributes_coverage, source_attributes
from medspark.evaluate.report.template import style, template_of
from medspark.evaluate.report.tripod import tripod, tripod_coverage

SECTIONS: Final = (
    ("summary", "Summary"),
    ("use", "Intended use"),
    ("prediction", "Prediction"),
    ("participants", "Participants"),
    ("quality", "Data quality"),
    ("predictors", "Predictors"),
    ("performance", "Performance"),
    ("thresholds", "Decisions"),
    ("subgroups", "Fairness"),
    ("reliance", "Reliance"),
    ("drivers", "What drives the risks"),
    ("model", "Network"),
    ("choices", "Choices"),
    ("checklist", "TRIPOD+AI"),
    ("attributes", "Source attributes"),
    ("versions", "Versions"),
)


def render_report(data: ReportData) -> str:
    """The report as HTML. The same data give the same text."""
    return template_of("evaluate/report", "report.html.j2").render(
        data=data,
        task=data.task,
        css=style(),
        sections=SECTIONS,
        plots=_plots(data),
        **_prose(data),
        **_tables(data),
        **drivers(data),
    )


def write_report(data: ReportData, path: Path) -> None:
    """The report in a file, in UTF-8."""
    path.write_text(render_report(data), encoding="utf-8")


def _prose(data: ReportData) -> dict[str, Any]:
    return {
        "summary": sentences.summary(data),
        "keys": sentences.keys(data),
        "use": sentences.use(data.task),
        "prediction": sentences.prediction(data.task),
        "model": sentences.model(data),
        "balance": tables.balance(data),
        "performance_note": sentences.performance_note(data) + evaluated.left_out(data),
        "about": evaluated.about(data),
        "headings": evaluated.headings(data),
        "comparisons": sentences.comparisons(data),
        "worth": decisions.worth(data),
        "unequal": fairness.named(data.metrics) if data.metrics["subgroups"] else [],
        "history": choices.history(data),
    }


def _tables(data: ReportData) -> dict[str, Any]:
    return {
        **tables.participants(data),
        "quality": tables.quality(data),
        "features": tables.features(data),
        "performance": tables.performance(data),
        "outcomes": tables.outcomes(data),
        "cross_validation": tables.cross_validation(data),
        "thresholds": tables.thresholds(data),
        "subgroups": tables.subgroups(data),
        "beside_then": evaluated.beside_then(data),
        "characteristics": tables.characteristics(data),
        "alerts": decisions.alerts(data),
        "differences": fairness.differences(data),
        "choices": choices.choices(data),
        "tried": choices.tried(data),
        **_lists(data),
        "reliance": reliance(data),
        "versions": tables.versions(data),
        "seconds": tables.seconds(data),
    }


def _lists(data: ReportData) -> dict[str, Any]:
    """The two lists that a model card answers, and how much of each is."""
    items, attributes = tripod(data), source_attributes(data)
    return {
        "checklist": list_table("TRIPOD+AI, item by item", items),
        "checklist_filled": tripod_coverage(items),
        "attributes": list_table("Source attributes, one by one", attributes),
        "attributes_filled": attributes_coverage(attributes),
    }


def _plots(data: ReportData) -> dict[str, Markup]:
    test = data.metrics["test"]
    curves = test["curves"]
    drawn = {
        "roc": plots.roc_plot(curves),
        "precision_recall": plots.precision_recall_plot(curves, test["prevalence"] or 0.0),
        "calibration": plots.calibration_plot(curves),
        "risks": plots.risk_plot(curves, data.task.risk_bands),
        "decision": _decision(test),
        "history": plots.history_plot(data.history),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 (text inside is escaped by matplotlib)


def _decision(test: Any) -> str:
    curve = test.get("decision_curve")
    return plots.decision_plot(curve, decisions.shown_until(curve)) if curve else ""
