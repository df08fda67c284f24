"""Stream tensors from Parquet into `tf.data`: whole batches, a window of row groups at a time, in an order by seed."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.util import hash_array

from medspark.encode.inputs import Input
from medspark.encode.worker.tensors import Arrays, arrays
from medspark.evaluate.censoring import Truth, joined
from medspark.evaluate.truth import Reading, truth_of
from medspark.schemas import SPLIT, SUBJECT_ID
from medspark.task.training import Training

T = TypeVar("T")
Batch = tuple[Arrays, Truth, npt.NDArray[Any]]
"""Tensors, what is known of the outcome, and subjects (n,)."""


class Folds(NamedTuple):
    """A division of the patients, by a hash of the subject's id."""

    parts: int
    seed: int


WINDOW_ROWS = 200_000
"""Rows shuffled together at most."""
WINDOW_BYTES = 2**29
"""Of their tensors at most; streaming takes up to three times as much, whatever the table's size."""
AHEAD = 2
"""Row groups that are read while others are learned from."""


def split_files(table: str, split: str) -> list[Path]:
    """The Parquet files of one split of a tensors table on this machine's file system, in order."""
    return sorted(Path(table.removeprefix("file:")).glob(f"{SPLIT}={split}/*.parquet"))


def opened(file: Path) -> pq.ParquetFile:
    """A file whose pages are compared with their checksums."""
    return pq.ParquetFile(file, page_checksum_verification=True)


def read_labels(files: list[Path], reading: Reading) -> pa.Table:
    """The label columns of all cases of some files."""
    return pa.concat_tables([opened(file).read(columns=[*reading.columns]) for file in files])


def window_of(training: Training) -> int:
    """Bytes of tensors that are shuffled together."""
    return (training.window_mb or 0) * 2**20 or WINDOW_BYTES


