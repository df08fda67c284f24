"""The files of a bundle."""

import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medspark.bundles.bundle import (
    CALIBRATION,
    KERAS,
    LITERT,
    METRICS,
    MONITOR,
    REPORT,
    SCHEMA,
    STATISTICS,
    TASK,
    UNCERTAINTY,
    decides_scores,
)
from medspark.encode.statistics import to_json
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.features import characteristics, feature_rows
from medspark.evaluate.report.model_card import card_files
from medspark.evaluate.report.page import write_report
from medspark.schemas import TRAIN, VALID
from medspark.score.speed import rows_per_second, to_time
from medspark.store.facts import CasesFacts, EventCounts
from medspark.task.columns import CategoryColumn, ColumnBase
from medspark.task.event_task import EventTask
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task, dump_task
from medspark.train.batches import load_split, split_files, windows
from medspark.train.explain import export_explanations
from medspark.train.export import Arrays, Exported, export_litert
from medspark.train.fit import Fitted
from medspark.train.reference import reference_of
from medspark.train.risk_drivers import drivers_of
from medspark.train.train_network import Trained

SAMPLE = 10_000
"""Cases on which LiteRT is compared with Keras."""


@dataclass(frozen=True)
class Made:
    """How a bundle came to be: what its manifest and its report say beside the network."""

    task: Task
    tensors: str
    """Where the tensors are that the network learned from."""
    facts: CasesFacts
    """Of the cases that they were made of."""
    versions: dict[str, str]
    seconds: dict[str, float]
    run_id: str
    created_at: str
    groups: pd.DataFrame | None = None
    """Of the cases, by `case_id`, the subgroups that no feature reads; None where there are none."""
    parent: str | None = None
    """The bundle that this one takes the place of."""
    names: dict[str, str] = field(default_factory=dict)
    """Of codes, in words, where the source has them."""
    period: tuple[str, str] | None = None
    """The first and the last month of the cases' prediction times."""
    monitor: str | None = None
    """What nights are compared with, where it is not these cases."""
    peak_mb: int | None = None
    """The most memory that this process had while the network learned, in MB; None where that cannot be known."""


def fill_bundle(folder: Path, trained: Trained, made: Made) -> dict[str, Any]:
    """Write a bundle's files into a folder, and return what its manifest says."""
    task = made.task
    write = {
        TASK: dump_task(task),
        SCHEMA: json.dumps(input_schema(task), indent=1, ensure_ascii=False),
        STATISTICS: to_json(trained.statistics),
        CALIBRATION: json.dumps(trained.calibration.to_dict(), indent=1),
        UNCERTAINTY: trained.uncertainty.model_dump_json(indent=1),
    }
    for name, text in write.items():
        (folder / name).write_text(text, encoding="utf-8")
    network, fitted = trained.served.network, trained.fitted.network
    network.save(folder / KERAS)
    sample = _sample(trained, made)
    exported = export_litert(network, folder / LITERT, sample, fitted.output.shape[1])
    engine = _engine(fitted, exported)
    by = (fitted, trained.statistics, trained.calibration)
    explains = export_explanations(folder, *by, task, _learned(trained, made), sample, made.names)
    if trained.teacher is not None:
        engine |= _costs(trained.teacher, folder / LITERT, sample)
    drivers = drivers_of(made.tensors, trained, explains, task.report)
    metrics = {**trained.metrics, "drivers": drivers, "engine": engine, "history": trained.fitted.history}
    if trained.fitted.pretrained:
        metrics["pretraining"] = trained.fitted.pretrained
    if trained.teacher is not None:
        metrics["teacher_history"] = trained.teacher.history
    (folder / METRICS).write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    (folder / MONITOR).write_text(made.monitor or _monitor(trained, made), encoding="utf-8")
    decides = decides_scores(folder)
    report = _report(trained, made, decides, engine, drivers)
    write_report(report, folder / REPORT)
    for name, text in card_files(report).items():
        (folder / name).write_text(text, encoding="utf-8")
    facts = {name: value for name, value in asdict(made.facts).items() if name != "attrition"}
    about = {"versions": made.versions, "seconds": made.seconds, "run_id": made.run_id, "parent": made.parent}
    about["peak_mb"] = made.peak_mb
    return {"created_at": made.created_at, "decides_scores": decides, "engine": engine, **facts, **about}


def _monitor(trained: Trained, made: Made) -> str:
    """What nights are compared with: these cases."""
    found = reference_of(made.tensors, trained.statistics, trained.predictions, made.task, made.groups)
    return found.model_dump_json()


def _engine(network: Any, exported: Exported) -> dict[str, Any]:
    return {
        "litert_max_difference": exported.difference,
        "why_tensorflow": exported.because,
        "parameters": int(network.count_params()),
    }


def _costs(teacher: Fitted, student: Path, sample: Arrays) -> dict[str, Any]:
    """What the student that is served spares: rows a second by one thread of LiteRT, and the teacher's weights and rows
    a second, though it is not kept."""
    rows = to_time(sample)
    with tempfile.TemporaryDirectory(prefix="medspark-teacher-") as folder:
        path = Path(folder) / LITERT
        exported = export_litert(teacher.network, path, sample)
        its_own = {**_engine(teacher.network, exported), "rows_per_second": rows_per_second(path, rows)}
    count = len(next(iter(rows.values())))
    return {"rows_per_second": rows_per_second(student, rows), "rows_measured": count, "teacher": its_own}


def _sample(trained: Trained, made: Made) -> Arrays:
    """Some cases of the validation split, or of another where it has none."""
    inputs, reading = trained.statistics.inputs(), trained.fitted.reading
    found = load_split(made.tensors, VALID, inputs, reading) or load_split(made.tensors, TRAIN, inputs, reading)
    assert found is not None, "there are training cases"
    return {name: array[:SAMPLE] for name, array in found.tensors.items()}


def _learned(trained: Trained, made: Made) -> Arrays:
    """Some cases of the training split."""
    files, inputs = split_files(made.tensors, TRAIN), trained.statistics.inputs()
    return next(windows(files, inputs, trained.fitted.reading, None))[0]


def _report(trained: Trained, made: Made, decides: str, engine: dict[str, Any], drivers: dict[str, Any]) -> ReportData:
    facts = asdict(made.facts)
    first, *criteria = facts["attrition"]
    # What the exclusions of an event task start from
    candidates = {"candidates": first["remaining"]} if isinstance(made.facts.counts, EventCounts) else {}
    return ReportData(
        task=made.task,
        decides_scores=decides,
        created_at=made.created_at,
        metrics={**trained.metrics, "drivers": drivers},
        attrition=criteria,
        counts={**facts["counts"], "splits": facts["splits"], **candidates},
        features=feature_rows(trained.statistics),
        history=trained.fitted.history,
        versions=made.versions,
        engine=engine,
        seconds=made.seconds,
        parent=made.parent,
        period=made.period,
        characteristics=characteristics(trained.statistics),
    )


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
    keys, beside = (task.source.case, task.source.subject), task.beside
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
            if name not in beside
        ]
    }


def _levels(column: ColumnBase, task: TableTask) -> list[str] | None:
    if not isinstance(column, CategoryColumn):
        return None
    if column.lookup is not None:
        return sorted({meaning for meaning in (task.lookups[column.lookup].entries or {}).values() if meaning})
    return list(column.levels) if column.levels is not None else None
