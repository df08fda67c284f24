"""Parquet files, whose columns have types of their own."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.cleaning import AB, Clean, Rows, write_parquet
from support.errors import SECRET

from medspark.errors import InputError


def test_nan_is_missing_and_infinity_breaks_the_type_in_parquet(
    clean_path: Clean, records_of: Rows, set_aside: Rows, tmp_path: Path
) -> None:
    write_parquet(
        tmp_path / "1.parquet", a=[9007199254740993, 2, 3, None, -1], b=[1.5, float("nan"), float("inf"), 4.0, -999.0]
    )
    columns = {"a": {"type": "long", "missing": ["-1"]}, "b": {"type": "double", "missing": ["-999"]}, "id": "string"}
    pq.write_table(pq.read_table(tmp_path / "1.parquet").append_column("id", [list("vwxyz")]), tmp_path / "1.parquet")
    cleaned = clean_path(tmp_path, columns, format="parquet", case="id", subject="id")
    assert sorted(records_of(cleaned), key=lambda row: row[2]) == [
        (9007199254740993, 1.5, "v"), (2, None, "w"), (None, 4.0, "y"), (None, None, "z"),
    ]  # fmt: skip
    assert set_aside(cleaned) == [(None, "b: type")]
    assert '"id":"x"' in cleaned.quarantine.head()["raw"]
    cleaned.release()


PARQUET_NEIGHBOURS = [
    # the second file's columns                  words of the refusal
    ({"a": [1], "b": ["x"], "c": [SECRET]}, "column 'c' is not in the task"),
    ({"a": [1]}, "column 'b' is missing"),
    ({"a": [1], "B": [SECRET]}, "column 'B' is not in the task"),
    ({"a": ["4711"], "b": [SECRET]}, "column 'a' is string here and bigint in"),
]


@pytest.mark.parametrize(("columns", "words"), PARQUET_NEIGHBOURS)
def test_a_parquet_file_with_other_columns_or_types_is_refused(
    columns: dict[str, Any], words: str, clean_path: Clean, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "1.parquet", a=[1], b=["x"])
    write_parquet(tmp_path / "2.parquet", **columns)
    with pytest.raises(InputError) as error:
        clean_path(tmp_path, AB, format="parquet")
    assert words in str(error.value)
    assert SECRET not in str(error.value)


def test_parquet_columns_may_come_in_another_order(clean_path: Clean, records_of: Rows, tmp_path: Path) -> None:
    write_parquet(tmp_path / "1.parquet", b=["x"], a=[1])
    write_parquet(tmp_path / "2.parquet", a=[2], b=["y"])
    cleaned = clean_path(tmp_path, AB, format="parquet")
    assert records_of(cleaned) == [(1, "x"), (2, "y")]
    cleaned.release()


@pytest.mark.data
def test_the_corrupt_parquet_file_that_reads_without_an_error_gives_what_was_written(
    data: Path, clean_path: Clean, records_of: Rows
) -> None:
    """ARROW-GH-43605: a bit width of 0 for the indices of a dictionary of one value, which pyarrow 26 reads alike."""
    path = data / "parquet_testing" / "bad_data" / "ARROW-GH-43605.parquet"
    cleaned = clean_path(path, {"min_fl": "integer"}, format="parquet", duplicates={"same": ["min_fl"]})
    assert records_of(cleaned) == [(0,)]
    assert cleaned.counts.rows_in == pq.ParquetFile(path).metadata.num_rows == 21186
    assert pq.read_table(path)["min_fl"].unique().to_pylist() == [0]
    cleaned.release()
