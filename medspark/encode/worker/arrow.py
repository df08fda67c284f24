"""Arrow's arrays from numpy's and back without pandas, which pyarrow's own ways import wherever it is installed.

In a worker that took half a second of its first task, 30 MB, and 10 ms of each later task, after which Spark collects
garbage among all that is loaded. No Spark here.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def number_array(values: npt.NDArray[np.generic], mask: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Numbers, (n,), as an array of their type, null where the mask is true; without a mask no copy is made."""
    if mask is not None and mask.any():
        return pa.array(values, mask=mask)
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, buffer])


def truth_array(values: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """True and false, (n,), null where the mask is true."""
    if mask is not None and mask.any():
        return pa.array(values, mask=mask)
    bits = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])


def text_array(texts: Sequence[str]) -> pa.StringArray:
    """Texts, none of them null."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def written_out(table: pa.Table) -> pa.Table:
    """The same in one chunk, its dictionaries written out, as Spark takes them."""
    whole = table.combine_chunks()
    for at, column in enumerate(whole.schema):
        if pa.types.is_dictionary(column.type):
            whole = whole.set_column(at, column.name, whole.column(at).combine_chunks().dictionary_decode())
    return whole


def bytes_of(column: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of all values of a binary column without nulls, behind one another, as a read-only view."""
    _, offsets, content = column.buffers()
    if not len(column) or content is None:
        return np.empty(0, np.uint8)
    first, last = np.frombuffer(offsets, np.int32)[[column.offset, column.offset + len(column)]]
    return np.frombuffer(content, np.uint8)[first:last]


def rows_of_bytes(column: pa.Array, width: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Binary values as rows (n, width), a view where all have that many bytes, else zeros for the others; and which
    have, (n,)."""
    lengths = pc.fill_null(pc.binary_length(column), -1).to_numpy(zero_copy_only=False)
    fits = np.asarray(lengths == width)
    if fits.all():
        return bytes_of(column).reshape(len(column), width), fits
    out = np.zeros((len(column), width), np.uint8)
    out[fits] = bytes_of(column.filter(pa.array(fits))).reshape(-1, width)
    return out, fits


def byte_array(rows: npt.NDArray[np.uint8]) -> pa.Array:
    """Rows of bytes, (n, width), as a binary column over the same memory."""
    count, width = rows.shape
    ends = (np.arange(count + 1) * width).astype(np.int32)
    content = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(ends), content])


def numbers_of(array: pa.Array) -> npt.NDArray[np.generic]:
    """The numbers of an array without nulls, (n,), as a read-only view."""
    dtype = np.dtype(array.type.to_pandas_dtype())
    _, numbers = array.buffers()
    if numbers is None:
        return np.empty(0, dtype)
    view = np.frombuffer(numbers, dtype, len(array), array.offset * dtype.itemsize)
    view.flags.writeable = False
    return view
