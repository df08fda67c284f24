# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Every kind of column, by a table: what a source's text becomes, or the rule it breaks."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.frames import frames_kept

from medspark.clean.judge import BETWEEN, SET_MISSING, judge
from medspark.clean.reading import read_column
from medspark.clean.table import Cleaned
from medspark.errors import InputError
from medspark.task.table_task import TableTask

Clean = Callable[..., Cleaned]
Rows = Callable[[Cleaned], list[tuple[Any, ...]]]


class Rule(str):
    """The rule that a text breaks, in place of a value."""


NEW_YORK = "America/New_York"
MISSING = None
DOSE = {
    "type": "double",
    "unit": "mg",
    "units": {"column": "unit", "to_unit": {"mg": 1, "g": 1000}},
    "range": [0, 5000],
}
FAHRENHEIT = {"to_unit": {"C": 1, "F": {"factor": 0.5, "offset": -16}}, "column": "unit", "when_missing": "C"}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC).astimezone().replace(tzinfo=None)


# fmt: off
VALUES: list[tuple[str, dict[str, Any], list[tuple[str | None, Any]]]] = [
    ("long", {"type": "long", "range": [0, 10]}, [
        ("7", 7), (" 7 ", 7), ("+7", 7), ("0", 0), ("10", 10), ("", MISSING), ("  ", MISSING), (None, MISSING), ("?", MISSING),
        ("11", Rule("range")), ("-1", Rule("range")), ("7.0", Rule("type")), ("x", Rule("type")), ("７", Rule("type")), ("1 0", Rule("type"))]),
    ("integer", {"type": "integer"}, [("2147483647", 2147483647), ("2147483648", Rule("type")), ("-3", -3)]),
    ("double", {"type": "double", "range": [None, 5]}, [
        ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("-1e3", -1000.0), ("5.1", Rule("range")), ("1,5", Rule("type")), ("0x1", Rule("type")),
        ("1f", Rule("type")), ("NaN", Rule("type")), ("inf", Rule("type")), ("1e999", Rule("type")), ("> 6", Rule("type"))]),
    ("decimal", {"type": "decimal", "precision": 6, "scale": 2}, [
        ("1.25", Decimal("1.25")), ("1.250", Decimal("1.25")), ("-.5", Decimal("-0.50")), ("7.", Decimal("7.00")), ("1.255", Rule("type")),
        ("12345", Rule("type")), (".", Rule("type")), ("1e2", Rule("type"))]),
    ("category", {"type": "category", "levels": ["a", "b"]}, [("a", "a"), (" b ", "b"), ("A", Rule("level")), ("", MISSING), ("c", Rule("level"))]),
    ("free category", {"type": "category"}, [("anything ", "anything")]),
    ("lookup", {"type": "category", "lookup": "wards"}, [("1", "surgery"), ("2", MISSING), ("3", Rule("lookup")), ("", MISSING)]),
    ("string", {"type": "string"}, [(" kept ", " kept "), ("  ", MISSING), (" ? ", MISSING)]),
    ("pattern", {"type": "string", "matches": "[A-Z]{2}|x"}, [("AB", "AB"), ("x", "x"), ("ABC", Rule("pattern")), ("AB\n", Rule("pattern")), (" AB", Rule("pattern"))]),
    ("missing words", {"type": "string", "missing": ["none"]}, [("none", MISSING), ("None", "None")]),
    ("boolean", {"type": "boolean", "true_values": ["yes", "1"], "false_values": ["no"]}, [
        ("yes", True), ("1", True), ("no", False), ("", MISSING), ("true", Rule("type")), ("Yes", Rule("type"))]),
    ("interval", {"type": "interval", "range": [0, 500]}, [
        ("[70-80)", 75.0), ("(1.5-2.5]", 2.0), ("[ 1 - 3 ]", 2.0), (">200", 200.0), ("<= 7.5", 7.5), ("[80-70)", Rule("type")), ("70-80", Rule("type")),
        ("75", Rule("type")), ("[70-80", Rule("type")), (">600", Rule("range")), ("junk", Rule("type"))]),
    ("icd9", {"type": "code", "system": "ICD9CM"}, [
        ("250.83", "250.83"), ("25083", "250.83"), ("8", "008"), ("38.0", "038.0"), ("38", "038"), ("v4581", "V45.81"), ("V45", "V45"), ("E8859", "E885.9"),
        ("E885", "E885"), ("2500", "250.0"), ("250.", Rule("code")), ("250.830", Rule("code")), ("250830", Rule("code")), ("junk", Rule("code")), ("E88", Rule("code")), ("?", MISSING)]),
    ("icd9 category", {"type": "code", "system": "ICD9CM", "roll_up": "category"}, [("25083", "250"), ("E8859", "E885"), ("8", "008")]),
    ("icd10", {"type": "code", "system": "ICD10CM"}, [
        ("e119", "E11.9"), ("E11.9", "E11.9"), ("I10", "I10"), ("C4A.0", "C4A.0"), ("S72001A", "S72.001A"), ("E11.", Rule("code")), ("250.83", Rule("code")), ("junk", Rule("code"))]),
    ("date", {"type": "date", "format": "yyyy-MM-dd"}, [
        ("2024-02-29", date(2024, 2, 29)), ("2024-02-30", Rule("type")), ("2024", Rule("type")), ("2024-02-29T10:00", Rule("type")), ("29/02/2024", Rule("type"))]),
    ("timestamp", {"type": "timestamp", "format": "yyyy-MM-dd HH:mm"}, [
        ("2024-01-15 12:00", utc(2024, 1, 15, 17)), ("2024-07-15 12:00", utc(2024, 7, 15, 16)), ("2024-03-10 02:30", Rule("type")),
        ("2024-03-10 03:00", utc(2024, 3, 10, 7)), ("2024-11-03 01:30", utc(2024, 11, 3, 5, 30)), ("2024-01-15", Rule("type")), ("2024-01-15 24:00", Rule("type"))]),
    ("timestamp with its zone", {"type": "timestamp", "format": "yyyy-MM-dd'Z'HH:mmXXX"}, [
        ("2024-07-15Z12:00+02:00", utc(2024, 7, 15, 10)), ("2024-07-15Z12:00Z", utc(2024, 7, 15, 12)), ("2024-07-15Z12:00", Rule("type"))]),
]
UNITS = [
    # dose, its unit            -> mg
    (("250", "mg"), 250.0), (("2", "g"), 2000.0), (("9", "g"), Rule("range")), (("x", "g"), Rule("type")),
    (("250", ""), Rule("unit")), (("250", "?"), Rule("unit")), (("250", "ug"), Rule("unit")), (("", ""), MISSING), (("", "ug"), MISSING),
]
UNITS_WHEN_MISSING = [(("36", ""), 36.0), (("36", "C"), 36.0), (("104", "F"), 36.0), (("36", "K"), Rule("unit"))]
# fmt: on


