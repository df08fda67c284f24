"""How much of a case is not there. No Spark here."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def missing_share(batch: pa.RecordBatch, columns: Sequence[str]) -> npt.NDArray[np.float64]:
    """Of some columns the share that is missing in each of n rows, (n,): null, NaN, or without an entry.

    >>> batch = pa.RecordBatch.from_pydict({"age": [70.0, None], "codes": [["a"], []], "sex": [None, None]})
    >>> missing_share(batch, ["age", "codes"]).tolist(), missing_share(batch, []).tolist()
    ([0.0, 1.0], [0.0, 0.0])
    """
    missing = np.zeros(batch.num_rows, np.int64)
    for name in columns:
        missing += _is_missing(batch.column(name))
    return missing / max(1, len(columns))


def _is_missing(column: pa.Array) -> npt.NDArray[np.bool_]:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        if pa.types.is_map(kind):  # no function of Arrow's tells a map's length
            column = column.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        found = pc.equal(pc.fill_null(pc.list_value_length(column), 0), 0)
    else:
        found = column.is_null(nan_is_null=True)
    return np.asarray(found.to_numpy(zero_copy_only=False))
