"""Stream tensors from Parquet into `tf.data`: whole batches, a window of row groups at a time, in an order by seed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pandas.util import hash_array

from medspark.encode.inputs import Input, pixels_of
from medspark.encode.worker.tensors import Arrays, arrays
from medspark.schemas import LABEL, SPLIT, SUBJECT_ID

Batch = tuple[Arrays, npt.NDArray[np.float32], npt.NDArray[Any]]
"""Tensors, labels (n,) and subjects (n,)."""


class Folds(NamedTuple):
    """A division of the patients, by a hash of the subject's id."""

    parts: int
    seed: int


WINDOW_ROWS = 200_000
"""Rows shuffled together: the memory that streaming takes, whatever the table's size."""
WINDOW_PIXELS = 2**29
"""Of rows with images fewer are shuffled together: those of half a gigabyte."""


def split_files(table: str, split: str) -> list[Path]:
    """The Parquet files of one split of a tensors table on this machine's file system, in order."""
    return sorted(Path(table.removeprefix("file:")).glob(f"{SPLIT}={split}/*.parquet"))


def _opened(file: Path) -> pq.ParquetFile:
    """A file whose pages are compared with their checksums."""
    return pq.ParquetFile(file, page_checksum_verification=True)


def count_labelled(files: list[Path]) -> tuple[int, int]:
    """Cases with a known outcome, and those of them that have it."""
    labels = [_opened(file).read(columns=[LABEL])[LABEL] for file in files]
    known = sum(len(column) - column.null_count for column in labels)
    return known, sum(pc.sum(column).as_py() or 0 for column in labels)


def windows(files: list[Path], inputs: Sequence[Input], rng: np.random.Generator | None) -> Iterator[Batch]:
    """Tensors, labels and subjects of some row groups at a time, labelled cases only; shuffled by `rng`."""
    groups: list[tuple[Path, int]] = [(file, group) for file in files for group in range(_opened(file).num_row_groups)]
    order = rng.permutation(len(groups)) if rng is not None else np.arange(len(groups))
    most = min(WINDOW_ROWS, WINDOW_PIXELS // max(1, pixels_of(inputs)))
    held: list[Batch] = []
    rows = 0
    for at in order:
        file, group = groups[at]
        held.append(_read_group(file, group, inputs))
        rows += len(held[-1][1])
        if rows >= most:
            yield _together(held, rng)
            held, rows = [], 0
    if rows:
        yield _together(held, rng)


def _read_group(file: Path, group: int, inputs: Sequence[Input]) -> Batch:
    table = _opened(file).read_row_group(group, columns=[*_names(inputs), LABEL, SUBJECT_ID])
    table = table.filter(table[LABEL].is_valid()).combine_chunks()
    if table.num_rows == 0:
        return _none(inputs), np.empty(0, np.float32), np.empty(0, object)
    batch = table.to_batches()[0]
    label: npt.NDArray[np.float32] = batch.column(LABEL).cast("int8").to_numpy().astype(np.float32)
    return arrays(batch, inputs), label, batch.column(SUBJECT_ID).to_numpy(zero_copy_only=False)


def fold_of(subject: npt.NDArray[Any], folds: Folds) -> npt.NDArray[np.int64]:
    """The fold of each subject, (n,): always the same for one seed, whatever its type, row or batch."""
    hashed = hash_array(np.asarray(subject).astype(str).astype(object), categorize=False)
    odd = 0x9E3779B97F4A7C15
    mixed = (hashed ^ np.uint64((folds.seed + 1) * odd % 2**64)) * np.uint64(odd)  # another seed, another division
    return ((mixed >> np.uint64(33)) % np.uint64(folds.parts)).astype(np.int64)


def _names(inputs: Sequence[Input]) -> list[str]:
    return [found.name for found in inputs]


def _none(inputs: Sequence[Input]) -> Arrays:
    return {found.name: np.empty((0, found.width), found.dtype) for found in inputs}


def _together(held: list[Batch], rng: np.random.Generator | None) -> Batch:
    held = [part for part in held if len(part[1])] or held[:1]
    label = np.concatenate([part[1] for part in held])
    order = rng.permutation(len(label)) if rng is not None else np.arange(len(label))
    tensors = {name: np.concatenate([part[0][name] for part in held])[order] for name in held[0][0]}
    return tensors, label[order], np.concatenate([part[2] for part in held])[order]


def batches(files: list[Path], inputs: Sequence[Input], batch_size: int, seed: Sequence[int] | None) -> Iterator[Batch]:
    """Batches of one epoch; every row once, the last batch of the epoch as short as it falls out."""
    rng = None if seed is None else np.random.default_rng(seed)
    left: Batch | None = None
    for window in windows(files, inputs, rng):
        tensors, label, subject = window if left is None else _together([left, window], None)
        whole = len(label) - len(label) % batch_size
        for at in range(0, whole, batch_size):
            part = slice(at, at + batch_size)
            yield {name: array[part] for name, array in tensors.items()}, label[part], subject[part]
        left = ({name: array[whole:] for name, array in tensors.items()}, label[whole:], subject[whole:])
    if left is not None and len(left[1]):
        yield left


def dataset(
    files: list[Path],
    inputs: Sequence[Input],
    batch_size: int,
    class_weight: float,
    seed: int | None,
    folds: Folds | None = None,
) -> Any:
    """A `tf.data.Dataset` of (inputs, label and fold, weight), drawn anew each epoch where there is a seed.

    Label and fold are (n, 2), the fold -1 where there are none. `class_weight` is the weight of a case with the
    outcome; one without it weighs 1.
    """
    import tensorflow as tf

    epoch = iter(range(1_000_000))

    def generate() -> Iterator[tuple[Arrays, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        drawn = None if seed is None else [seed, next(epoch)]
        for tensors, label, subject in batches(files, inputs, batch_size, drawn):
            fold = np.full(len(label), -1) if folds is None else fold_of(subject, folds)
            truth = np.stack([label, fold.astype(np.float32)], axis=1)
            yield tensors, truth, np.where(label > 0, class_weight, 1.0).astype(np.float32)

    signature = (
        {found.name: tf.TensorSpec((None, found.width), found.dtype) for found in inputs},
        tf.TensorSpec((None, 2), tf.float32),
        tf.TensorSpec((None,), tf.float32),
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(4)


def load_split(table: str, split: str, inputs: Sequence[Input], keys: tuple[str, ...]) -> tuple[Arrays, Any]:
    """A whole split in memory, labelled cases only: tensors, and the key columns with the label as an Arrow table."""
    files = split_files(table, split)
    if not files:
        return _none(inputs), None
    whole = pa.concat_tables([_opened(file).read(columns=[*keys, LABEL, *_names(inputs)]) for file in files])
    whole = whole.filter(whole[LABEL].is_valid()).combine_chunks()
    batch = pa.RecordBatch.from_arrays(
        [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in whole.columns],
        names=whole.column_names,
    )
    return arrays(batch, inputs), whole.select([*keys, LABEL])
