"""Letters that nobody sees: keys, levels and codes have one spelling, counted, and headers name what is not theirs."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from support.cleaning import Clean, Refusal, Rows, write_parquet

from medspark.sources.invisible_letters import COMPOSING, INVISIBLE, PLAIN, letters_in, letters_in_json, normalise
from medspark.task.spelling import normalised

COLUMNS = {
    "id": "long",
    "patient": "string",
    "sex": {"type": "category", "levels": ["F", "M"]},
    "dx": {"type": "code", "system": "ICD10CM"},
    "creat": "double",
    "back": {"type": "boolean"},
}
HIDDEN = [
    "P001",
    " P001  ",
    "P001\x00",
    "P001\u00a0",
    "P001\t",
    "P\u200b001",
    "\ufeffP001",
    "P0\u00ad01",
    "P001\u2060\u202f",
    "P001\u3164\ufe0f",
]
"""Spellings of one patient."""


def test_spellings_that_look_alike_are_one_patient_one_level_and_one_code_and_are_counted(
    clean_text: Clean, records_of: Rows
) -> None:
    text = (
        "id,patient,sex,dx,creat,back\n"
        "0,P001,F,I10,1.1,true\n"
        "1, P001  , F ,I10,1.1,true\n"
        "2,P001\x00,F\x00,I10,1.1,true\n"
        "3,P\u200b001\u00a0,F\u00ad,I10,1.1,true\n"
        "8,p001,M\u200b,E11.9\u00a0,1.5\u00a0, true \n"
        "9,P002,,E11.9\ufeff, 1.5 ,\u200b\n"
    )
    cleaned = clean_text(text, COLUMNS, subject="patient")
    assert records_of(cleaned) == [
        (0, "P001", "F", "I10", 1.1, True),
        (1, "P001", "F", "I10", 1.1, True),
        (2, "P001", "F", "I10", 1.1, True),
        (3, "P001", "F", "I10", 1.1, True),
        (8, "p001", "M", "E11.9", 1.5, True),
        (9, "P002", None, "E11.9", 1.5, None),
    ]
    assert cleaned.counts.normalised == {
        "back: invisible letters": 1,
        "creat: invisible letters": 1,
        "dx: invisible letters": 2,
        "patient: invisible letters": 3,
        "sex: invisible letters": 4,
    }
    cleaned.release()


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_keys_are_one_whatever_the_format(kind: str, clean_path: Clean, records_of: Rows, tmp_path: Path) -> None:
    path, spelt = tmp_path / f"in.{kind}", [text for text in HIDDEN if "\ufeffP" not in text]
    if kind == "csv":
        path.write_text("a,b\n" + "".join(f"{at},{text}\n" for at, text in enumerate(spelt)), encoding="utf-8")
    elif kind == "ndjson":  # escapes, so that every byte of the file is plain
        path.write_text("".join(json.dumps({"a": at, "b": text}) + "\n" for at, text in enumerate(spelt)))
    else:
        write_parquet(path, a=pa.array(range(len(spelt)), pa.int64()), b=spelt)
    cleaned = clean_path(path, {"a": "long", "b": "string"}, subject="b", format=kind)
    assert records_of(cleaned) == [(at, "P001") for at in range(len(spelt))]
    assert cleaned.counts.normalised == {"b: invisible letters": len(spelt) - 1}
    cleaned.release()


def test_composed_and_decomposed_letters_are_one_level(clean_text: Clean, records_of: Rows) -> None:
    cleaned = clean_text("id,ward\n1,Größe\n2,Gro\u0308ße\n3,caf\u00e9\n", {"id": "long", "ward": "string"})
    assert records_of(cleaned) == [(1, "Größe"), (2, "Größe"), (3, "café")]
    assert cleaned.counts.normalised == {"ward: invisible letters": 1}
    cleaned.release()


def test_a_level_that_the_task_spells_with_invisible_letters_is_the_one_that_is_seen(
    clean_text: Clean, records_of: Rows
) -> None:
    sex = {"type": "category", "levels": ["F\u00a0", "M\u200b"], "missing": ["?\u00a0"]}
    cleaned = clean_text("id,sex\n1,F\n2,M \n3,?\n", {"id": "long", "sex": sex})
    assert records_of(cleaned) == [(1, "F"), (2, "M"), (3, None)]
    cleaned.release()


def test_the_quarantine_has_the_text_as_it_came(clean_text: Clean) -> None:
    cleaned = clean_text("id,sex\n1\u200b,Q\u00a0\n", {"id": "long", "sex": COLUMNS["sex"]})
    assert cleaned.quarantine.select("raw", "rule").collect() == [("1\u200b,Q\u00a0", "sex: level")]
    assert cleaned.counts.normalised == {}
    cleaned.release()


def test_a_text_without_invisible_letters_costs_no_step_and_counts_nothing(clean_text: Clean, records_of: Rows) -> None:
    cleaned = clean_text("a,b\n1,x y\n2,über\n", {"a": "long", "b": "string"})
    assert records_of(cleaned) == [(1, "x y"), (2, "über")]
    assert cleaned.counts.normalised == {}
    assert "Normalizer" not in cleaned.records._jdf.queryExecution().toString()
    cleaned.release()


@pytest.mark.parametrize("hidden", ["b\u200b", "b\u00a0", "\u00adb", "b "])
def test_a_header_with_an_invisible_letter_is_refused_and_shown(hidden: str, refusal: Refusal) -> None:
    says = refusal({"1.csv": f"a,{hidden}\n1,x\n"})
    assert f"column {hidden!r} is not in the task. Did you mean 'b'?" in says


# ---------------------------------------------------------------- Spark and Python agree

TEXTS = [
    *HIDDEN,
    "",
    " ",
    "a b",
    "a\u00a0b",
    "a\u2003b ",
    "x\ny\n",
    "e\u0301",
    "\u212b",
    "\u1100\u1161",
    "\u0641\u200c\u0642",
    "\u0601 1",
    "क\u094d\u0937",
    "👩\u200d⚕️",
    '"x"',
    "über",
]


def test_spark_and_python_normalise_alike_and_the_first_pass_says_so_where_there_is_something_to_do(
    spark: SparkSession,
) -> None:
    rows = spark.createDataFrame([(text,) for text in TEXTS], "text string")
    text = F.col("text")
    done = [F.expr(normalise("text", letters)).alias(f"done{letters}") for letters in (PLAIN, INVISIBLE, COMPOSING)]
    looks = [letters_in(text, ","), letters_in_json(F.to_json(F.struct(text)))]
    for row in rows.select(text, *done, *(look.alias(f"needs{at}") for at, look in enumerate(looks))).collect():
        assert row["done2"] == normalised(row["text"]), ascii(row["text"])
        assert row[f"done{row['needs0']}"] == normalised(row["text"]), ascii(row["text"])
        assert row[f"done{row['needs1']}"] == normalised(row["text"]), ascii(row["text"])


@pytest.mark.parametrize("delimiter", [",", "\t", "|", "^", "]", "\\"])
def test_the_first_pass_sees_padding_at_any_delimiter(delimiter: str, spark: SparkSession) -> None:
    lines = [f"a{delimiter}b c", f"a {delimiter}b", f"a{delimiter} b", f" a{delimiter}b", f'"a "{delimiter}b', "a\x0bb"]
    rows = spark.createDataFrame([(line,) for line in lines], "text string")
    found = [row[0] for row in rows.select(letters_in(F.col("text"), delimiter)).collect()]
    assert found == [PLAIN] + [INVISIBLE] * 5


def test_the_first_pass_sees_what_may_be_a_quoted_tab_at_a_value_s_end_where_tabs_are_delimiters(
    spark: SparkSession,
) -> None:
    rows = spark.createDataFrame([(line,) for line in ("a\tb", '"\tb"\ta', 'a\t"b\t"', 'a\t"b c"d')], "text string")
    found = [row[0] for row in rows.select(letters_in(F.col("text"), "\t")).collect()]
    assert found == [PLAIN] + [INVISIBLE] * 3
