# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Every kind of column, by a table: what a source's text becomes, or the rule it breaks."""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from pyspark.sql import SparkSession

from medspark.clean.judge import SET_MISSING, judge
from medspark.clean.typed_values import read_column
from medspark.clean.worker.staged import BETWEEN
from medspark.errors import InputError
from medspark.task.table_task import TableTask


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
    ("string", {"type": "string"}, [(" kept ", "kept"), ("  ", MISSING), (" ? ", MISSING)]),
    ("pattern", {"type": "string", "matches": "[A-Z]{2}|x"}, [("AB", "AB"), ("x", "x"), ("ABC", Rule("pattern")), ("AB\n", "AB"), ("A B", Rule("pattern")), (" AB", "AB")]),
    ("missing words", {"type": "string", "missing": ["none"]}, [("none", MISSING), ("None", "None")]),
    ("boolean", {"type": "boolean", "true_values": ["yes", "1"], "false_values": ["no"]}, [
        ("yes", True), ("1", True), ("no", False), ("", MISSING), ("true", Rule("type")), ("Yes", Rule("type"))]),
    ("interval", {"type": "interval", "range": [0, 500]}, [
        ("[70-80)", 75.0), ("(1.5-2.5]", 2.0), ("[ 1 - 3 ]", 2.0), (">200", 200.0), ("<= 7.5", 7.5), ("[80-70)", Rule("type")), ("70-80", Rule("type")),
        ("75", Rule("type")), ("[70-80", Rule("type")), (">600", Rule("range")), ("junk", Rule("type"))]),
    ("two digits by a pivot", {"type": "date", "format": "dd-MMM-yy", "pivot_year": 1930}, [
        ("12-Mar-45", date(1945, 3, 12)), ("05-Jun-21", date(2021, 6, 5)), ("01-Jan-30", date(1930, 1, 1)), ("31-Dec-29", date(2029, 12, 31)),
        ("29-Feb-28", date(2028, 2, 29)), ("29-Feb-72", date(1972, 2, 29)), ("29-Feb-31", Rule("type")), ("12-Mar-1945", Rule("type"))]),
    ("two digits of a century without that day", {"type": "date", "format": "dd-MM-yy", "pivot_year": 1850}, [
        ("28-02-00", date(1900, 2, 28)), ("29-02-00", Rule("type"))]),
    ("two digits by a range", {"type": "date", "format": "dd-MM-yy", "range": ["1926-05-02", "2026-05-01"]}, [
        ("01-05-26", date(2026, 5, 1)), ("02-05-26", date(1926, 5, 2)), ("31-12-25", date(2025, 12, 31)), ("01-01-27", date(1927, 1, 1))]),
    ("two digits by a range with a gap", {"type": "date", "format": "dd-MM-yy", "range": ["1950-01-01", "2020-12-31"]}, [
        ("01-01-50", date(1950, 1, 1)), ("31-12-20", date(2020, 12, 31)), ("01-01-21", Rule("range")), ("31-12-49", Rule("range"))]),
    ("two digits of a time", {"type": "timestamp", "format": "yyMMdd HH:mm", "pivot_year": 1930}, [
        ("450312 04:30", utc(1945, 3, 12, 8, 30)), ("260115 10:00", utc(2026, 1, 15, 15, 0))]),
    ("days of a range", {"type": "date", "format": "yyyy-MM-dd", "range": ["1875-01-01", "2300-12-31"]}, [
        ("1875-01-01", date(1875, 1, 1)), ("1874-12-31", Rule("range")), ("0001-01-01", Rule("range")), ("2300-12-31", date(2300, 12, 31)),
        ("9999-12-31", Rule("range"))]),
    ("times of a range", {"type": "timestamp", "format": "yyyy-MM-dd HH:mm", "range": [None, "2024-01-31"]}, [
        ("2024-01-31 23:59", utc(2024, 2, 1, 4, 59)), ("2024-02-01 00:00", Rule("range")), ("1990-01-01 00:00", utc(1990, 1, 1, 5, 0))]),
    ("icd9", {"type": "code", "system": "ICD9CM"}, [
        ("250.83", "250.83"), ("25083", "250.83"), ("8", "008"), ("38.0", "038.0"), ("38", "038"), ("v4581", "V45.81"), ("V45", "V45"), ("E8859", "E885.9"),
        ("E885", "E885"), ("2500", "250.0"), ("250.", Rule("code")), ("250.830", Rule("code")), ("250830", Rule("code")), ("junk", Rule("code")), ("E88", Rule("code")), ("?", MISSING)]),
    ("icd9 category", {"type": "code", "system": "ICD9CM", "roll_up": "category"}, [("25083", "250"), ("E8859", "E885"), ("8", "008")]),
    ("icd10", {"type": "code", "system": "ICD10CM"}, [
        ("e119", "E11.9"), ("E11.9", "E11.9"), ("I10", "I10"), ("C4A.0", "C4A.0"), ("S72001A", "S72.001A"), ("E11.", Rule("code")), ("250.83", Rule("code")), ("junk", Rule("code"))]),
    ("date", {"type": "date", "format": "yyyy-MM-dd"}, [
        ("2024-02-29", date(2024, 2, 29)), ("2024-02-30", Rule("type")), ("2024", Rule("type")), ("2024-02-29T10:00", Rule("type")), ("29/02/2024", Rule("type")),
        ("2024-02-29 00:00:00", date(2024, 2, 29)), ("2024-02-29T00:00:00.0000000", date(2024, 2, 29)), ("2024-02-29 00:00", date(2024, 2, 29)), ("2024-02-29 00:00:01", Rule("type"))]),
    ("date of another format", {"type": "date", "format": "dd/MM/yyyy"}, [("29/02/2024", date(2024, 2, 29)), ("29/02/2024 00:00:00", Rule("type"))]),
    ("digits of a second", {"type": "timestamp"}, [
        ("2024-01-15 12:00:00.0000000", utc(2024, 1, 15, 17)), ("2024-01-15T12:00:00.250000000", utc(2024, 1, 15, 17, 0, 0, 250_000)),
        ("2024-01-15T12:00:00.12345600Z", utc(2024, 1, 15, 12, 0, 0, 123_456)), ("2024-01-15 12:00:00.0000000-05:00", utc(2024, 1, 15, 17)),
        ("2024-01-15 12:00:00.1234567", Rule("type")), ("2024-01-15 12:00:00.000000001", Rule("type"))]),
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
    found = judge(frame, list(task.columns), task.raw_table()).orderBy("_source_line").collect()
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


# ---------------------------------------------------------------- typed sources


def test_a_column_of_another_kind_is_refused_by_name() -> None:
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
    for name, dtype in (("id", "boolean"), ("flag", "date"), ("code", "bigint"), ("id", "array<int>")):
        with pytest.raises(
            InputError, match=f"column '{name}' is declared .*the source has {dtype.replace('<', '.')[:3]}"
        ):
            read_column(name, dtype, task.raw_table())
