"""What training leaves for nights to be compared with is counted of tensors as they were written."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.train.reference import _cases_a_patient


def test_cases_of_patients_are_counted_where_no_bit_was_flipped(tmp_path):
    file = tmp_path / "split=train" / "0.parquet"
    file.parent.mkdir()
    pq.write_table(pa.table({"subject_id": ["a", "a", "a", "b"]}), file, write_page_checksum=True, use_dictionary=False)
    assert _cases_a_patient(str(tmp_path)) == (3**2 + 1**2) / 4
    column = pq.read_metadata(file).row_group(0).column(0)
    content = bytearray(file.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    file.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)checksum"):
        _cases_a_patient(str(tmp_path))
