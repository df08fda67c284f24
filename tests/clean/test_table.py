# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The clean stage as a whole: every row is accounted for, in its place, whatever the files look like."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from medspark.clean.table import Cleaned
from medspark.errors import AccountingError, InputError
from medspark.schemas import DIGEST, FILE, LINE, RAW
from medspark.sources import read
from medspark.sources.repairs import read_repairs
from medspark.sources.worker.split_records import split_csv, split_json

Clean = Callable[..., Cleaned]
Rows = Callable[[Cleaned], list[tuple[Any, ...]]]

PATIENTS = {"id": "long", "age": {"type": "integer", "range": [0, 120]}, "note": "string"}
FIRST_OF_ID = {"same": ["id"], "keep": "first"}


def test_every_row_is_a_record_a_quarantined_row_or_a_duplicate(
    clean_text: Clean, records_of: Rows, set_aside: Rows
) -> None:
    text = "id,age,note\n1,40,x\n2,140,x\n\n1,40,again\n3,x\n4,x,y\n5,,z\n2,130,x\n"
    cleaned = clean_text(text, PATIENTS, duplicates=FIRST_OF_ID)
    assert records_of(cleaned) == [(1, 40, "x"), (5, None, "z")]
    assert set_aside(cleaned) == [
        (3, "age: range"),
        (5, "duplicate"),
        (6, "record: fields"),
        (7, "age: type"),
        (9, "age: range"),
    ]
    assert asdict(cleaned.counts) == {
        "rows_in": 7,
        "blank_lines": 1,
        "records": 2,
        "quarantined": {"age: range": 2, "age: type": 1, "record: fields": 1},
        "duplicates": 1,
        "set_missing": {},
        "repaired": 0,
    }
    cleaned.release()


def test_the_quarantine_has_the_rows_text_place_rule_reason_and_digest(
    spark: SparkSession, clean_text: Clean, tmp_path: Path
) -> None:
    cleaned = clean_text('id,age,note\n1,40,x\n2,140,"y, z"\n', PATIENTS)
    expected = spark.createDataFrame(
        [("t", f"file:{tmp_path}/in.csv", 3, '2,140,"y, z"', "age: range", "age: expected 0 to 120")],
        "source string, file string, line bigint, raw string, rule string, reason string",
    )
    assert_df_equality(cleaned.quarantine.drop(DIGEST), expected, ignore_nullable=True)
    assert cleaned.quarantine.head()[DIGEST] is not None
    cleaned.release()


def test_records_have_the_tasks_types_and_their_place(clean_text: Clean) -> None:
    columns = {
        "id": "long", "a": "integer", "b": "double", "c": {"type": "decimal", "precision": 9, "scale": 1}, "d": "interval", "e": "boolean",
        "f": "category", "g": "string", "h": {"type": "code", "system": "ICD9CM"}, "i": {"type": "date", "format": "yyyy"},
        "j": {"type": "timestamp", "format": "yyyy"},
    }  # fmt: skip
    cleaned = clean_text("id,a,b,c,d,e,f,g,h,i,j\n", columns)
    assert [dtype for _, dtype in cleaned.records.dtypes] == [
        "bigint", "int", "double", "decimal(9,1)", "double", "boolean", "string", "string", "string", "date", "timestamp",
        "string", "bigint", "bigint",
    ]  # fmt: skip
    assert cleaned.records.columns[-3:] == ["_source_file", "_source_line", "_row_digest"]
    cleaned.release()


# ---------------------------------------------------------------- duplicates

VISITS = {"id": "long", "day": {"type": "date", "format": "yyyy-MM-dd"}, "note": "string"}
VISITS_CSV = "id,day,note\n1,2024-01-02,b\n1,2024-01-03,c\n1,2024-01-01,a\n1,2024-01-03,d\n1,,e\n2,2024-01-01,x\n"


@pytest.mark.parametrize(
    ("rule", "kept"),
    [({"keep": "first"}, "b"), ({"keep": "latest", "by": "day"}, "c"), ({"keep": "earliest", "by": "day"}, "a")],
)
def test_one_row_of_a_key_is_kept_and_ties_go_by_line(
    rule: dict[str, str], kept: str, clean_text: Clean, records_of: Rows
) -> None:
    cleaned = clean_text(VISITS_CSV, VISITS, duplicates={"same": ["id"], **rule})
    assert [(row[0], row[2]) for row in records_of(cleaned)] == [(1, kept), (2, "x")]
    assert (cleaned.counts.duplicates, cleaned.counts.records) == (4, 2)
    cleaned.release()


