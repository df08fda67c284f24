"""The model card for machines: card.json, and card.xml as the Coalition for Health AI has it."""

import json
from typing import Any, Final

from medspark.evaluate.report.card import as_json
from medspark.evaluate.report.chai import card_xml
from medspark.evaluate.report.choices import gates, history, settings_tried
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.facts import about_outcome, limits, population, source
from medspark.evaluate.report.sentences import summary
from medspark.evaluate.report.source_attributes import attributes_coverage, source_attributes
from medspark.evaluate.report.tables import balance, participants
from medspark.evaluate.report.tripod import tripod, tripod_coverage

CARD_JSON: Final = "card.json"
CARD_XML: Final = "card.xml"


def model_card(data: ReportData) -> dict[str, Any]:
    """The card, JSON-able: what the page says, without its drawings."""
    items, attributes = tripod(data), source_attributes(data)
    return {
        "task": data.task.task,
        "title": data.task.title,
        "kind": "training" if data.evaluated is None else "evaluation",
        "bundle": None if data.evaluated is None else data.evaluated.bundle_id,
        "decides_scores": data.decides_scores,
        "created_at": data.created_at,
        "summary": summary(data),
        "use": {
            "intended": data.task.intended_use,
            "not_for": data.task.not_for,
            "said_by_the_team": None if data.task.card is None else data.task.card.model_dump(exclude_none=True),
            "limits_known_to_the_run": limits(data),
        },
        "source": source(data),
        "population": population(data),
        "outcome": about_outcome(data),
        "flow": _flow(data),
        "characteristics": [dict(row) for row in data.characteristics],
        "performance": {"test": _without_drawings(data), "intervals": data.metrics["intervals"]},
        "explanations": _explained(data),
        "fairness": {"subgroups": data.metrics["subgroups"], **data.metrics["fairness"]},
        "chosen": {
            "settings": settings_tried(data),
            "members": data.task.network.members,
            "baselines": list(data.metrics["baselines"]),
            "gates": gates(data),
        },
        "updating": {"parent": data.parent, "history": history(data)},
        "tripod_ai": {**tripod_coverage(items), "answers": as_json(items)},
        "source_attributes": {**attributes_coverage(attributes), "answers": as_json(attributes)},
    }


def _flow(data: ReportData) -> dict[str, Any]:
    """The participants' flow as the page shows it, small counts hidden."""
    shown = participants(data)
    names = ("criterion", "removed", "remaining", "because")
    criteria = [dict(zip(names, row, strict=True)) for row in shown["attrition"].rows]
    return {"steps": shown["flow"], "splits": shown["splits"], "attrition": criteria, "quality": balance(data)}


def _without_drawings(data: ReportData) -> dict[str, Any]:
    return {name: value for name, value in data.metrics["test"].items() if name != "curves"}


def _explained(data: ReportData) -> dict[str, Any] | None:
    """What drives the risks, and how far other methods agree, where the task asks for it."""
    found = data.metrics.get("drivers")
    if not found:
        return None
    return {name: found[name] for name in ("cases", "features", "codes", "agreement") if name in found}


def card_files(data: ReportData) -> dict[str, str]:
    """The texts of both files, by their names."""
    text = json.dumps(model_card(data), indent=1, ensure_ascii=False, allow_nan=False)
    return {CARD_JSON: text, CARD_XML: card_xml(data)}
