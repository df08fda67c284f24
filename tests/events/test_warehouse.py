# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Where a mapping's tables lie: files by their names, a catalog's tables, and what is refused of either."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from rich.console import Console
from support.errors import SECRET
from support.events import asthma_task
from support.frames import frames_kept
from support.mapped import LAB, Found, Read
from support.roads import new_run

from medspark.errors import InputError
from medspark.events.read import read_events
from medspark.runs.run import Run
from medspark.stages.clean import clean_stage
from medspark.stages.eligible import eligible
from medspark.store.facts import MappedCounts
from medspark.task.event_source import EventSource
from medspark.task.event_task import EventTask
from medspark.task.mapping import Mapping

IN = {
    "subject": "patient",
    "columns": {"patient": "long", "note": "string"},
    "events": [{"code": "IN/{note}"}, {"code": "IN"}],
}


def test_tables_may_be_empty_or_only_a_header_and_optional_ones_may_be_absent(read: Read) -> None:
    found = read(
        {"empty.csv": "note,patient\n", "blank/a.csv": "patient,note\n\n\n", "blank/b.csv": "patient,note"},
        {"empty": IN, "blank": IN, "absent": {**IN, "optional": True}},
    )
    assert found == Found(
        [],
        [],
        {
            "empty": MappedCounts(0, 0, 0, 0, {}, {}, 0, {}, 0),
            "blank": MappedCounts(0, 2, 0, 0, {}, {}, 0, {}, 0),
        },
    )
    rows = pa.table({"patient": pa.array([], pa.int64()), "note": pa.array([], pa.string())})
    assert read({"empty.parquet": rows}, {"empty": IN}, kind="parquet").counts["empty"].rows_in == 0


STAYS = {
    "files": "set-*",
    "subject": "stay",
    "columns": {"Time": {"type": "string", "matches": "[0-9]{2}:[0-5][0-9]"}, "Parameter": "string", "Value": "double"},
    "derived": {
        "stay": {"type": "long", "expression": "cast(regexp_extract(_source_file, '([0-9]+)[.]txt$', 1) as bigint)"},
        "at": {"type": "timestamp", "expression": "cast(3600 * cast(left(Time, 2) as bigint) + 60 * cast(right(Time, 2) as bigint) as timestamp)"},
    },
    "skip": [{"name": "not measured", "when": "Value = -1", "because": "-1 is missing"}],
    "events": [{"code": "ICU/{Parameter}", "time": "at", "number": "Value"}],
}  # fmt: skip


def test_a_file_for_each_stay_names_it(read: Read) -> None:
    found = read(
        {
            "set-a/132539.txt": "Time,Parameter,Value\n00:00,Age,54\n00:07,HR,73\n00:07,pH,-1\n",
            "set-a/132540.txt": "Time,Parameter,Value\n47:59,HR,88.5\n0:07,HR,88\n",
            "set-b/7.txt": "Time,Parameter,Value\n",
            "readme.txt": SECRET,
        },
        {"stays": STAYS},
    )
    assert [event[:4] for event in found.events] == [
        (132539, "ICU/Age", "1970-01-01 00:00:00", 54.0),
        (132539, "ICU/HR", "1970-01-01 00:07:00", 73.0),
        (132540, "ICU/HR", "1970-01-02 23:59:00", 88.5),
    ]
    assert found.aside == [("stays", "132540.txt", 3, "Time: pattern", "0:07,HR,88")]
    assert found.counts["stays"].non_events == {"not measured": 1}


# ---------------------------------------------------------------- refusals

