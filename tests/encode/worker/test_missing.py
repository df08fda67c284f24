import numpy as np
import pyarrow as pa

from medspark.encode.worker.missing import missing_share

MAPS = pa.map_(pa.string(), pa.float64())


def test_null_nan_and_what_has_no_entry_are_missing_whatever_slice_a_row_is_in():
    batch = pa.RecordBatch.from_pydict(
        {
            "age": pa.array([70.0, None, np.nan, 1.0]),
            "sex": ["F", None, "M", "F"],
            "codes": [["a"], [], None, ["b"]],
            "values": pa.array([[("x", 1.0)], [], None, [("y", None)]], MAPS),
        }
    )
    columns = ["age", "sex", "codes", "values"]
    assert missing_share(batch, columns).tolist() == [0.0, 1.0, 0.75, 0.0]
    assert missing_share(batch.slice(2), columns).tolist() == [0.75, 0.0]
    assert missing_share(batch.slice(0, 0), columns).tolist() == []
    assert missing_share(batch, []).tolist() == [0.0] * 4