def test_a_whole_row_is_a_duplicate_of_its_like_only(clean_text: Clean, set_aside: Rows) -> None:
    cleaned = clean_text("id,age,note\n1,40,x\n1,40,x\n2,40,x\n1,40,x\n", PATIENTS, duplicates={"same": "whole_row"})
    assert set_aside(cleaned) == [(3, "duplicate"), (5, "duplicate")]
    cleaned.release()


def test_a_row_set_aside_neither_is_a_duplicate_nor_makes_one(
    clean_text: Clean, records_of: Rows, set_aside: Rows
) -> None:
    cleaned = clean_text("id,age,note\n1,140,x\n1,40,y\n1,150,z\n", PATIENTS, duplicates=FIRST_OF_ID)
    assert records_of(cleaned) == [(1, 40, "y")]
    assert set_aside(cleaned) == [(2, "age: range"), (4, "age: range")]
    cleaned.release()


def test_times_a_fraction_apart_are_no_duplicates_in_parquet(clean_path: Clean, tmp_path: Path) -> None:
    times = pa.array([0, 1, 1], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"id": ["a", "a", "a"], "at": times}), tmp_path / "1.parquet")
    columns = {"at": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm:ss"}, "id": "string"}
    with pytest.raises(InputError, match="received 1 of them more than once"):
        clean_path(tmp_path, columns, format="parquet", case="id", subject="id", duplicates={"same": "whole_row"})


# ---------------------------------------------------------------- lines and files


def test_line_numbers_are_true_in_a_file_of_several_blocks(
    spark: SparkSession, clean_path: Clean, tmp_path: Path
) -> None:
    for name, rows in (("a.csv", 3000), ("b.csv", 500), ("c.csv", 2000)):
        lines = [f"{name}{n},40,{'bad' if n % 7 == 0 else n}{',' if n % 11 == 0 else ''}" for n in range(2, rows)]
        (tmp_path / name).write_text("id,age,note\n" + "\n".join(lines) + "\n")
    columns = {"id": "string", "age": "integer", "note": {"type": "string", "matches": "[0-9]+"}}
    spark.conf.set("spark.sql.files.maxPartitionBytes", "4096")
    try:
        cleaned = clean_path(tmp_path, columns)
        places = {(row["_source_line"], row["id"]) for row in cleaned.records.collect()}
        aside = {(row[LINE], row[RAW].split(",")[0]) for row in cleaned.quarantine.collect()}
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert len(places) + len(aside) == cleaned.counts.rows_in == 2998 + 498 + 1998
    assert {int(name[5:]) - line for line, name in places | aside} == {0}
    cleaned.release()


def test_results_do_not_depend_on_partitions_or_files(spark: SparkSession, clean_path: Clean, tmp_path: Path) -> None:
    rows = [f"{n % 40},{n % 150},{n}" for n in range(200)]
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "0.csv").write_text("id,age,note\n" + "\n".join(rows))
    (tmp_path / "two").mkdir()
    for part in range(2):
        half = rows[100 * part : 100 * (part + 1)]
        (tmp_path / "two" / f"{part}.csv").write_text("id,age,note\n" + "\n".join(half))
    found = []
    for folder, partitions in (("one", "1"), ("one", "7"), ("two", "3")):
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
        cleaned = clean_path(tmp_path / folder, PATIENTS, duplicates=FIRST_OF_ID)
        found.append(
            (
                cleaned.counts,
                cleaned.fingerprint,
                sorted(map(tuple, cleaned.records.select("id", "age", "note").collect())),
            )
        )
        cleaned.release()
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    assert found[0] == found[1]
    assert found[0][0]._replace(blank_lines=0) == found[2][0]._replace(blank_lines=0)
    assert found[0][2] == found[2][2]


# ---------------------------------------------------------------- repairs

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
    quarantined = [row.asDict() for row in cleaned.quarantine.collect()]
    assert [row[RAW] for row in quarantined] == [raw for raw in MENDED if (raw[0] == "{") == (kind != "csv")]
    cleaned.release()
    mended = [{**row, RAW: MENDED[row[RAW]]} for row in quarantined]
    (tmp_path / "mended.ndjson").write_text("\n".join(map(json.dumps, mended)))
    spark.createDataFrame(mended, cleaned.quarantine.schema).write.parquet(str(tmp_path / "mended"))
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


# ---------------------------------------------------------------- scoring

