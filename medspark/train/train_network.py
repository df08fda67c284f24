"""The train stage: cases to tensors, a network, its calibration and its measure, and the bundle that holds them."""

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

from medspark.encode.apply import encode_cases, in_training_order, tensors_options
from medspark.encode.fit.fit import fit_statistics
from medspark.encode.inputs import pixels_of, rows_at_once
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.evaluate.evaluation import evaluate
from medspark.schemas import CASE_ID, LABEL, LOGIT, PROBABILITY, SPLIT, SUBJECT_ID, TEST, TRAIN, VALID, quoted
from medspark.score.worker.calibration import Calibration, apply_calibration
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task
from medspark.train.baselines import fit_baselines
from medspark.train.batches import load_split, split_files
from medspark.train.calibrate import fit_calibration
from medspark.train.export import PREDICTED, keras_logits
from medspark.train.fit import Fitted, fit_network, held_out_logit

ROWS_PER_FILE = 500_000

Epochs = Callable[[int, int, float], None]


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
    shapes = task.image_shapes() if isinstance(task, TableTask) else {}
    statistics = fit_statistics(cases, task.features, shapes)
    table = write_tensors(cases, statistics, tensors_path)
    train, valid = split_files(table, TRAIN), split_files(table, VALID)
    fitted = fit_network(train, valid, statistics, task, progress)
    parts = {split: _predict(fitted, table, split, statistics) for split in (TRAIN, VALID, TEST)}
    watched = pd.concat([parts[TRAIN], parts[VALID]]) if fitted.folds else parts[VALID]
    calibration = fit_calibration(task.training.calibration, watched[LOGIT].to_numpy(), watched[LABEL].to_numpy())
    predictions = pd.concat(parts.values(), ignore_index=True)
    predictions[PROBABILITY] = apply_calibration(calibration, predictions[LOGIT].to_numpy())
    test = predictions[predictions[SPLIT] == TEST].reset_index(drop=True)
    if test.empty:
        raise InputError("the test split has no case with a known outcome: nothing can be evaluated")
    learned = (TRAIN, VALID) if fitted.folds else (TRAIN,)
    others = _baselines(table, learned, statistics, task) if with_baselines else {}
    frame = test.merge(_subgroups(cases, task), on=CASE_ID, how="left", validate="one_to_one", sort=False)
    metrics = evaluate(frame, task, others)
    return Trained(statistics, fitted, calibration, predictions, metrics)


def _predict(fitted: Fitted, table: str, split: str, statistics: Statistics) -> pd.DataFrame:
    """The logits of a split; of patients that members learned from, by the member that did not."""
    tensors, keys = load_split(table, split, statistics.inputs(), (CASE_ID, SUBJECT_ID))
    if keys is None:
        return pd.DataFrame({CASE_ID: [], SUBJECT_ID: [], LABEL: [], LOGIT: [], SPLIT: []})
    frame: pd.DataFrame = keys.to_pandas()
    frame[LABEL] = frame[LABEL].astype("int8")
    if fitted.folds is not None and split != TEST:
        at_once = rows_at_once(PREDICTED, pixels_of(statistics.inputs()))
        logits = np.asarray(fitted.members.predict(tensors, batch_size=at_once, verbose=0), np.float64)
        frame[LOGIT] = held_out_logit(logits, frame[SUBJECT_ID].to_numpy(), fitted.folds)
    else:
        frame[LOGIT] = keras_logits(fitted.network, tensors)
    frame[SPLIT] = split
    return frame


def _baselines(
    table: str, splits: tuple[str, ...], statistics: Statistics, task: Task
) -> dict[str, npt.NDArray[np.float64]]:
    """The baselines' probabilities on the test split, fitted on the splits that the network learned from."""
    inputs = statistics.inputs()
    parts = [load_split(table, split, inputs, ()) for split in splits]
    tensors = {one.name: np.concatenate([found[one.name] for found, _ in parts]) for one in inputs}
    label = np.concatenate([keys[LABEL].cast("int8").to_numpy() for _, keys in parts if keys is not None])
    models = fit_baselines(tensors, label, inputs, task.training.seed)
    test, _ = load_split(table, TEST, inputs, ())
    return {name: np.asarray(model(test), np.float64) for name, model in models.items()}


def _subgroups(cases: DataFrame, task: Task) -> pd.DataFrame:
    """The subgroup columns of the test split, as text."""
    columns = [F.col(quoted(name)).cast("string").alias(name) for name in task.report.subgroups]
    return cases.where(F.col(SPLIT) == TEST).select(CASE_ID, *columns).toPandas()


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """The training run's own predictions, every labelled case once."""
    path.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    pq.write_table(table, path / "part-0.parquet", compression="zstd", write_page_checksum=True)
