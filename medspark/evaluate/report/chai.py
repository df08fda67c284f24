"""The applied model card of the Coalition for Health AI as XML, version 0.2 of its public schema.

https://github.com/coalition-for-health-ai/mc-schema. Its texts may have Markdown; ours are plain sentences.
"""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any, Final

from medspark.evaluate.report.card import joined, said
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.facts import (
    about_missing,
    about_subgroups,
    about_updating,
    flow_in_words,
    limits,
    network_in_words,
    population,
    results,
    source,
    who_they_are,
)
from medspark.evaluate.report.fairness import named
from medspark.evaluate.report.format import NAMES, words
from medspark.evaluate.report.sentences import summary
from medspark.task.card import asked

NAMESPACE: Final = "https://mc.chai.org/v0.2/schema.xsd"

Tree = str | Sequence["tuple[str, Tree]"]
"""An element's text, or its elements by name in their order."""

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def card_xml(data: ReportData) -> str:
    """The card; what neither the run nor the task file says is marked as not stated, with the key that would say it."""
    root = ET.Element("AppliedModelCard", xmlns=NAMESPACE)
    for name, content in _card(data):
        _add(root, name, content)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add(parent: ET.Element, name: str, content: "Tree") -> None:
    element = ET.SubElement(parent, name)
    if isinstance(content, str):
        element.text = _NO_XML.sub(" ", content)
        return
    for child, inside in content:
        _add(element, child, inside)


def _stated(data: ReportData, *keys: str) -> str:
    found = [text for key in keys if (text := said(data.task, key))]
    return " ".join(found) or f"Not stated: {'; '.join(f'card.{key}, {asked(key)}' for key in keys)}."


def _card(data: ReportData) -> Sequence[tuple[str, "Tree"]]:
    keywords = data.task.card.keywords if data.task.card is not None else ()
    return [
        ("BasicInfo", _basics(data)),
        ("ReleaseInfo", _release(data)),
        (
            "ModelSummary",
            [("Summary", joined(summary(data))), ("Keywords", [("Keyword", word) for word in keywords])],
        ),
        ("UsesAndDirections", _uses(data)),
        ("Warnings", _warnings(data)),
        ("TrustIngredients", [("AISystemFacts", _system(data)), ("TransparencyInformation", _transparency(data))]),
        ("KeyMetrics", _metrics(data)),
        ("Resources", _resources(data)),
        ("Bibliography", ""),
    ]


def _basics(data: ReportData) -> "Tree":
    return [
        ("ModelName", data.task.title),
        ("ModelDeveloper", _stated(data, "developer")),
        ("DeveloperContact", _stated(data, "contact")),
    ]


def _release(data: ReportData) -> "Tree":
    return [
        ("ReleaseStage", _stated(data, "stage")),
        ("ReleaseDate", data.created_at),
        ("ReleaseVersion", data.evaluated.bundle_id if data.evaluated is not None else data.decides_scores),
        ("GlobalAvailability", _stated(data, "availability")),
        ("RegulatoryApproval", _stated(data, "regulation")),
    ]


def _uses(data: ReportData) -> "Tree":
    return [
        ("IntendedUseAndWorkflow", data.task.intended_use or "Not stated: intended_use."),
        ("PrimaryIntendedUsers", _stated(data, "users")),
        ("HowToUse", _stated(data, "how_to_use", "role")),
        ("TargetedPatientPopulation", population(data)),
        ("CautionedOutOfScopeSettings", data.task.not_for or "Not stated: not_for."),
    ]


def _warnings(data: ReportData) -> "Tree":
    known = said(data.task, "limits")
    return [
        ("KnownRisksAndLimitations", f"{limits(data)} {known or ''}".strip()),
        ("KnownBiasesOrEthicalConsiderations", f"{_groups(data)} {_stated(data, 'inequalities')}"),
        ("ClinicalRiskLevel", _stated(data, "clinical_risk")),
    ]


