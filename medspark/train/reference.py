"""What later nights are compared with, counted of the tensors that training left: `monitor.json`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from medspark.encode.statistics import Statistics
from medspark.encode.worker.tensors import Arrays, arrays
from medspark.monitor.plan import Plan
from medspark.monitor.reference import MOST_CASES, Reference, fit_reference, plan_of, recalibration_of
from medspark.monitor.worker.tally import Tally, empty, tally_of, together
from medspark.schemas import CASE_ID, LABEL, PROBABILITY, SPLIT, SUBJECT_ID, TEST, TRAIN
from medspark.task.tasks import Task
from medspark.train.batches import opened, split_files

ROWS = 4096
EDGES_OF = 20_000
"""Cases on which the edges of cells are fitted."""


def reference_of(
    table: str, statistics: Statistics, predictions: pd.DataFrame, task: Task, groups: pd.DataFrame | None = None
) -> Reference:
    """Features of the training split, and scores of the test split, whose patients the network did not learn from.

    Args:
        table: the tensors' folder on this machine, one folder a split, each in the order of a hash.
        statistics: the bundle's.
        predictions: what the bundle says of every labelled case.
        task: whose subgroups are counted apart.
        groups: of the training and the test split's cases, by `case_id`, the subgroups that no feature reads, as text.
    """
    groups = pd.DataFrame() if groups is None else groups.set_index(CASE_ID)
    first = _together(_batches(table, TRAIN, statistics, EDGES_OF))
    levels = {str(name): {str(k): int(n) for k, n in groups[name].value_counts().items()} for name in groups}
    plan = plan_of(statistics, first, task.report.subgroups, levels)
    train = empty(plan)
    for keys, tensors in _batches(table, TRAIN, statistics, MOST_CASES):
        risk = np.full(len(keys), 0.5)  # the test split's are told
        train = together(train, tally_of(plan, tensors, risk, _columns(groups, keys)))
    test = predictions[predictions[SPLIT] == TEST]
    known = test[test[LABEL].notna()]
    sure = recalibration_of(known[LABEL].to_numpy(dtype=bool), known[PROBABILITY].to_numpy(dtype=np.float64))
    scored = _scored(table, plan, statistics, test, groups)
    return fit_reference(plan, train, scored, sure, _cases_a_patient(table))


def _cases_a_patient(table: str) -> float:
    """How many cases the patient of a training case has, on average."""
    files = split_files(table, TRAIN)
    subjects = pa.concat_tables([opened(file).read([SUBJECT_ID]) for file in files])
    counts = subjects[SUBJECT_ID].value_counts().field("counts").to_numpy(zero_copy_only=False).astype(np.float64)
    return float((counts**2).sum() / counts.sum())


def _scored(table: str, plan: Plan, statistics: Statistics, test: pd.DataFrame, groups: pd.DataFrame) -> Tally:
    """The tally of the test split's cases that have a prediction."""
    risk = test.set_index(CASE_ID)[PROBABILITY]
    found = empty(plan)
    for keys, tensors in _batches(table, TEST, statistics, MOST_CASES):
        probability = risk.reindex(keys).to_numpy(dtype=np.float64)
        there = np.isfinite(probability)
        part = {name: array[there] for name, array in tensors.items()}
        found = together(found, tally_of(plan, part, probability[there], _columns(groups, keys[there])))
    return found


def _columns(groups: pd.DataFrame, keys: npt.NDArray[np.generic]) -> dict[str, pa.Array]:
    """The subgroups of some cases, null where one is missing."""
    return {str(name): pa.array(groups[name].reindex(keys), pa.string(), from_pandas=True) for name in groups}


def _batches(
    table: str, split: str, statistics: Statistics, most: int
) -> Iterator[tuple[npt.NDArray[np.generic], Arrays]]:
    """Keys and tensors of a split's first cases, a batch at a time: a random part, since a hash orders them."""
    inputs, left = statistics.inputs(), most
    for file in split_files(table, split):
        for batch in _read(file, [CASE_ID, *(found.name for found in inputs)]):
            part = batch.slice(0, left)
            left -= part.num_rows
            if part.num_rows:
                keys = part.column(CASE_ID).to_numpy(zero_copy_only=False)
                yield keys, arrays(part.select([found.name for found in inputs]), inputs)
            if left <= 0:
                return


def _read(file: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    yield from opened(file).iter_batches(ROWS, columns=columns)


def _together(batches: Iterator[tuple[npt.NDArray[np.generic], Arrays]]) -> Arrays:
    parts = [tensors for _, tensors in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
