"""The files of a bundle."""

import json
from pathlib import Path
from typing import Any

from medspark.bundles.bundle import CALIBRATION, KERAS, LITERT, METRICS, REPORT, SCHEMA, STATISTICS, TASK, bundle_id_of
from medspark.encode.statistics import to_json
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.features import feature_rows
from medspark.evaluate.report.page import write_report
from medspark.schemas import VALID
from medspark.task.columns import CategoryColumn, ColumnBase
from medspark.task.event_task import EventTask
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task, dump_task
from medspark.train.batches import load_split
from medspark.train.export import export_litert
from medspark.train.train_network import Trained

SAMPLE = 10_000
"""Cases on which LiteRT is compared with Keras."""


def fill_bundle(
    folder: Path, trained: Trained, tensors: str, task: Task, facts: dict[str, Any], created_at: str
) -> dict[str, Any]:
    """Write a bundle's files into a folder, and return the facts for its manifest."""
    write = {
        TASK: dump_task(task),
        SCHEMA: json.dumps(input_schema(task), indent=1, ensure_ascii=False),
        STATISTICS: to_json(trained.statistics),
        CALIBRATION: json.dumps(trained.calibration.to_dict(), indent=1),
    }
    for name, text in write.items():
        (folder / name).write_text(text, encoding="utf-8")
    network = trained.fitted.network
    network.save(folder / KERAS)
    sample, _ = load_split(tensors, VALID, trained.statistics.inputs(), ())
    difference = export_litert(network, folder / LITERT, {name: array[:SAMPLE] for name, array in sample.items()})
    engine = {"litert_max_difference": difference, "parameters": int(network.count_params())}
    metrics = {**trained.metrics, "engine": engine, "history": trained.fitted.history}
    (folder / METRICS).write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    report = ReportData(
        task=task,
        bundle_id=bundle_id_of(folder),
        created_at=created_at,
        metrics=trained.metrics,
        attrition=facts["attrition"][1:],
        counts={**facts["counts"], "splits": facts["splits"], **_candidates(facts)},
        features=feature_rows(trained.statistics),
        history=trained.fitted.history,
        versions=facts["versions"],
        engine=engine,
        seconds=facts["seconds"],
    )
    write_report(report, folder / REPORT)
    return {"created_at": created_at, "engine": engine, **{k: v for k, v in facts.items() if k != "attrition"}}


def _candidates(facts: dict[str, Any]) -> dict[str, int]:
    """What the exclusions of an event task start from."""
    return {"candidates": facts["attrition"][0]["remaining"]} if "tables" in facts["counts"] else {}


def input_schema(task: Task) -> dict[str, Any]:
    """What a source must have: of a table its columns, with type, unit, levels and whether they may be missing; of
    events the mapping's tables with their columns' types, and the concepts that are read."""
    if isinstance(task, EventTask):
        tables = {
            name: {key: kind.type for key, kind in table.columns.items()} for name, table in task.mapping.tables.items()
        }
        return {
            "tables": tables,
            "concepts": {name: concept.model_dump(mode="json") for name, concept in task.concepts.items()},
        }
    keys = (task.source.case, task.source.subject)
    return {
        "columns": [
            {
                "name": name,
                "type": column.type,
                "unit": getattr(column, "unit", None),
                "nullable": not (column.required or name in keys),
                "levels": _levels(column, task),
            }
            for name, column in task.columns.items()
        ]
    }


def _levels(column: ColumnBase, task: TableTask) -> list[str] | None:
    if not isinstance(column, CategoryColumn):
        return None
    if column.lookup is not None:
        return sorted({meaning for meaning in (task.lookups[column.lookup].entries or {}).values() if meaning})
    return list(column.levels) if column.levels is not None else None