LOOSE = {"subject": "patient", "columns": {"patient": "long", "note": "string"}, "events": [{"code": "IN"}]}
FINE = "patient,note\n1,Zebedee-4711\n"
REFUSED = [
    # name                              files                                          tables                  says
    ("a missing column",                {"in.csv": "patient,noet\n1,Zebedee-4711\n"},  {"in": LOOSE},          "column 'note' is missing. Did you mean 'noet'?"),
    ("no header",                       {"in.csv": "Zebedee-4711,1\n2,3\n"},           {"in": LOOSE},          "expected a header as the first line, received none"),
    ("an empty file",                   {"in.csv": ""},                                {"in": LOOSE},          "expected a header, received an empty file"),
    ("a column twice",                  {"in.csv": "patient,note,note\n1,2,3\n"},      {"in": LOOSE},          "column 'note' is there 2 times"),
    ("columns in two orders",           {"in/a.csv": FINE, "in/b.csv": "note,patient\n2,1\n"}, {"in": LOOSE},  "its files have their columns in different orders"),
    ("no files",                        {"out.csv": FINE},                             {"in": LOOSE},          "table 'in': expected files at "),
    ("two places",                      {"in.csv": FINE, "in/a.csv": FINE},            {"in": LOOSE},          "table 'in': expected it once, received "),
    ("two files",                       {"in.csv": FINE, "in.csv.gz": gzip.compress(FINE.encode())}, {"in": LOOSE}, "table 'in': expected it once, received "),
    ("only optional tables, none there", {"out.csv": FINE},                            {"in": {**LOOSE, "optional": True}}, "expected at least one table of m, received none"),
    ("a file that Spark passes over",   {"in/_a.csv": FINE, "in/b.csv": FINE},         {"in": LOOSE},          "Spark passes over names that start with _ or ."),
    ("a check that fails the run",      {"in.csv": FINE},                              {"in": {**LOOSE, "checks": [{"name": "quiet", "expect": "note is null", "otherwise": "fail"}]}}, "in, quiet: 1 rows"),
    ("a value that fails the run",      {"in.csv": FINE},                              {"in": {**LOOSE, "columns": {"patient": "long", "note": {"type": "double", "otherwise": "fail"}}}}, "in, note: type: 1 rows"),
    ("an expression that fails",        {"in.csv": FINE},                              {"in": {**LOOSE, "events": [{"code": "IN", "number": "cast(note as double)"}]}}, "in.events.0.number: fails on some row (CAST_INVALID_INPUT)"),
    ("a division by zero",              {"in.csv": FINE},                              {"in": {**LOOSE, "skip": [{"name": "one", "when": "length(note) / (patient - 1) > 2", "because": "b"}]}}, "in.skip.one: fails on some row (DIVIDE_BY_ZERO)"),
    ("a derived column of another type", {"in.csv": FINE},                             {"in": {**LOOSE, "derived": {"n": {"type": "long", "expression": "trim(note)"}}, "events": [{"code": "IN", "number": "n"}]}}, "in.derived.n: fails on some row (CAST_INVALID_INPUT)"),
    ("subjects of two types",           {"in.csv": FINE, "out.csv": FINE},             {"in": LOOSE, "out": {**LOOSE, "subject": "note"}}, "expected subjects of one type in all tables, received {'in': 'bigint', 'out': 'string'}"),
    ("a damaged file",                  {"in.csv.gz": gzip.compress(FINE.encode() * 99)[:-20]}, {"in": LOOSE}, "It ends too early"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "tables", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_source_that_breaks_its_contract_is_refused_without_a_patients_value(
    files: dict[str, str | bytes], tables: dict[str, Any], says: str, read: Read
) -> None:
    with pytest.raises(InputError) as error:
        read(files, tables)
    assert says in str(error.value)
    assert SECRET not in str(error.value)


def test_a_parquet_column_of_another_type_is_refused(read: Read) -> None:
    dates = pa.table({"patient": [date(2026, 1, 2)], "note": ["x"]})
    with pytest.raises(InputError, match=r"'patient' is declared long, which can be read from .*; the source has"):
        read({"in.parquet": dates}, {"in": LOOSE}, kind="parquet", point_zero=True)


# ---------------------------------------------------------------- a catalog


@pytest.fixture
def ward(spark: SparkSession, tmp_path: Path) -> Iterator[str]:
    """A database of the session's catalog with the tables `labs` and `visits`."""
    spark.sql(f"CREATE DATABASE ward LOCATION '{tmp_path}/ward'")
    spark.sql("CREATE TABLE ward.labs USING parquet AS SELECT 1L AS patient, 2.5D AS value")
    spark.sql("CREATE TABLE ward.visits USING parquet AS SELECT 1L AS patient")
    yield "ward"
    spark.sql("DROP DATABASE ward CASCADE")


def test_a_databases_tables_are_kept_while_they_are_read_and_freed_whatever_happens(
    spark: SparkSession, ward: str
) -> None:
    source = EventSource(kind="events", mapping="m", format="catalog", path=ward)
    visits = {"subject": "patient", "columns": {"patient": "long"}, "events": [{"code": "VISIT"}]}
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"labs": LAB, "visits": visits}})
    before = frames_kept(spark)
    with read_events(spark, source, mapping) as found:
        assert frames_kept(spark) == before + 2
        assert sorted(row["code"] for row in found.records.collect()) == ["LAB", "VISIT"]
    assert frames_kept(spark) == before
    other = mapping.model_copy(update={"tables": {**mapping.tables, "visits": mapping.tables["labs"]}})
    with (
        pytest.raises(InputError, match="table 'visits': expected the columns value"),
        read_events(spark, source, other),
    ):
        pass
    assert frames_kept(spark) == before


