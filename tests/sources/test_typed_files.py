# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Parquet files, whose columns have types of their own."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc
from pyspark.sql import SparkSession
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
    ({"a": [1], "b": [b"4711"]}, "2.parquet: column 'b' is declared string"),
    ({"a": [1], "b": [[SECRET]]}, "2.parquet: column 'b' has a type that Spark does not read: nested"),
    ({"a": [True], "b": [SECRET]}, "2.parquet: column 'a' is declared long"),
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


T = {"id": "string", "v": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm:ss"}}
D = {"id": "string", "v": {"type": "date", "format": "yyyy-MM-dd"}}
NOON, MIDNIGHT, MICRO = datetime(2026, 1, 2, 12), datetime(2026, 1, 2), datetime(2026, 1, 2, 0, 0, 0, 1)
YES = {"id": "string", "v": {"type": "boolean", "true_values": ["yes"], "false_values": ["no"]}}
ONE_TWO = {"id": "string", "v": {"type": "boolean", "true_values": ["2"], "false_values": ["1"]}}
NS = [1_767_355_200_000_001_000, None]


def column(kind: str) -> dict[str, Any]:
    return {"id": "string", "v": kind}


# fmt: off
STORED: list[tuple[str, dict[str, Any], list[pa.Array], list[Any], list[str]]] = [
    # name                          columns           `v` as each file stores it                         records                  rules of rows set aside
    ("null is of every type",       column("long"),   [pa.nulls(2)],                                     [None, None],            []),
    ("null is text",                column("string"), [pa.nulls(1), pa.array(["x"])],                    [None, "x"],             []),
    ("null is a time",              T,                [pa.nulls(1), pa.array([NOON])],                   [None, NOON],            []),
    ("null is a boolean",           YES,              [pa.nulls(1), pa.array([True])],                   [None, True],            []),
    ("no value of another type",    YES,              [pa.array([None], pa.string()), pa.array([None], pa.date32())], [None, None], []),
    ("no value of numbers",         column("category"), [pa.array([None], pa.float64()), pa.array(["F"])], [None, "F"],           []),
    ("whole numbers as doubles",    column("long"),   [pa.array([1.0, None, 2.5, -3.0, 1e300, 2.0**53, float("inf")])], [1, None, -3], ["v: type"] * 4),
    ("whole numbers as floats",     column("integer"), [pa.array([1.0, 2.0**24], pa.float32())],         [1],                     ["v: type"]),
    ("int, then double",            column("double"), [pa.array([50]), pa.array([50.5])],                [50.0, 50.5],            []),
    ("int, then double, of longs",  column("long"),   [pa.array([50]), pa.array([50.5, 51.0])],          [50, 51],                ["v: type"]),
    ("int, then text",              column("long"),   [pa.array([50]), pa.array(["51", "x"])],           [50, 51],                ["v: type"]),
    ("float, then double",          column("double"), [pa.array([0.5], pa.float32()), pa.array([0.1])],  [0.5, 0.1],              []),
    ("narrow, then wide",           column("long"),   [pa.array([1], pa.int8()), pa.array([2**40])],     [1, 2**40],              []),
    ("half floats",                 column("double"), [pa.array(np.array([1.5, -0.25, 6e-8, 65504, np.nan], np.float16))], [1.5, -0.25, 2.0**-24, 65504.0, None], []),
    ("DECIMAL(38,0)",               column("long"),   [pa.array([Decimal(2**53 + 1), Decimal(10) ** 30], pa.decimal128(38))], [2**53 + 1], ["v: type"]),
    ("decimals that are whole",     column("long"),   [pa.array([Decimal("7.00"), Decimal("7.50")])],    [7],                     ["v: type"]),
    ("DECIMAL(38,0) as text",       column("string"), [pa.array([Decimal(10) ** 30], pa.decimal128(38))], [str(10**30)],          []),
    ("unsigned 64 bits",            column("long"),   [pa.array([5, 2**63], pa.uint64())],               [5],                     ["v: type"]),
    ("unsigned 64 bits as text",    column("string"), [pa.array([2**63], pa.uint64())],                  [str(2**63)],            []),
    ("levels with gaps",            column("category"), [pa.array([1.0, None]), pa.array([2])],          ["1", None, "2"],        []),
    ("a level that is not whole",   column("category"), [pa.array([1.5])],                               [],                      ["v: type"]),
    ("0 and 1",                     YES,              [pa.array([0, 1, 2, None])],                       [False, True, None],     ["v: type"]),
    ("0 and 1 as doubles",          YES,              [pa.array([0.0, 1.0, 0.5])],                       [False, True],           ["v: type"]),
    ("1 and 2, declared",           ONE_TWO,          [pa.array([1, 2, 0])],                             [False, True],           ["v: type"]),
    ("a date for a timestamp",      T,                [pa.array([date(2026, 1, 2)])],                    [MIDNIGHT],              []),
    ("a timestamp for a date",      D,                [pa.array([MIDNIGHT, NOON, MICRO])],               [date(2026, 1, 2)],      ["v: type"] * 2),
    ("an instant for a date",       D,                [pa.array([MIDNIGHT], pa.timestamp("us", "UTC"))], [date(2026, 1, 2)],      []),
    ("nanoseconds",                 T,                [pa.array(NS, pa.timestamp("ns"))],                [datetime(2026, 1, 2, 12, 0, 0, 1), None], []),
    ("nanoseconds, in a zone",      T,                [pa.array([NOON], pa.timestamp("us", "UTC")), pa.array(NS, pa.timestamp("ns", "UTC"))], [NOON, datetime(2026, 1, 2, 12, 0, 0, 1), None], []),
    ("a decimal as a double",       {"id": "string", "v": {"type": "decimal", "precision": 6, "scale": 2}}, [pa.array([1.25, 1.255])], [Decimal("1.25")], ["v: type"]),
]
# fmt: on


NOT_IN_ORC = ("null", "uint64", "halffloat", "timestamp[ns]", "timestamp[ns, tz=UTC]", "timestamp[us, tz=UTC]")
UNKNOWN_TO_BE_EMPTY = "no value of another type"
"""Of ORC nobody looks whether a column of another type has a value."""
EITHER = [
    (form, *stored)
    for form in ("parquet", "orc")
    for stored in STORED
    if form == "parquet"
    or not (stored[0] == UNKNOWN_TO_BE_EMPTY or any(str(values.type) in NOT_IN_ORC for values in stored[2]))
]


@pytest.mark.parametrize(
    ("form", "columns", "files", "records", "rules"),
    [(form, *stored) for form, _, *stored in EITHER],
    ids=[f"{form}: {name}" for form, name, *_ in EITHER],
)
def test_each_file_is_read_by_its_own_types_exactly_or_set_aside(
    form: str,
    columns: dict[str, Any],
    files: list[pa.Array],
    records: list[Any],
    rules: list[str],
    clean_path: Clean,
    tmp_path: Path,
) -> None:
    for at, values in enumerate(files):
        table = pa.table({"id": [f"{at}{row}" for row in range(len(values))], "v": values})
        {"parquet": pq, "orc": orc}[form].write_table(table, tmp_path / f"{at}.{form}")
    cleaned = clean_path(tmp_path, columns, format=form)
    assert [row["v"] for row in cleaned.records.orderBy("id").collect()] == records
    aside = cleaned.quarantine.collect()
    assert [row["rule"] for row in aside] == rules
    assert all(row["reason"].startswith("v: expected ") for row in aside)
    assert cleaned.counts.rows_in == len(records) + len(rules)
    cleaned.release()


def test_a_time_between_microseconds_is_refused_by_file_and_column(clean_path: Clean, tmp_path: Path) -> None:
    for name, time in (("1", 1000), ("2", 1001)):
        write_parquet(tmp_path / f"{name}.parquet", id=[name], v=pa.array([time], pa.timestamp("ns")))
    with pytest.raises(InputError) as error:
        clean_path(tmp_path, T, format="parquet")
    assert "2.parquet: column 'v'" in str(error.value)
    assert "1.parquet" not in str(error.value)


def test_what_numbers_say_in_the_quarantine_is_read_again_when_repaired(
    spark: SparkSession, clean_path: Clean, records_of: Rows, tmp_path: Path
) -> None:
    columns = {
        "id": "long",
        "level": "category",
        "back": YES["v"],
        "day": D["v"],
        "age": {"type": "integer", "range": [0, 120]},
    }
    (tmp_path / "in").mkdir()
    write_parquet(tmp_path / "in" / "1.parquet", id=[1.0], level=[2.0], back=[0], day=[MIDNIGHT], age=[900])
    cleaned = clean_path(tmp_path / "in", columns, format="parquet")
    (row,) = cleaned.quarantine.select("file", "line", "row_digest", "raw").collect()
    cleaned.release()
    raw = json.loads(row["raw"])
    assert raw == {"id": "1", "level": "2", "back": "no", "day": "2026-01-02", "age": 900}
    repaired = spark.createDataFrame(
        [(*row[:3], json.dumps({**raw, "age": 90}))],
        cleaned.quarantine.select("file", "line", "row_digest", "raw").schema,
    )
    cleaned = clean_path(tmp_path / "in", columns, format="parquet", repairs=repaired)
    assert records_of(cleaned) == [(1, "2", False, date(2026, 1, 2), 90)]
    cleaned.release()


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
