"""The model card: one HTML file that needs nothing else, for a person to read, print and send on.

`sentences` and `tables` turn a run's numbers into prose and tables; here they meet the
template.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from medspark.evaluate.report import plots, sentences, tables
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.reliance import reliance

SECTIONS: Final = (
    ("summary", "Summary"),
    ("use", "Intended use"),
    ("prediction", "Prediction"),
    ("participants", "Participants"),
    ("quality", "Data quality"),
    ("predictors", "Predictors"),
    ("performance", "Performance"),
    ("thresholds", "Thresholds"),
    ("subgroups", "Subgroups"),
    ("reliance", "Reliance"),
    ("model", "Network"),
    ("checklist", "TRIPOD+AI"),
    ("versions", "Versions"),
)


def render_report(data: ReportData) -> str:
    """The report as HTML. The same data give the same text."""
    environment = Environment(
        loader=PackageLoader("medspark", "evaluate/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = files("medspark.evaluate.report").joinpath("report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(
        data=data,
        task=data.task,
        css=Markup(css),  # noqa: S704 (a file of this package)
        sections=SECTIONS,
        plots=_plots(data),
        **_prose(data),
        **_tables(data),
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
        "performance_note": sentences.performance_note(data),
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
        "reliance": reliance(data),
        "checklist": tables.checklist(),
        "versions": tables.versions(data),
        "seconds": tables.seconds(data),
    }


def _plots(data: ReportData) -> dict[str, Markup]:
    test = data.metrics["test"]
    curves = test["curves"]
    drawn = {
        "roc": plots.roc_plot(curves),
        "precision_recall": plots.precision_recall_plot(curves, test["prevalence"] or 0.0),
        "calibration": plots.calibration_plot(curves),
        "risks": plots.risk_plot(curves, data.task.risk_bands),
        "history": plots.history_plot(data.history),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 (text inside is escaped by matplotlib)
