"""The train stage: cases to tensors, a network, its calibration and its measure, and the bundle that holds them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundles.bundle import CALIBRATION, KERAS, LITERT, METRICS, REPORT, SCHEMA, STATISTICS, TASK, bundle_id_of
from medspark.cases.split import hold_out_fold
from medspark.encode.apply import encode_cases, in_training_order, tensors_options
from medspark.encode.fit.fit import fit_statistics
from medspark.encode.statistics import Statistics, to_json
from medspark.errors import GateError, InputError
from medspark.evaluate.evaluation import evaluate
from medspark.evaluate.metrics import performance
from medspark.evaluate.report.page import ReportData, write_report
from medspark.schemas import (
    CASE_ID,
    FOLD,
    LABEL,
    LOGIT,
    PROBABILITY,
    SPLIT,
    SUBJECT_ID,
    TEST,
    TRAIN,
    VALID,
)
from medspark.score.worker.calibration import Calibration, apply_calibration
from medspark.task.event_task import EventTask
from medspark.task.raw_table import CategoryColumn, ColumnBase
from medspark.task.table_task import TableTask, Task, dump_task
from medspark.train.baselines import fit_baselines
from medspark.train.batches import load_split, split_files
from medspark.train.calibrate import fit_calibration
from medspark.train.export import export_litert, keras_logits
from medspark.train.fit import Fitted, fit_network

ROWS_PER_FILE = 500_000
SAMPLE = 10_000
"""Cases on which LiteRT is compared with Keras."""
Tell = Callable[[str], None]
Epochs = Callable[[int, dict[str, float]], None]


class Trained(NamedTuple):
    """All that a training run makes before the bundle is written."""

    statistics: Statistics
    fitted: Fitted
    calibration: Calibration
    predictions: pd.DataFrame
    metrics: dict[str, Any]


def write_tensors(cases: DataFrame, statistics: Statistics, path: str) -> str:
    """Encode the cases into Parquet, one folder a split, shuffled by a hash of the case."""
    files = 1 + cases.count() // ROWS_PER_FILE
    tensors = in_training_order(encode_cases(cases, statistics), files)
    tensors.write.mode("overwrite").partitionBy(SPLIT).options(**tensors_options(statistics)).parquet(path)
    return path


def train_network(
    cases: DataFrame, task: Task, tensors_path: str, progress: Epochs, with_baselines: bool = True
) -> Trained:
    """Fit statistics, network, calibration and baselines, and evaluate on the held-out patients.

    Raises:
        InputError: a split lacks cases or an outcome.
    """
    statistics = fit_statistics(cases, task.features)
    table = write_tensors(cases, statistics, tensors_path)
    train, valid = split_files(table, TRAIN), split_files(table, VALID)
    fitted = fit_network(train, valid, statistics, task, progress)
    parts = {split: _predict(fitted.network, table, split, statistics) for split in (TRAIN, VALID, TEST)}
    watched = parts[VALID]
    calibration = fit_calibration(task.training.calibration, watched[LOGIT].to_numpy(), watched[LABEL].to_numpy())
    predictions = pd.concat(parts.values(), ignore_index=True)
    predictions[PROBABILITY] = apply_calibration(calibration, predictions[LOGIT].to_numpy())
    test = predictions[predictions[SPLIT] == TEST].reset_index(drop=True)
    if test.empty:
        raise InputError("the test split has no case with a known outcome: nothing can be evaluated")
    others = _baselines(table, statistics, task) if with_baselines else {}
    frame = test.merge(_subgroups(cases, task), on=CASE_ID, how="left", validate="one_to_one", sort=False)
    metrics = evaluate(frame, task, others)
    return Trained(statistics, fitted, calibration, predictions, metrics)


def _predict(network: Any, table: str, split: str, statistics: Statistics) -> pd.DataFrame:
    tensors, keys = load_split(table, split, statistics.widths(), (CASE_ID, SUBJECT_ID))
    if keys is None:
        return pd.DataFrame({CASE_ID: [], SUBJECT_ID: [], LABEL: [], LOGIT: [], SPLIT: []})
    frame: pd.DataFrame = keys.to_pandas()
    frame[LABEL] = frame[LABEL].astype("int8")
    frame[LOGIT] = keras_logits(network, tensors)
    frame[SPLIT] = split
    return frame


def _baselines(table: str, statistics: Statistics, task: Task) -> dict[str, npt.NDArray[np.float64]]:
    """The baselines' probabilities on the test split, fitted on the training split."""
    widths = statistics.widths()
    tensors, keys = load_split(table, TRAIN, widths, ())
    label = keys[LABEL].cast("int8").to_numpy()
    models = fit_baselines(tensors, label, statistics.sizes(), task.training.seed)
    test, _ = load_split(table, TEST, widths, ())
    return {name: np.asarray(model(test), np.float64) for name, model in models.items()}