def judged(spark: SparkSession, columns: dict[str, Any], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """For each row its values, and in the place of a value that breaks a rule of its column, the rule."""
    task = TableTask.model_validate(
        {
            "task": "t",
            "title": "t",
            "source": {
                "kind": "table",
                "path": "p",
                "format": "csv",
                "case": "id",
                "subject": "id",
                "missing": ["?"],
                "timezone": NEW_YORK,
            },
            "columns": {
                "id": {"type": "long"},
                **{name: {**spec, "otherwise": "missing"} for name, spec in columns.items()},
            },
            "lookups": {"wards": {"entries": {"1": "surgery", "2": None}}},
            "outcome": {"name": "o", "when": "true"},
            "features": {},
        }
    )
    own = "_source_file string, _source_line bigint, _row_digest bigint, _text string, _repaired boolean, _record_rule string"
    schema = f"{own}, id string, " + ", ".join(f"`{name}` string" for name in columns)
    frame = spark.createDataFrame([("f", n, n, "", False, None, str(n), *row) for n, row in enumerate(rows)], schema)
    found = judge(frame, list(task.columns), task).orderBy("_source_line").collect()
    results = []
    for row in found:
        broken = dict(rule.split(": ") for rule in row[SET_MISSING].split(BETWEEN) if rule)
        assert all(row[name] is None for name in broken), "a value that breaks a rule is set missing"
        results.append({name: Rule(broken[name]) if name in broken else row[name] for name in columns})
    return results


@cache
def judged_values(spark: SparkSession) -> list[dict[str, Any]]:
    """All of VALUES at once: a column for each kind, a row for each place in its list."""
    longest = max(len(cases) for _, _, cases in VALUES)
    rows = [tuple(cases[n][0] if n < len(cases) else None for _, _, cases in VALUES) for n in range(longest)]
    return judged(spark, {name: spec for name, spec, _ in VALUES}, rows)


@pytest.mark.parametrize(("name", "spec", "cases"), VALUES, ids=[name for name, _, _ in VALUES])
def test_a_text_becomes_a_value_or_breaks_one_rule(
    spark: SparkSession, name: str, spec: dict[str, Any], cases: list[Any]
) -> None:
    received = [(text, judged_values(spark)[n][name]) for n, (text, _) in enumerate(cases)]
    assert received == cases


def test_units_are_brought_to_one_before_the_range_is_judged(spark: SparkSession) -> None:
    found = judged(spark, {"dose": DOSE, "unit": {"type": "category"}}, [pair for pair, _ in UNITS])
    assert [(pair, row["dose"]) for (pair, _), row in zip(UNITS, found, strict=True)] == UNITS


def test_a_row_without_a_unit_takes_the_one_for_missing(spark: SparkSession) -> None:
    columns = {"heat": {"type": "double", "unit": "C", "units": FAHRENHEIT}, "unit": {"type": "category"}}
    found = judged(spark, columns, [pair for pair, _ in UNITS_WHEN_MISSING])
    assert [(pair, row["heat"]) for (pair, _), row in zip(UNITS_WHEN_MISSING, found, strict=True)] == UNITS_WHEN_MISSING


# ---------------------------------------------------------------- actions

AGE = {"type": "integer", "range": [0, 120]}
AGES = "id,age\n1,40\n2,140\n3,x\n4,\n"


def test_set_aside_quarantines_the_row(clean_text: Clean, records_of: Rows, set_aside: Rows) -> None:
    cleaned = clean_text(AGES, {"id": "long", "age": AGE})
    assert records_of(cleaned) == [(1, 40), (4, None)]
    assert set_aside(cleaned) == [(3, "age: range"), (4, "age: type")]
    assert cleaned.counts.quarantined == {"age: range": 1, "age: type": 1}
    cleaned.release()


def test_missing_sets_the_value_missing_and_counts_it(clean_text: Clean, records_of: Rows) -> None:
    cleaned = clean_text(AGES, {"id": "long", "age": {**AGE, "otherwise": "missing"}})
    assert records_of(cleaned) == [(1, 40), (2, None), (3, None), (4, None)]
    assert (cleaned.counts.set_missing, cleaned.counts.quarantined) == ({"age: range": 1, "age: type": 1}, {})
    cleaned.release()


def test_fail_ends_the_run_with_every_rule_and_its_count(clean_text: Clean) -> None:
    with pytest.raises(InputError) as error:
        clean_text(AGES + "5,150\n", {"id": "long", "age": {**AGE, "otherwise": "fail", "required": True}})
    assert str(error.value).splitlines()[1:] == [
        "  - age: range: 2 rows",
        "  - age: required: 1 rows",
        "  - age: type: 1 rows",
    ]


def test_a_required_value_is_set_aside_when_missing_even_where_others_are_set_missing(
    clean_text: Clean, set_aside: Rows
) -> None:
    cleaned = clean_text(AGES, {"id": "long", "age": {**AGE, "otherwise": "missing", "required": True}})
    assert set_aside(cleaned) == [(5, "age: required")]
    assert cleaned.counts.set_missing == {"age: range": 1, "age: type": 1}
    cleaned.release()


def test_a_row_without_a_key_is_set_aside_whatever_the_column_says(clean_text: Clean, set_aside: Rows) -> None:
    cleaned = clean_text("id,age\n,40\nx,40\n3,40\n", {"id": {"type": "long", "otherwise": "missing"}, "age": AGE})
    assert set_aside(cleaned) == [(2, "id: required"), (3, "id: type")]
    cleaned.release()


def test_the_first_column_judges_first_and_the_reason_has_all(clean_text: Clean) -> None:
    cleaned = clean_text(
        "id,age,sex\n1,x,Q\n",
        {"id": "long", "age": AGE, "sex": {"type": "category", "levels": ["F", "M"]}},
    )
    assert cleaned.quarantine.select("rule", "reason").collect() == [
        ("age: type", "age: expected a whole number of at most 32 bits; sex: expected one of F, M")
    ]
    cleaned.release()


# ---------------------------------------------------------------- across columns

STAYS = {"id": "long", "days": "integer", "died": {"type": "boolean"}}


def test_a_check_across_columns_sets_aside_what_is_false_and_lets_the_unknown_pass(
    clean_text: Clean, records_of: Rows, set_aside: Rows
) -> None:
    check = {"name": "no stay after death", "expect": "not (died and days > 3)"}
    cleaned = clean_text(
        "id,days,died\n1,5,true\n2,5,false\n3,,true\n4,5,\n5,2,true\n", STAYS, sections={"checks": [check]}
    )
    assert [row[0] for row in records_of(cleaned)] == [2, 3, 4, 5]
    assert set_aside(cleaned) == [(2, "no stay after death")]
    assert cleaned.quarantine.head()["reason"] == "expected not (died and days > 3)"
    cleaned.release()


def test_a_check_may_fail_the_run(clean_text: Clean) -> None:
    check = {"name": "short stays", "expect": "days < 3", "otherwise": "fail"}
    with pytest.raises(InputError, match="short stays: 2 rows"):
        clean_text("id,days,died\n1,5,\n2,6,\n3,1,\n", STAYS, sections={"checks": [check]})


def test_derived_columns_read_the_typed_values(clean_text: Clean, records_of: Rows) -> None:
    derived = {
        "long_stay": {"type": "boolean", "expression": "days > 3"},
        "band": {"type": "category", "expression": "days div 5"},
    }
    cleaned = clean_text("id,days,died\n1,5,\n2,,\n", STAYS, sections={"derived": derived})
    assert records_of(cleaned) == [(1, 5, None, True, "1"), (2, None, None, None, None)]
    cleaned.release()


def test_an_expression_that_fails_on_a_row_is_named_as_the_cause_and_nothing_is_kept(
    spark: SparkSession, clean_text: Clean
) -> None:
    check = {"name": "rate", "expect": "10 / days < 20"}
    before = frames_kept(spark)
    with pytest.raises(InputError, match=r"an expression of the task fails on some row.*try_divide"):
        clean_text("id,days,died\n1,0,\n", STAYS, sections={"checks": [check]})
    assert frames_kept(spark) == before


# ---------------------------------------------------------------- typed sources


def test_a_column_of_another_kind_is_refused_by_name(clean_text: Clean) -> None:
    task = TableTask.model_validate(
        {
            "task": "t",
            "title": "t",
            "source": {"kind": "table", "path": "p", "format": "parquet", "case": "id", "subject": "id"},
            "columns": {
                "id": {"type": "long"},
                "flag": {"type": "boolean"},
                "code": {"type": "code", "system": "ICD9CM"},
            },
            "outcome": {"name": "o", "when": "true"},
            "features": {},
        }
    )
    for name, dtype in (("id", "double"), ("flag", "int"), ("code", "bigint"), ("id", "array<int>")):
        with pytest.raises(
            InputError, match=f"column '{name}' is declared .*the source has {dtype.replace('<', '.')[:3]}"
        ):
            read_column(name, dtype, task)
