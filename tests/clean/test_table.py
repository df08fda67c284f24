# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Cleaning as a whole: every row is accounted for, whatever the files look like."""

from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession
from support.cleaning import AB, PATIENTS, Clean, Rows
from support.errors import SECRET

from medspark.errors import AccountingError, InputError
from medspark.schemas import DIGEST
from medspark.sources import read

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
        "normalised": {},
        "missing": {"age": 1},
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
    assert replace(found[0][0], blank_lines=0) == replace(found[2][0], blank_lines=0)
    assert found[0][2] == found[2][2]


def test_a_source_that_changes_while_it_is_read_does_not_add_up(
    clean_text: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey_lines = read.survey_lines
    monkeypatch.setattr(read, "survey_lines", lambda *given: survey_lines(*given)._replace(rows=3))
    with pytest.raises(AccountingError, match=r"3 rows came in, but 1 records \+ 0 quarantined \+ 0 duplicates = 1"):
        clean_text("id,age,note\n1,40,x\n", PATIENTS, reader="spark")


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


def test_a_case_id_twice_is_refused_without_it(clean_text: Clean) -> None:
    with pytest.raises(InputError) as error:
        clean_text(f"a,b\n4711,{SECRET}\n4711,y\n", AB)
    assert "expected each 'a' once, received 1 of them more than once" in str(error.value)
    assert "duplicates: {same: [a], keep: first}" in str(error.value)
    assert SECRET not in str(error.value)
    assert "4711" not in str(error.value)