def rows_of_window(inputs: Sequence[Input], window_bytes: int) -> int:
    """How many rows are shuffled together: at least one row group is.

    >>> rows_of_window([Input("numeric", 64, "float32")], 2**20), rows_of_window([], 2**20)
    (4096, 200000)
    """
    each = sum(one.width * np.dtype(one.dtype).itemsize for one in inputs)
    return min(WINDOW_ROWS, max(1, window_bytes // max(1, each)))


def windows(
    files: list[Path],
    inputs: Sequence[Input],
    reading: Reading,
    rng: np.random.Generator | None,
    window_bytes: int = WINDOW_BYTES,
) -> Iterator[Batch]:
    """Tensors, truths and subjects of some row groups at a time, labelled cases only; shuffled by `rng`.

    Row groups are read ahead by threads that Arrow lets run beside Python.
    """
    groups: list[tuple[Path, int]] = [(file, group) for file in files for group in range(opened(file).num_row_groups)]
    order = rng.permutation(len(groups)) if rng is not None else np.arange(len(groups))
    most = rows_of_window(inputs, window_bytes)
    held: list[Batch] = []
    rows = 0
    for batch in read_ahead([groups[at] for at in order], inputs, reading):
        held.append(batch)
        rows += len(batch[2])
        if rows >= most:
            yield _together(held, rng)
            held, rows = [], 0
    if rows:
        yield _together(held, rng)


def read_ahead(groups: list[tuple[Path, int]], inputs: Sequence[Input], reading: Reading) -> Iterator[Batch]:
    """The row groups in their order; the next ones are read meanwhile."""
    pool = ThreadPoolExecutor(AHEAD)
    try:
        asked: deque[Future[Batch]] = deque()
        for file, group in groups:
            asked.append(pool.submit(_read_group, file, group, inputs, reading))
            if len(asked) > AHEAD:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read_group(file: Path, group: int, inputs: Sequence[Input], reading: Reading) -> Batch:
    table = opened(file).read_row_group(group, columns=[*_names(inputs), *reading.columns, SUBJECT_ID])
    table, truth = _labelled(table, reading)
    if table.num_rows == 0:
        return none_of(inputs), truth, np.empty(0, object)
    batch = table.combine_chunks().to_batches()[0]
    return arrays(batch, inputs), truth, batch.column(SUBJECT_ID).to_numpy(zero_copy_only=False)


def _labelled(table: pa.Table, reading: Reading) -> tuple[pa.Table, Truth]:
    """The rows of which any target is known, and what is."""
    truth = truth_of(table, reading)
    known = np.asarray(truth.weight.any(axis=1))
    return (table, truth) if known.all() else (table.filter(pa.array(known)), truth.take(known))


def fold_of(subject: npt.NDArray[Any], folds: Folds) -> npt.NDArray[np.int64]:
    """The fold of each subject, (n,): always the same for one seed, whatever its type, row or batch."""
    hashed = hash_array(np.asarray(subject).astype(str).astype(object), categorize=False)
    odd = 0x9E3779B97F4A7C15
    mixed = (hashed ^ np.uint64((folds.seed + 1) * odd % 2**64)) * np.uint64(odd)  # another seed, another division
    return ((mixed >> np.uint64(33)) % np.uint64(folds.parts)).astype(np.int64)


def _names(inputs: Sequence[Input]) -> list[str]:
    return [found.name for found in inputs]


def none_of(inputs: Sequence[Input]) -> Arrays:
    return {found.name: np.empty((0, found.width), found.dtype) for found in inputs}


def _together(held: list[Batch], rng: np.random.Generator | None) -> Batch:
    held = [part for part in held if len(part[2])] or held[:1]
    subject = np.concatenate([part[2] for part in held])
    truth = joined([part[1] for part in held])
    order = rng.permutation(len(subject)) if rng is not None else np.arange(len(subject))
    tensors = {name: np.concatenate([part[0][name] for part in held])[order] for name in held[0][0]}
    return tensors, truth.take(order), subject[order]


def batches(
    files: list[Path],
    inputs: Sequence[Input],
    reading: Reading,
    batch_size: int,
    seed: Sequence[int] | None,
    window_bytes: int = WINDOW_BYTES,
) -> Iterator[Batch]:
    """Batches of one epoch; every row once, the last batch of the epoch as short as it falls out."""
    rng = None if seed is None else np.random.default_rng(seed)
    left: Batch | None = None
    for window in windows(files, inputs, reading, rng, window_bytes):
        whole_window = window if left is None else _together([left, window], None)
        rows = len(whole_window[2])
        whole = rows - rows % batch_size
        for at in range(0, whole, batch_size):
            yield _part(whole_window, slice(at, at + batch_size))
        left = _part(whole_window, slice(whole, None))
    if left is not None and len(left[2]):
        yield left


def _part(batch: Batch, rows: slice) -> Batch:
    tensors, truth, subject = batch
    return {name: array[rows] for name, array in tensors.items()}, truth.take(rows), subject[rows]


def dataset(
    files: list[Path],
    inputs: Sequence[Input],
    reading: Reading,
    batch_size: int,
    seed: int | None,
    folds: Folds | None = None,
    said: Input | None = None,
    window_bytes: int = WINDOW_BYTES,
) -> Callable[[int, int], Any]:
    """Of an epoch, from 0, and the steps of it that are done, a `tf.data.Dataset` of the (inputs, truth) that are left.

    Each epoch is drawn anew where there is a seed. The dataset is one and the same, so the one before is exhausted or
    dropped when the next is asked for.

    The truth is (n, 1, 2 k + 1): each target's label, 0 where it is not known, each one's weight, and the fold, -1
    where there are none; behind these the numbers of `said`, a column of soft labels, where there is one. The axis in
    the middle is the members', without which Keras would squeeze a logit's.
    """
    read = [*inputs, *([] if said is None else [said])]

    def found(epoch: int) -> Iterator[Batch]:
        return batches(files, read, reading, batch_size, None if seed is None else [seed, epoch], window_bytes)

    return streamed(found, partial(given, folds=folds, said=said), signature(inputs, reading, said))


def given(batch: Batch, folds: Folds | None, said: Input | None = None) -> tuple[Arrays, npt.NDArray[np.float32]]:
    """A batch as a network gets it: its tensors, and the truth as `dataset` says."""
    tensors, truth, subject = batch
    fold = np.full(len(subject), -1) if folds is None else fold_of(subject, folds)
    soft = [] if said is None else [tensors.pop(said.name)]
    found = np.concatenate([np.nan_to_num(truth.label), truth.weight, fold[:, None], *soft], axis=1)
    return tensors, found.astype(np.float32)[:, None]


def signature(inputs: Sequence[Input], reading: Reading, said: Input | None = None) -> tuple[Any, ...]:
    """What `given` gives, for `tf.data`."""
    import tensorflow as tf

    width = 2 * reading.size + 1 + (0 if said is None else said.width)
    tensors = {found.name: tf.TensorSpec((None, found.width), found.dtype) for found in inputs}
    return tensors, tf.TensorSpec((None, 1, width), tf.float32)


def streamed(
    found: Callable[[int], Iterator[T]], convert: Callable[[T], Any], signature: tuple[Any, ...]
) -> Callable[[int, int], Any]:
    """Of an epoch and the steps of it that are done, a `tf.data.Dataset` of what is left, read ahead.

    Args:
        found: of an epoch, from 0, what each step learns from.
        convert: what is found to what a network gets.
        signature: of what it gets.
    """
    import tensorflow as tf

    place = [0, 0]

    def generate() -> Iterator[Any]:
        epoch, done = place
        yield from map(convert, islice(found(epoch), done, None))

    whole = tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(4)

    def left(epoch: int, done: int) -> Any:
        place[:] = epoch, done
        return whole

    return left


class Loaded(NamedTuple):
    """A whole split in memory, labelled cases only."""

    tensors: Arrays
    keys: pa.Table
    truth: Truth


def load_split(
    table: str, split: str, inputs: Sequence[Input], reading: Reading, keys: tuple[str, ...] = ()
) -> Loaded | None:
    """A split's tensors, the columns `keys` and its truth; None where it has no file."""
    files = split_files(table, split)
    if not files:
        return None
    columns = list(dict.fromkeys([*keys, *reading.columns, *_names(inputs)]))
    whole = pa.concat_tables([opened(file).read(columns=columns) for file in files])
    whole, truth = _labelled(whole, reading)
    batch = pa.RecordBatch.from_arrays(
        [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in whole.columns],
        names=whole.column_names,
    )
    return Loaded(arrays(batch, inputs), whole.select([*keys]), truth)
