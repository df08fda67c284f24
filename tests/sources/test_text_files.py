# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Text files, made up and real: every line in its place, every letter kept."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pyspark.sql import SparkSession
from support.cells import CELLS
from support.cleaning import JSON, NDJSON, Clean, Rows

from medspark.errors import InputError
from medspark.schemas import LINE, RAW
from medspark.task.spelling import normalised


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


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=CELLS)
def test_what_python_writes_as_csv_comes_back_but_for_what_nobody_sees(
    rows: list[tuple[str, str]], clean_text: Clean, records_of: Rows
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([("id", "x", "y"), *((n, *row) for n, row in enumerate(rows))])
    cleaned = clean_text(out.getvalue(), {"id": "long", "x": "string", "y": "string"}, quoted_newlines=True)
    expected = [(n, *(normalised(cell) or None for cell in row)) for n, row in enumerate(rows)]
    assert (records_of(cleaned), cleaned.counts.quarantined) == (expected, {})
    cleaned.release()


# ---------------------------------------------------------------- real files

CARS = dict.fromkeys(["year", "make", "model", "comment", "blank"], "string")
DAY = {"type": "date", "format": "yyyy-MM-dd"}
TIME = {"type": "timestamp", "format": "yyyy-MM-dd'T'HH:mm:ss"}
NO_HEADER = {"header": False}
SPARK_CSV: list[tuple[str, dict[str, Any], dict[str, Any], int, list[tuple[int, str]] | str]] = [
    # file                          columns               settings              records  set aside, or words of the refusal
    ("bad_after_good.csv", {"name": "string", "day": DAY}, NO_HEADER, 1, [(2, "day: type")]),
    ("cars-alternative.csv", CARS, {"delimiter": "|"}, 3, []),
    ("cars-blank-column-name.csv", CARS, {}, 0, "column '' is not in the task"),
    ("cars-malformed.csv", CARS, {}, 0, "expected a header as the first line"),
    ("cars-malformed.json", {"year": "long", "make": "string", "model": "string", "price": "double", "comment": "string"}, JSON, 1, [(1, "record: json"), (8, "record: json"), (10, "record: json"), (15, "record: unknown key")]),
    ("cars-multichar-delim-crazy.csv", CARS, {}, 0, "expected a header as the first line"),
    ("cars-null.csv", CARS, {"missing": ["null"]}, 2, [(5, "year: required")]),
    ("cars-with-multiline-lines-to-skip.csv", CARS, {}, 0, "expected a header as the first line"),
    ("comments-whitespaces.csv", {"colA": "string"}, {}, 0, "expected a header as the first line"),
    ("date-infer-schema.csv", {"date": "string", "timestamp-date": TIME, "date-timestamp": DAY}, {}, 1, [(3, "date-timestamp: type"), (4, "timestamp-date: type")]),
    ("malformedRow.csv", {"fruit": "string", "color": "string", "price": "long", "quantity": "long"}, {}, 3, [(5, "record: fields")]),
    ("malformed_utf8.json", {"a": "long"}, {**NDJSON, "duplicates": {"same": ["a"]}}, 1, [(2, "duplicate"), (3, "record: encoding")]),
    ("mixed-types1.csv", {"col_mixed_types": "integer"}, {}, 2, [(4, "col_mixed_types: type")]),
    ("more-columns.csv", {"a": "long", "b": "double"}, NO_HEADER, 0, [(1, "record: fields")]),
    ("unescaped-quotes-unescaped-delimiter.csv", {"c1": "string", "c2": "string"}, {}, 2, []),
    ("value-malformed.csv", {"n": "integer", "day": DAY}, NO_HEADER, 1, [(1, "day: type")]),
]  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "columns", "source", "records", "outcome"), SPARK_CSV, ids=[case[0] for case in SPARK_CSV]
)
def test_sparks_own_malformed_files(
    name: str,
    columns: dict[str, Any],
    source: dict[str, Any],
    records: int,
    outcome: list[tuple[int, str]] | str,
    data: Path,
    clean_path: Clean,
    set_aside: Rows,
) -> None:
    path = data / "spark_csv" / name
    if isinstance(outcome, str):
        with pytest.raises(InputError, match=outcome):
            clean_path(path, columns, **source)
        return
    cleaned = clean_path(path, columns, **source)
    assert (cleaned.counts.records, set_aside(cleaned)) == (records, outcome)
    cleaned.release()


CSV_SPECTRUM = [
    "comma_in_quotes",
    "empty",
    "empty_crlf",
    "escaped_quotes",
    "json",
    "newlines",
    "newlines_crlf",
    "quotes_and_newlines",
    "simple",
    "simple_crlf",
    "utf8",
]


@pytest.mark.data
@pytest.mark.parametrize("name", CSV_SPECTRUM)
def test_csv_spectrum_is_read_as_its_authors_expect(name: str, data: Path, clean_text: Clean, records_of: Rows) -> None:
    expected = json.loads((data / "csv_spectrum" / "json" / f"{name}.json").read_text(encoding="utf-8"))
    content = (data / "csv_spectrum" / "csvs" / f"{name}.csv").read_bytes()
    if name.endswith("_crlf") and b"\r\n" not in content:  # a checkout changed the line ends
        content = content.replace(b"\n", b"\r\n")
    cleaned = clean_text(content, dict.fromkeys(expected[0], "string"), quoted_newlines=True)
    assert records_of(cleaned) == [tuple(value or None for value in row.values()) for row in expected]
    assert cleaned.counts.quarantined == {}
    cleaned.release()


@pytest.mark.data
def test_the_csv_spectrum_file_in_a_broken_encoding_keeps_its_replacement_letters(
    data: Path, clean_path: Clean, records_of: Rows
) -> None:
    """Its letters were lost before it was published (they are U+FFFD), and its expected JSON has another number."""
    columns = dict.fromkeys(["Contact Phone Number", "Location Coordinates", "Cities", "Counties"], "string")
    cleaned = clean_path(data / "csv_spectrum" / "csvs" / "location_coordinates.csv", columns)
    assert records_of(cleaned) == [("2095257564", "37\ufffd36'37.8\"N 121\ufffd2'17.9\"W", "Modesto", "Stanislaus")]
    cleaned.release()
