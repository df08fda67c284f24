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

SOFT_LOGITS: Final = "soft_logits"
"""The column of what is said to each learner, (n, learners * k)."""
Said = Callable[[Arrays, npt.NDArray[Any]], Floats]
"""From the tensors and the subjects of n cases to the logits that each learner is taught, (n, learners, k)."""


def soft_input(learners: int, targets: int) -> Input:
    """The column of soft labels, as if it were an input."""
    return Input(SOFT_LOGITS, learners * targets, "float32")


def write_beside(said: Said, files: Sequence[Path], inputs: Sequence[Input], folder: Path) -> list[Path]:
    """Copies of tensors' files with the soft labels of each case, below a folder: a row group in memory at a time."""
    written = []
    for at, file in enumerate(files):
        source, out = opened(file), folder / f"{at:05}.parquet"
        schema = source.schema_arrow.append(pa.field(SOFT_LOGITS, as_list(np.empty((0, 1), np.float32)).type))
        with pq.ParquetWriter(out, schema, compression="zstd", write_page_checksum=True) as writer:
            for group in range(source.num_row_groups):
                table = source.read_row_group(group)
                soft = as_list(_of_table(said, table, inputs))
                writer.write_table(table.append_column(schema.field(SOFT_LOGITS), soft))
        written.append(out)
    return written


def _of_table(said: Said, table: pa.Table, inputs: Sequence[Input]) -> npt.NDArray[np.float32]:
    if not table.num_rows:
        return np.empty((0, 1), np.float32)
    batch = table.combine_chunks().to_batches()[0]
    logits = said(arrays(batch, inputs), batch.column(SUBJECT_ID).to_numpy(zero_copy_only=False))
    return logits.reshape(len(logits), -1).astype(np.float32)