def test_a_databases_tables_and_columns_that_nobody_reads_are_named(spark: SparkSession, ward: str) -> None:
    spark.sql("CREATE TABLE ward.persons USING parquet AS SELECT 1L AS patient")
    spark.sql("CREATE TABLE ward.device USING parquet AS SELECT 1L AS Patient, 7.5D AS value, 'cm' AS unit")
    device = {**LAB, "columns": {"patient": "long", "numeric_value": "double"}, "absent": ["numeric_value"]}
    device["events"] = [{"code": "DEVICE", "number": "numeric_value"}]
    source = EventSource(kind="events", mapping="m", format="catalog", path=ward)
    tables = {"labs": LAB, "device": device, "person": {**LAB, "optional": True}}
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": tables})
    with read_events(spark, source, mapping) as found:
        assert found.unread == {"tables": ["persons Did you mean 'person'?", "visits"], "device": ["value", "unit"]}


def test_a_views_null_has_no_type_and_is_missing(spark: SparkSession, ward: str) -> None:
    spark.sql("CREATE VIEW ward.seen AS SELECT patient, null AS value FROM ward.visits")
    source = EventSource(kind="events", mapping="m", format="catalog", path=ward)
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"seen": LAB}})
    with read_events(spark, source, mapping) as found:
        assert [(row["code"], row["numeric_value"]) for row in found.records.collect()] == [("LAB", None)]
        assert found.counts["seen"].quarantined == {}


def test_a_databases_and_orcs_keys_and_codes_lose_what_nobody_sees(
    spark: SparkSession, ward: str, tmp_path: Path
) -> None:
    spark.sql("CREATE TABLE ward.notes USING orc AS SELECT '1\\u00a0' AS patient, 'a\\u200b' AS note")
    tables = {"notes": {**IN, "columns": {"patient": "string", "note": "string"}, "events": [{"code": "IN/{note}"}]}}
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": tables})
    for place in ({"format": "catalog", "path": ward}, {"format": "orc", "path": f"{tmp_path}/ward"}):
        with read_events(spark, EventSource(kind="events", mapping="m", **place), mapping) as found:
            assert [(row["subject_id"], row["code"]) for row in found.records.collect()] == [("1", "IN/a")]
            assert found.counts["notes"].normalised == {f"{name}: invisible letters": 1 for name in ("note", "patient")}


def as_scoring(run: Run, task: EventTask) -> None:
    """Read a task's source as scoring does."""
    with eligible(run, task, None, None):
        pass


def test_what_nobody_reads_is_named_on_the_console_and_in_the_receipt_of_clean_and_of_score(
    spark: SparkSession, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "labs.csv").write_text("patient,value,numeric_value\n1,2.5,3\n")
    (source / "labs.tsv").write_text("patient\n1\n")
    task = asthma_task(
        source={"kind": "events", "mapping": "m", "format": "csv", "path": str(source)},
        mapping={"mapping": "made-up", "title": "m", "tables": {"labs": LAB}},
    )
    names = {"files": ["labs.tsv Did you mean 'labs.csv'?"], "labs": ["numeric_value"]}
    for work in (clean_stage, as_scoring):
        said = StringIO()
        run = replace(new_run(spark, tmp_path / "store"), console=Console(file=said, width=200))
        work(run, task)
        assert run.receipt.unread == names
        assert "  not read    labs.tsv Did you mean" in said.getvalue()
        assert "  not read    labs: numeric_value" in said.getvalue()