def _subgroups(cases: DataFrame, task: Task) -> pd.DataFrame:
    """The subgroup columns of the test split, as text."""
    columns = [F.col(f"`{name}`").cast("string").alias(name) for name in task.report.subgroups]
    return cases.where(F.col(SPLIT) == TEST).select(CASE_ID, *columns).toPandas()


def cross_validate(cases: DataFrame, task: Task, scratch: str, tell: Tell, progress: Epochs) -> dict[str, Any]:
    """Train once for each fold, with statistics fitted without it, and measure on the fold held out.

    Returns:
        The number of folds, and for each metric the mean and standard deviation over them.
    """
    folds = task.split.folds
    if folds is None:
        raise InputError("the task has no split.folds: state how many parts to cross-validate on, such as 5")
    found = []
    for fold in range(folds):
        held_out = cases.withColumn(SPLIT, hold_out_fold(F.col(FOLD), fold, folds))
        trained = train_network(held_out, task, f"{scratch}/fold{fold}", progress, with_baselines=False)
        test = trained.predictions[trained.predictions[SPLIT] == TEST]
        found.append(performance(test[LABEL].to_numpy(), test[PROBABILITY].to_numpy()))
        tell(f"  fold {fold + 1} of {folds}: AUROC {found[-1]['auroc']:.3f}")
    summary = {}
    for name in found[0]:
        values = [value for result in found if (value := result[name]) is not None]
        summary[name] = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))} if values else None
    return {"folds": folds, "metrics": summary}


def require_gates(metrics: dict[str, Any], task: Task) -> None:
    """Refuse a network below the task's gates.

    Raises:
        GateError: naming each gate and the figure.
    """
    found = metrics["test"]["metrics"]
    refused = []
    least = task.gates.auroc_at_least
    auroc, slope = found["auroc"]["value"], found["calibration_slope"]["value"]
    if least is not None and (auroc is None or auroc < least):
        refused.append(f"AUROC {auroc if auroc is None else round(auroc, 4)}, expected at least {least}")
    allowed = task.gates.calibration_slope
    if allowed is not None and not _within(slope, allowed.low, allowed.high):
        refused.append(f"calibration slope {slope}, expected {allowed.low} to {allowed.high}")
    if refused:
        raise GateError("the network was not kept: " + "; ".join(refused))


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """The training run's own predictions, every labelled case once."""
    path.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    pq.write_table(table, path / "part-0.parquet", compression="zstd")


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
    sample, _ = load_split(tensors, VALID, trained.statistics.widths(), ())
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
        tables = task.mapping.tables.items() if task.mapping is not None else ()
        return {
            "tables": {name: {key: kind.type for key, kind in table.columns.items()} for name, table in tables},
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


def feature_rows(statistics: Statistics) -> list[dict[str, Any]]:
    """A line about each feature in the training split; levels and counts, never a patient's value."""
    rows: list[dict[str, Any]] = [
        {
            "name": f.column,
            "kind": "numeric",
            "missing_share": f.missing_share,
            "summary": f"mean {f.mean:.4g}, sd {f.sd:.4g}; {f.scaling} scaling; missing becomes {f.impute:.4g}",
        }
        for f in statistics.numeric
    ]
    rows += [
        {
            "name": f.column,
            "kind": "categorical",
            "missing_share": f.missing_share,
            "summary": f"{len(f.levels)} levels; {f.rare:,} cases with a rarer one",
        }
        for f in statistics.categorical
    ]
    rows += [
        {
            "name": f"{bag.name} ({', '.join(bag.columns)})",
            "kind": "codes",
            "missing_share": bag.missing_share,
            "summary": f"{len(bag.codes)} codes; {bag.rare:,} rarer ones unknown",
        }
        for bag in statistics.codes
    ]
    groups = [
        *(("bag", bag, f"(at most {bag.width} a case)", "unknown") for bag in statistics.bags),
        *(("values", v, f"x {len(v.takes)} numbers; {v.scaling} scaling", "left out") for v in statistics.values),
        *(
            ("sequence", sequence, f"of the last {sequence.last} events", "unknown")
            for sequence in statistics.sequences
        ),
        *(("grid", grid, f"x {grid.steps} steps", "left out") for grid in statistics.grids),
    ]
    rows += [
        {
            "name": group.column,
            "kind": kind,
            "missing_share": group.missing_share,
            "summary": f"{len(group.codes)} codes {shape}; {group.rare:,} rarer ones {fate}",
        }
        for kind, group, shape, fate in groups
    ]
    return rows
