"""Repaired rows of the quarantine, read in place of those that were set aside."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.cleaning import PATIENTS, Clean, Rows

from medspark.errors import InputError
from medspark.schemas import DIGEST, FILE, LINE, RAW
from medspark.sources.repairs import read_repairs

MENDED = {"1,140,x": "1,14,x", '{"id":1,"age":140,"note":"x"}': '{"id": 1, "age": 14, "note": "x"}'}
SOURCES: dict[str, Callable[[Path], None]] = {
    "csv": lambda path: path.with_suffix(".csv").write_text("id,age,note\n1,140,x\n2,40,y\n") and None,
    "ndjson": lambda path: (
        path.with_suffix(".ndjson").write_text('{"id":1,"age":140,"note":"x"}\n{"id":2,"age":40,"note":"y"}\n') and None
    ),
    "json": lambda path: (
        path.with_suffix(".json").write_text('[\n{"id":1,"age":140,"note":"x"},\n{"id":2,"age":40,"note":"y"}]')
        and None
    ),
    "parquet": lambda path: pq.write_table(
        pa.table({"id": [1, 2], "age": [140, 40], "note": ["x", "y"]}), path.with_suffix(".parquet")
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_repaired_row_takes_its_rows_place(
    kind: str, spark: SparkSession, clean_path: Clean, records_of: Rows, tmp_path: Path
) -> None:
    SOURCES[kind](tmp_path / "in")
    source = tmp_path / f"in.{kind}"
    cleaned = clean_path(source, PATIENTS, format=kind)
    schema, quarantined = cleaned.quarantine.schema, [row.asDict() for row in cleaned.quarantine.collect()]
    assert [row[RAW] for row in quarantined] == [raw for raw in MENDED if (raw[0] == "{") == (kind != "csv")]
    cleaned.release()
    mended = [{**row, RAW: MENDED[row[RAW]]} for row in quarantined]
    (tmp_path / "mended.ndjson").write_text("\n".join(map(json.dumps, mended)))
    spark.createDataFrame(mended, schema).write.parquet(str(tmp_path / "mended"))
    for path in ("mended.ndjson", "mended"):
        again = clean_path(source, PATIENTS, format=kind, repairs=read_repairs(spark, str(tmp_path / path)))
        assert sorted(records_of(again)) == [(1, 14, "x"), (2, 40, "y")]
        assert (again.counts.repaired, again.counts.quarantined) == (1, {})
        again.release()


def test_a_repaired_row_is_judged_again(spark: SparkSession, clean_text: Clean) -> None:
    text = "id,age,note\n1,140,x\n2,40\n"
    cleaned = clean_text(text, PATIENTS)
    broken = {"1,140,x": "1,150,x", "2,40": "2,40,y,z"}
    rows = [(row[FILE], row[LINE], row[DIGEST], broken[row[RAW]]) for row in cleaned.quarantine.collect()]
    cleaned.release()
    repairs = spark.createDataFrame(rows, "file string, line bigint, row_digest bigint, raw string")
    again = clean_text(text, PATIENTS, repairs=repairs)
    assert again.counts.quarantined == {"age: range": 1, "record: fields": 1}
    assert again.counts.repaired == 2
    again.release()


def test_a_repair_that_matches_nothing_or_comes_twice_is_an_error(spark: SparkSession, clean_text: Clean) -> None:
    text = "id,age,note\n1,140,x\n"
    cleaned = clean_text(text, PATIENTS)
    row = cleaned.quarantine.head()
    cleaned.release()
    schema = "file string, line bigint, row_digest bigint, raw string"
    right = (row[FILE], row[LINE], row[DIGEST], "1,14,x")
    for rows in (
        [(row[FILE], row[LINE], row[DIGEST] + 1, "1,14,x")],
        [(row[FILE], 3, row[DIGEST], "1,14,x")],
        [right, right],
    ):
        with pytest.raises(InputError, match=r"repaired rows were given.*each row once"):
            clean_text(text, PATIENTS, repairs=spark.createDataFrame(rows, schema))


def test_a_place_that_is_repaired_twice_is_repaired_once_and_has_one_text(spark: SparkSession, tmp_path: Path) -> None:
    """A FHIR line of several rows stands in the quarantine with each of them."""
    row = {FILE: "Observation.ndjson", LINE: 2, DIGEST: 7, RAW: "{}"}
    path = tmp_path / "mended.ndjson"
    path.write_text("\n".join(map(json.dumps, [row, row, {**row, LINE: 3}])))
    assert read_repairs(spark, str(path)).count() == 2
    path.write_text("\n".join(map(json.dumps, [row, {**row, RAW: "[]"}, {**row, LINE: 3}])))
    with pytest.raises(InputError, match=r"one repaired text for each row, .* several for Observation.ndjson line 2$"):
        read_repairs(spark, str(path))


def test_a_parquet_rows_text_is_read_back_by_its_columns_own_formats(
    spark: SparkSession, clean_path: Clean, tmp_path: Path
) -> None:
    """Times, booleans and decimals of a row set aside are written as the task reads them from text."""
    table = pa.table(
        {
            "id": [1],
            "at": pa.array([1704110400000000], pa.timestamp("us", tz="UTC")),
            "day": pa.array([19723], pa.date32()),
            "dead": [True],
            "cost": pa.array(["1.10"]).cast(pa.decimal128(9, 2)),
            "gfr": [float("nan")],
            "age": [140],
        }
    )
    pq.write_table(table, tmp_path / "1.parquet")
    columns = {
        "id": "long",
        "at": {"type": "timestamp", "format": "dd.MM.yyyy HH:mm"},
        "day": {"type": "date", "format": "dd.MM.yyyy"},
        "dead": {"type": "boolean", "true_values": ["yes"], "false_values": ["no"]},
        "cost": {"type": "decimal", "scale": 2},
        "gfr": "double",
        "age": {"type": "integer", "range": [0, 120]},
    }
    cleaned = clean_path(tmp_path, columns, format="parquet", timezone="Europe/Amsterdam")
    row = cleaned.quarantine.head()
    cleaned.release()
    assert (
        row[RAW] == '{"id":1,"at":"01.01.2024 13:00","day":"01.01.2024","dead":"yes","cost":1.10,"gfr":null,"age":140}'
    )
    repairs = spark.createDataFrame(
        [(row[FILE], None, row[DIGEST], row[RAW].replace("140", "14"))],
        "file string, line bigint, row_digest bigint, raw string",
    )
    again = clean_path(tmp_path, columns, format="parquet", timezone="Europe/Amsterdam", repairs=repairs)
    (record,) = again.records.selectExpr(
        "date_format(at, 'yyyy-MM-dd HH:mm')", "string(day)", "dead", "string(cost)", "gfr", "age"
    ).collect()
    assert tuple(record) == ("2024-01-01 12:00", "2024-01-01", True, "1.10", None, 14)
    again.release()
