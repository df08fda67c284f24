"""The encoded Parquet is the tensor: an Arrow batch of list columns to numpy arrays, without a copy. No Spark here.

A row that no network could answer (a null, another length, a number that is not finite, an id outside its vocabulary)
never fails the batch it is in: it becomes zeros, and a reason stands beside it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.encode.inputs import Input
from medspark.encode.worker.arrow import numbers_of, rows_of_bytes
from medspark.errors import InputError

Arrays = dict[str, npt.NDArray[np.generic]]
Bools = npt.NDArray[np.bool_]
Reasons = npt.NDArray[np.object_]
"""(n,) for each row why it cannot be scored, None where it can."""


def arrays(batch: pa.RecordBatch, inputs: Sequence[Input]) -> Arrays:
    """Read-only views of shape (rows, width), one for each input, where every row is sound.

    Raises:
        InputError: a column is absent, or a row of it is null or of another length.
    """
    tensors, reasons = shaped(batch, inputs)
    if reasons is not None:
        first = next(reason for reason in reasons if reason is not None)
        unsound = sum(reason is not None for reason in reasons)
        raise InputError(f"{unsound} of {batch.num_rows} rows cannot be read: {first}")
    return tensors


def shaped(batch: pa.RecordBatch, inputs: Sequence[Input]) -> tuple[Arrays, Reasons | None]:
    """Arrays of shape (rows, width), one for each input: views, but copies of a column that has rows of another shape.

    Raises:
        InputError: a column is absent or of another type.
    """
    absent = sorted({wanted.name for wanted in inputs} - set(batch.schema.names))
    if absent:
        expected = ", ".join(sorted(wanted.name for wanted in inputs))
        raise InputError(f"expected the tensors {expected}, received none of {', '.join(absent)}")
    found: Arrays = {}
    reasons: Reasons | None = None
    for wanted in inputs:
        name, width = wanted.name, wanted.width
        if wanted.dtype == "uint8":
            found[name], reasons = _pixels(batch.column(name), wanted, reasons)
            continue
        column = _lists(batch.column(name), wanted)
        flat = column.flatten()  # heeds slices, as `values` does not; drops null rows
        if column.null_count or flat.null_count or not _is_rectangle(column, flat, width):
            found[name], misshapen = _rows_of_width(column, width)
            reasons = with_reason(reasons, misshapen, f"{name} is null or not {width} numbers")
        else:
            found[name] = numbers_of(flat).reshape(len(column), width)
    return found, reasons


def _pixels(column: pa.Array, wanted: Input, reasons: Reasons | None) -> tuple[npt.NDArray[np.generic], Reasons | None]:
    """A view of binary values of one length, (n, width); zeros for those of another, with a reason."""
    if not pa.types.is_binary(column.type):
        raise InputError(f"tensor {wanted.name!r}: expected binary values, received {column.type}")
    rows, sound = rows_of_bytes(column, wanted.width)
    return rows, with_reason(reasons, ~sound, f"{wanted.name} is null or not {wanted.width} bytes")


def _lists(column: pa.Array, wanted: Input) -> pa.ListArray:
    expected = pa.from_numpy_dtype(wanted.dtype)
    if not (pa.types.is_list(column.type) and column.type.value_type == expected):
        raise InputError(f"tensor {wanted.name!r}: expected lists of {expected}, received {column.type}")
    return column


def _is_rectangle(column: pa.Array, flat: pa.Array, width: int) -> bool:
    if len(flat) != len(column) * width:
        return False
    offsets = numbers_of(column.offsets)
    return bool((np.diff(offsets) == width).all())


def _rows_of_width(column: pa.Array, width: int) -> tuple[npt.NDArray[np.generic], Bools]:
    """The column's rows with zeros for those of another length or with a null, and which these are."""
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(column)), np.maximum(lengths, 0))
    flat = column.flatten()
    holes = np.bincount(row[flat.is_null().to_numpy(zero_copy_only=False)], minlength=len(column)) > 0
    sound = (lengths == width) & ~holes
    out = np.zeros((len(column), width), flat.type.to_pandas_dtype())
    out[sound] = column.filter(pa.array(sound)).flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return out, ~sound


def without_unsound(tensors: Arrays, sizes: dict[str, int], reasons: Reasons | None) -> tuple[Arrays, Reasons | None]:
    """The tensors with zeros for every row whose numbers are not finite or whose ids are outside their vocabulary.

    Args:
        tensors: by input, each (n, width).
        sizes: of each input of ids, how many there are.
        reasons: what is known of the rows already.
    """
    found: Arrays = {}
    for name, array in tensors.items():
        if array.dtype == np.uint8:  # every byte is a pixel
            found[name] = array
            continue
        ids = array.dtype.kind == "i"
        unsound = _outside(array, sizes[name]) if ids else _not_finite(array)
        says = f"{name} has an id outside its vocabulary" if ids else f"{name} is not finite"
        if unsound is not None:
            reasons = with_reason(reasons, unsound, says)
        found[name] = array if unsound is None else np.where(unsound[:, None], np.zeros((), array.dtype), array)
    return found, reasons


def _not_finite(array: npt.NDArray[Any]) -> Bools | None:
    """The rows with a number that is not finite; None where there is none, which one sum tells of all."""
    if np.isfinite(array.sum()):
        return None
    return np.asarray(~np.isfinite(array).all(axis=1))


def _outside(array: npt.NDArray[Any], size: int) -> Bools | None:
    """The rows with an id below 0 or from `size` on; None where there is none."""
    if array.size == 0 or (array.min() >= 0 and array.max() < size):
        return None
    return np.asarray(((array < 0) | (array >= size)).any(axis=1))


def with_reason(reasons: Reasons | None, rows: Bools, says: str) -> Reasons | None:
    """The reasons with one more for some rows; the first one of a row stays."""
    if not rows.any():
        return reasons
    if reasons is None:
        reasons = np.full(len(rows), None, object)
    reasons[rows & (reasons == None)] = says  # noqa: E711 (elementwise)
    return reasons
