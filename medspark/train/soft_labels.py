"""Soft labels: what teachers say of each case, a column beside its tensors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from medspark.encode.inputs import Input
from medspark.encode.worker.encoder import as_list
from medspark.encode.worker.tensors import Arrays, arrays
from medspark.evaluate.truth import Floats
from medspark.schemas import SUBJECT_ID
from medspark.train.batches import opened
from medspark.train.checkpoints import Checkpoint, Kept

SOFT_LOGITS: Final = "soft_logits"
"""The column of what is said to each learner, (n, learners * k)."""
Said = Callable[[Arrays, npt.NDArray[Any]], Floats]
"""From the tensors and the subjects of n cases to the logits that each learner is taught, (n, learners, k)."""


def soft_input(learners: int, targets: int) -> Input:
    """The column of soft labels, as if it were an input."""
    return Input(SOFT_LOGITS, learners * targets, "float32")


def write_beside(
    said: Said, files: Sequence[Path], inputs: Sequence[Input], folder: Path, checkpoint: Checkpoint | None = None
) -> list[Path]:
    """Copies of tensors' files with the soft labels of each case, below a folder: a row group in memory at a time.

    Args:
        checkpoint: beside which a file's soft labels are kept, in memory all at once, and taken from where they are.
    """
    return [
        _write(said, file, inputs, folder / f"{at:05}.parquet", checkpoint and checkpoint.beside(f"{at:05}"))
        for at, file in enumerate(files)
    ]


def _write(said: Said, file: Path, inputs: Sequence[Input], out: Path, checkpoint: Checkpoint | None) -> Path:
    source = opened(file)
    kept = None if checkpoint is None else checkpoint.read()
    found = [] if kept is None else kept.arrays[SOFT_LOGITS]
    schema = source.schema_arrow.append(pa.field(SOFT_LOGITS, as_list(np.empty((0, 1), np.float32)).type))
    with pq.ParquetWriter(out, schema, compression="zstd", write_page_checksum=True) as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            soft = _of_table(said, table, inputs) if kept is None else found[group]
            writer.write_table(table.append_column(schema.field(SOFT_LOGITS), as_list(soft)))
            if checkpoint is not None and kept is None:
                found.append(soft)
    if checkpoint is not None and kept is None:
        checkpoint.write(Kept({}, {SOFT_LOGITS: found}))
    return out


def _of_table(said: Said, table: pa.Table, inputs: Sequence[Input]) -> npt.NDArray[np.float32]:
    if not table.num_rows:
        return np.empty((0, 1), np.float32)
    batch = table.combine_chunks().to_batches()[0]
    logits = said(arrays(batch, inputs), batch.column(SUBJECT_ID).to_numpy(zero_copy_only=False))
    return logits.reshape(len(logits), -1).astype(np.float32)