def _groups(data: ReportData) -> str:
    return about_subgroups(data) or "No subgroup was named, so fairness was not examined: report.subgroups."


def _system(data: ReportData) -> "Tree":
    features = f"{len(data.features)} predictors: {', '.join(str(row['name']) for row in data.features)}."
    output = f"A probability for each case of: {data.task.outcome.name}."
    who = " ".join(filter(None, (flow_in_words(data), who_they_are(data), about_missing(data))))
    return [
        ("OutcomesAndOutputs", output),
        ("ModelType", network_in_words(data)),
        ("InputDataSource", source(data)),
        ("OutputAndInputDataTypes", f"{features} {output}"),
        ("DevelopmentDataCharacterization", who),
        ("BiasMitigationApproaches", f"{said(data.task, 'fairness') or ''} {_groups(data)}".strip()),
        ("OngoingMaintenance", f"{about_updating(data)} {_stated(data, 'monitoring', 'updating')}"),
        ("Transparency", "The bundle holds all rules, statistics, weights and figures; its id is of every file."),
    ]


def _transparency(data: ReportData) -> "Tree":
    return [
        ("FundingSource", _stated(data, "funding")),
        ("StakeholdersConsulted", _stated(data, "stakeholders", "involvement")),
    ]


# ---------------------------------------------------------------- metrics


def _metrics(data: ReportData) -> "Tree":
    metrics = data.metrics["test"]["metrics"]
    useful = {name: metrics.get(name) for name in ("auroc", "auprc")}
    safe = {name: metrics.get(name) for name in ("calibration_slope", "calibration_intercept", "brier")}
    return [
        ("UsefulnessUsabilityEfficacy", _metric(data, "To rank cases by their risk.", useful, results(data))),
        ("FairnessEquity", _metric(data, "To serve every subgroup alike.", _gaps(data), " ".join(named(data.metrics)))),
        ("SafetyReliability", _metric(data, "To give risks that come true as often as they say.", safe, limits(data))),
    ]


def _metric(data: ReportData, goal: str, figures: Mapping[str, Any], reading: str) -> "Tree":
    where = "another source than the model was made from" if data.evaluated is not None else "patients held out"
    found = [("MetricResult", _result(name, one)) for name, one in figures.items() if one is not None]
    return [
        ("MetricGoal", goal),
        ("Results", found or [("MetricResult", [("Label", "none"), ("ValueJson", _json(kind="text", value="none"))])]),
        ("Interpretation", reading),
        ("TestType", f"Retrospective, on {where}."),
        ("TestingDataDescription", flow_in_words(data)),
        (
            "ValidationProcessAndJustification",
            "Intervals from a bootstrap of patients, all cases of a patient together; see the report beside this card.",
        ),
    ]


def _gaps(data: ReportData) -> dict[str, Any]:
    """The AUROC of each level less that of all other cases."""
    return {
        f"AUROC of {row['column']} {row['level']} less the rest": row["difference"]["auroc"]
        for row in data.metrics["subgroups"]
        if row.get("difference")
    }


def _result(name: str, one: Mapping[str, Any]) -> "Tree":
    label = words(name) if name in NAMES else name
    if one["value"] is None:
        return [("Label", label), ("ValueJson", _json(kind="text", value=f"absent: {one.get('reason', 'not known')}"))]
    if one["low"] is None:
        return [("Label", label), ("ValueJson", _json(kind="single", value=one["value"]))]
    interval = {"estimate": one["value"], "lower": one["low"], "upper": one["high"], "level": 95}
    return [("Label", label), ("ValueJson", _json(kind="estimate_ci", **interval))]


def _json(**value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _resources(data: ReportData) -> "Tree":
    return [
        ("EvaluationReferences", _stated(data, "evidence")),
        ("PeerReviewedPublications", _stated(data, "publications")),
        ("PatientConsentOrDisclosure", _stated(data, "consent")),
    ]