OUTCOME = {
    "outcome": {"name": "back", "when": "back = 'yes' or late"},
    "derived": {"late": {"type": "boolean", "expression": "days > 3"}},
}
STAYS = {"id": "long", "age": "integer", "back": "category", "days": "integer"}


def test_scoring_may_lack_the_outcomes_columns_and_nothing_else(clean_text: Clean, records_of: Rows) -> None:
    cleaned = clean_text("id,age\n1,40\n", STAYS, scoring=True, sections=OUTCOME)
    assert records_of(cleaned) == [(1, 40)]
    cleaned.release()
    with pytest.raises(InputError, match="column 'age' is missing"):
        clean_text("id,back,days\n1,yes,3\n", STAYS, scoring=True, sections=OUTCOME)
    with pytest.raises(InputError, match="column 'back' is missing"):
        clean_text("id,age,days\n1,40,3\n", STAYS, sections=OUTCOME)


def test_files_agree_on_whether_they_have_the_outcome(clean_path: Clean, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("id,age\n1,40\n")
    (tmp_path / "2.csv").write_text("id,age,back,days\n2,40,yes,3\n")
    with pytest.raises(InputError, match="some files have the outcome's columns and some do not"):
        clean_path(tmp_path, STAYS, scoring=True, sections=OUTCOME)


# ---------------------------------------------------------------- whatever a file holds

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
TRICKY = st.text(st.sampled_from('",\n\r \\ab\t;|é\ufeff\u2028'), max_size=8)
CELLS = st.lists(st.tuples(CELL | TRICKY, CELL | TRICKY), min_size=1, max_size=30)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=CELLS)
def test_what_python_writes_as_csv_comes_back_exactly(
    rows: list[tuple[str, str]], clean_text: Clean, records_of: Rows
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([("id", "x", "y"), *((n, *row) for n, row in enumerate(rows))])
    cleaned = clean_text(out.getvalue(), {"id": "long", "x": "string", "y": "string"}, quoted_newlines=True)
    expected = [(n, *(cell if cell.strip(" ") else None for cell in row)) for n, row in enumerate(rows)]
    assert (records_of(cleaned), cleaned.counts.quarantined) == (expected, {})
    cleaned.release()


@given(rows=CELLS)
def test_csv_is_cut_into_what_was_written(rows: list[tuple[str, str]]) -> None:
    texts = []
    for row in rows:
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
        texts.append(out.getvalue())
    found = list(split_csv("".join(texts)))
    assert [raw + "\n" for _, raw, _ in found] == texts
    assert [rule for _, _, rule in found] == [None] * len(rows)
    assert [line for line, _, _ in found] == [1 + "".join(texts[:n]).count("\n") for n in range(len(rows))]


@given(text=st.text(st.sampled_from('",\n\rab'), max_size=60))
def test_no_letter_of_any_text_is_lost_when_csv_is_cut(text: str) -> None:
    rebuilt = "\n".join(raw for _, raw, _ in split_csv(text))
    assert rebuilt.replace("\r", "") == text.removesuffix("\n").replace("\r", "")


JSON_OBJECTS = st.lists(
    st.dictionaries(st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(max_size=6), max_size=3),
    max_size=8,
)


@given(rows=JSON_OBJECTS, indent=st.sampled_from([None, 2]), as_array=st.booleans())
def test_json_is_cut_into_what_was_written(rows: list[dict[str, Any]], indent: int | None, as_array: bool) -> None:
    text = json.dumps(rows, indent=indent) if as_array else "\n".join(json.dumps(row, indent=indent) for row in rows)
    found = list(split_json(text))
    assert [(json.loads(raw), rule) for _, raw, rule in found] == [(row, None) for row in rows]
    assert all(text.split("\n")[line - 1].strip(" [").startswith(raw.split("\n")[0][:1]) for line, raw, _ in found)


@given(text=st.text(st.sampled_from('{}[]":,\n a1'), max_size=60))
def test_no_letter_of_any_text_is_lost_when_json_is_cut(text: str) -> None:
    blank = str.maketrans("", "", " \n[],")
    assert "".join(raw for _, raw, _ in split_json(text)).translate(blank) == text.translate(blank)


def test_a_source_that_changes_while_it_is_read_does_not_add_up(
    clean_text: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey_lines = read.survey_lines
    monkeypatch.setattr(read, "survey_lines", lambda *given: survey_lines(*given)._replace(rows=3))
    with pytest.raises(AccountingError, match=r"3 rows came in, but 1 records \+ 0 quarantined \+ 0 duplicates = 1"):
        clean_text("id,age,note\n1,40,x\n", PATIENTS)
