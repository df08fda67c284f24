"""The encoded Parquet is the tensor: an Arrow batch of list columns to numpy arrays, without a copy. No Spark here."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.errors import InputError


def arrays(batch: pa.RecordBatch, widths: dict[str, int]) -> dict[str, npt.NDArray[np.generic]]:
    """Read-only views of shape (rows, width), one for each input.

    Raises:
        InputError: a column is absent, or a row of it is null or of another length.
    """
    return {name: matrix(batch.column(name), name, width) for name, width in _present(batch, widths).items()}


def _present(batch: pa.RecordBatch, widths: dict[str, int]) -> dict[str, int]:
    absent = sorted(set(widths) - set(batch.schema.names))
    if absent:
        raise InputError(f"expected the tensors {', '.join(sorted(widths))}, received none of {', '.join(absent)}")
    return widths


def matrix(column: pa.Array, name: str, width: int) -> npt.NDArray[np.generic]:
    """A list column as a matrix. `flatten` heeds slices, as `values` does not; it drops null rows, hence the check."""
    if column.null_count:
        raise InputError(f"tensor {name!r}: expected {width} numbers in each row, received {column.null_count} nulls")
    flat = column.flatten()
    if len(flat) != len(column) * width:
        raise InputError(
            f"tensor {name!r}: expected {width} numbers in each row, received {len(flat)} in {len(column)} rows"
        )
    view: npt.NDArray[np.generic] = flat.to_numpy(zero_copy_only=True)
    return view.reshape(len(column), width)
