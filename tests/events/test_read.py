# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Tables of files to events: what is read, what is set aside with its text and line, and counts that add up."""

import datetime
import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from support.errors import SECRET
from support.mapped import LAB, Read

from medspark.errors import InputError
from medspark.events.read import read_events
from medspark.schemas import DIGEST, FILE, LINE, RAW
from medspark.store.facts import MappedCounts
from medspark.task.event_source import EventSource
from medspark.task.mapping import Mapping

# ---------------------------------------------------------------- a ward

PERSON = {
    "subject": "patient",
    "columns": {"patient": "long", "born": "date", "sex": "string", "died": "timestamp"},
    "absent": ["died"],
    "events": [{"code": "MEDS_BIRTH", "date": "born"}, {"code": "SEX/{sex}"}, {"code": "MEDS_DEATH", "time": "died"}],
}
LABS = {
    "subject": "patient",
    "columns": {
        "patient": "long",
        "at": "timestamp",
        "code": "string",
        "local": "string",
        "value": "string",
        "unit": "string",
    },
    "skip": [{"name": "void", "when": "value = 'void'", "because": "it was withdrawn"}],
    "duplicates": {"same": "whole_row"},
    "events": [{"code": ["LAB/{code}", "LAB/local/{local}"], "time": "at", "value": "value", "unit": "unit"}],
}
WARD = {"person": PERSON, "labs": LABS, "devices": {**PERSON, "optional": True}}
HB = {"LAB/hb": {"unit": "g/L", "to_unit": {"g/L": 1, "g/dL": 10}, "range": [1, 300]}}

PERSONS = """ward,sex,patient,born
3b,F,1,1950-02-01
3b,,2,
3b,M,3,1960-01-01
3b,M,,1970-01-01
3b,M,x,1970-01-01
3b,M,5,1970-02-30
"""
RESULTS = """patient,at,code,local,value,unit
1,2020-07-01 12:00:00,hb,,14,g/dL
1,2020-07-01 12:00:00,,7,>6,
1,2020-07-01 12:00:00,,7,>6,
1,2020-07-01 12:00:00,,,5,

2,2020-07-01 12:00:00.5,hb,,40,g/dL
2,2020-07-01 12:00:00,hb,,14,stone
2,2020-07-01 00:00:00,hb,,140,
3,2020-03-29 02:30:00,na,,140,
3,2020-10-25 02:30:00,na,,void,
3,,na,,140,
3,2020-10-25 02:30:00,na,,positive
3,2020-10-25 02:30:00,na,,positive,x
"""


def test_every_row_of_a_ward_becomes_events_or_is_accounted_for(read: Read) -> None:
    found = read(
        {"person.csv": PERSONS, "labs.csv.gz": gzip.compress(RESULTS.encode())},
        WARD,
        values=HB,
        timezone="Europe/Amsterdam",
        midnight="date_only",
    )
    assert found.events == [
        (1, "LAB/hb", "2020-07-01 10:00:00", 140.0, None, "g/L", None),
        (1, "LAB/local/7", "2020-07-01 10:00:00", 6.0, ">6", None, None),
        (1, "MEDS_BIRTH", "1950-01-31 23:00:00", None, None, None, "1950-02-01 23:00:00"),
        (1, "SEX/F", None, None, None, None, None),
        (2, "LAB/hb", "2020-06-30 22:00:00", 140.0, None, None, "2020-07-01 22:00:00"),
        (3, "LAB/na", "2020-10-25 00:30:00", None, "positive", "x", None),  # of two such hours the first
        (3, "MEDS_BIRTH", "1959-12-31 23:00:00", None, None, None, "1960-01-01 23:00:00"),
        (3, "SEX/M", None, None, None, None, None),
    ]
    assert found.aside == [
        ("labs", "labs.csv.gz", 4, "duplicate", "1,2020-07-01 12:00:00,,7,>6,"),
        ("labs", "labs.csv.gz", 5, "event: none", "1,2020-07-01 12:00:00,,,5,"),
        ("labs", "labs.csv.gz", 7, "value: range", "2,2020-07-01 12:00:00.5,hb,,40,g/dL"),
        ("labs", "labs.csv.gz", 8, "value: unit", "2,2020-07-01 12:00:00,hb,,14,stone"),
        ("labs", "labs.csv.gz", 10, "at: type", "3,2020-03-29 02:30:00,na,,140,"),  # an hour that the clock skips
        ("labs", "labs.csv.gz", 12, "event: none", "3,,na,,140,"),
        ("labs", "labs.csv.gz", 13, "record: fields", "3,2020-10-25 02:30:00,na,,positive"),
        ("person", "person.csv", 3, "event: none", "3b,,2,"),
        ("person", "person.csv", 5, "patient: required", "3b,M,,1970-01-01"),
        ("person", "person.csv", 6, "patient: type", "3b,M,x,1970-01-01"),
        ("person", "person.csv", 7, "born: type", "3b,M,5,1970-02-30"),
    ]
    labs = {"at: type": 1, "event: none": 2, "record: fields": 1, "value: range": 1, "value: unit": 1}
    person = {"born: type": 1, "event: none": 1, "patient: required": 1, "patient: type": 1}
    assert found.counts == {
        "person": MappedCounts(6, 0, 2, 4, {}, person, 0, {}, 0),
        "labs": MappedCounts(12, 1, 4, 4, {"void": 1}, labs, 1, {}, 0),
    }


# ---------------------------------------------------------------- Parquet

BIG = 2**53 + 1


def test_parquet_keeps_its_types_and_whole_numbers_their_digits(read: Read) -> None:
    day = datetime.date(2020, 7, 1)
    at = [datetime.datetime(2020, 7, 1, 12, 0, 0, 250_000), datetime.datetime(2020, 3, 29, 2, 30), None, None]
    labs = pa.table(
        {
            "beyond": [SECRET] * 4,
            "value": pa.array([1.5, 2.0, 400.0, float("nan")], pa.float64()),
            "at": pa.array(at, pa.timestamp("us")),
            "patient": pa.array([BIG, 2, 3, 4], pa.int64()),
            "day": [day, day, day, day],
        }
    )
    visits = pa.table({"patient": pa.array([263, None], pa.int32()), "day": [day] * 2})
    columns = {"patient": "long", "day": "date"}
    found = read(
        {"labs.parquet": labs, "visits/part-0.parquet": visits},
        {
            "labs": {
                "subject": "patient",
                "columns": {**columns, "at": "timestamp", "value": "double"},
                "events": [{"code": "LAB", "time": "at", "date": "day", "number": "value"}],
            },
            "visits": {"subject": "patient", "columns": columns, "events": [{"code": "VISIT", "date": "day"}]},
        },
        kind="parquet",
        timezone="Europe/Amsterdam",
        values={"LAB": {"range": [0, 300]}},
    )
    assert found.events == [
        (263, "VISIT", "2020-06-30 22:00:00", None, None, None, "2020-07-01 22:00:00"),
        (4, "LAB", "2020-06-30 22:00:00", None, None, None, "2020-07-01 22:00:00"),
        (BIG, "LAB", "2020-07-01 10:00:00.25", 1.5, None, None, None),
    ]
    assert [row[:4] for row in found.aside] == [
        ("labs", "labs.parquet", None, "at: type"),
        ("labs", "labs.parquet", None, "value: range"),
        ("visits", "part-0.parquet", None, "patient: required"),
    ]
    assert json.loads(found.aside[1][4]) == {"patient": 3, "day": "2020-07-01", "at": None, "value": 400.0}


def test_identifiers_written_with_point_zero_are_exact(read: Read) -> None:
    text = f"patient\n263.0\n263\n263.5\n{BIG}\n{BIG}.0\n9223372036854775808\n1e3\n"
    table = {"subject": "patient", "columns": {"patient": "long"}, "events": [{"code": "IN"}]}
    found = read({"in.csv": text}, {"in": table}, point_zero=True)
    assert [event[0] for event in found.events] == [263, 263, BIG, BIG]
    assert [row[2:4] for row in found.aside] == [(4, "patient: type"), (7, "patient: type"), (8, "patient: type")]
    strict = read({"in.csv": text}, {"in": table})
    assert [event[0] for event in strict.events] == [263, BIG]


# ---------------------------------------------------------------- duplicates

ALIKE = """patient,id,told,value
1,7,2020-01-01 00:00:00,1
1,7,2020-01-03 00:00:00,3
1,7,2020-01-02 00:00:00,2
1,8,,4
1,8,,x
1,9,2020-01-01 00:00:00,5
1,9,2020-01-02 00:00:00,999
"""


def test_of_rows_alike_the_latest_counts_unless_it_is_set_aside(read: Read) -> None:
    table = {
        "subject": "patient",
        "columns": {"patient": "long", "id": "long", "told": "timestamp", "value": "double"},
        "duplicates": {"same": ["id"], "keep": "latest", "by": "told"},
        "events": [{"code": "LAB", "number": "value"}],
    }
    found = read({"labs.csv": ALIKE}, {"labs": table}, values={"LAB": {"range": [0, 100]}})
    assert [event[3] for event in found.events] == [3.0, 4.0, 5.0]
    assert [row[2:4] for row in found.aside] == [
        (2, "duplicate"),
        (4, "duplicate"),
        (6, "value: type"),
        (8, "value: range"),
    ]


# ---------------------------------------------------------------- rows that are written again


def test_a_deletion_without_a_patient_is_set_aside_and_not_passed_over(read: Read) -> None:
    table = {
        "subject": "person",
        "columns": {"id": "long", "mrn": "string", "operation": "string"},
        "derived": {"person": {"type": "long", "expression": "try_cast(mrn as bigint)"}},
        "row": {"same": ["id"], "deleted": "operation = 'D'"},
        "events": [{"code": "LAB"}],
    }
    found = read({"labs.csv": "id,mrn,operation\n1,7,\n2,7,D\n3,,D\n4,x,D\n,,D\n"}, {"labs": table})
    assert [event[:2] for event in found.events] == [(7, "LAB")]
    assert [row[2:] for row in found.aside] == [(4, "row: subject", "3,,D"), (5, "row: subject", "4,x,D")]
    assert found.counts["labs"].non_events == {"deleted": 2}  # one has no id that could be lost


# ---------------------------------------------------------------- repairs


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_repaired_row_is_read_in_place_of_its_own(kind: str, spark: SparkSession, tmp_path: Path, read: Read) -> None:
    files: dict[str, Any] = {"labs.csv": "patient,value\n1,1\n2,999\n3,999\n4,4\n"}
    mended = "2,9"
    if kind == "parquet":
        files = {"labs.parquet": pa.table({"patient": [1, 2, 3, 4], "value": [1.0, 999.0, 999.0, 4.0]})}
        mended = '{"patient": 2, "value": 9}'
    settings = {"values": {"LAB": {"range": [0, 100]}}}
    first = read(files, {"labs": LAB}, kind=kind, **settings)
    assert [row[3] for row in first.aside] == ["value: range", "value: range"]
    source = EventSource(kind="events", mapping="m", format=kind, path=str(tmp_path / "source"))
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"labs": LAB}, **settings})
    with read_events(spark, source, mapping) as found:
        wrong = found.quarantine.select(FILE, LINE, RAW, DIGEST).orderBy(RAW).first()
    schema = f"{FILE} string, {LINE} bigint, {RAW} string, {DIGEST} bigint"
    repairs = spark.createDataFrame([(wrong[FILE], wrong[LINE], mended, wrong[DIGEST])], schema)
    again = read({}, {"labs": LAB}, kind=kind, repairs=repairs, **settings)
    assert [(event[0], event[3]) for event in again.events] == [(1, 1.0), (2, 9.0), (4, 4.0)]
    assert (again.counts["labs"].repaired, again.counts["labs"].quarantined) == (1, {"value: range": 1})
    stray = spark.createDataFrame([(wrong[FILE], wrong[LINE], SECRET, wrong[DIGEST] + 1)], schema)
    with pytest.raises(InputError) as error:
        read({}, {"labs": LAB}, kind=kind, repairs=stray, **settings)
    assert str(error.value) == "1 repaired rows were given, but 0 of them match a row of the source"


# ---------------------------------------------------------------- dirty rows by chance

KINDS = [
    # what becomes of a row, and how it is written: {p} a patient, {n} a number of its own
    ("events",            "{p},2020-01-01 10:00:00,hb,{n}.5,g/L"),
    ("events",            "{p},2020-01-01 10:00:00,hb,{n},"),
    ("events",            "{p},2020-01-01 10:00:00,na,>{n},"),
    ("events",            '{p},2020-01-01 10:00:00,"a,""b""",{n},"x"'),
    ("blank",             ""),
    ("blank",             "   "),
    ("void",              "{p},2020-01-01 10:00:00,{n},void,"),
    ("event: none",       "{p},,hb,{n},g/L"),
    ("event: none",       "{p},2020-01-01 10:00:00,,{n},g/L"),
    ("value: unit",       "{p},2020-01-01 10:00:00,hb,{n},stone"),
    ("value: range",      "{p},2020-01-01 10:00:00,hb,9{n},g/dL"),
    ("patient: required", ",2020-01-01 10:00:00,hb,{n},g/L"),
    ("patient: type",     "p{p},2020-01-01 10:00:00,hb,{n},g/L"),
    ("at: type",          "{p},2020-01-32 10:00:00,hb,{n},g/L"),
    ("at: type",          "{p},noon,{n},void,"),
    ("record: fields",    "{p},2020-01-01 10:00:00,hb,{n}"),
    ("record: quote",     '{p},2020-01-01 10:00:00,"hb,{n},g/L'),
]  # fmt: skip
DIRTY = {
    **{name: part for name, part in LABS.items() if name != "columns"},
    "columns": {"patient": "long", "at": "timestamp", "code": "string", "value": "string", "unit": "string"},
    "events": [{"code": "LAB/{code}", "time": "at", "value": "value", "unit": "unit"}, {"code": "SEEN", "time": "at", "when": "code <> 'na'"}],
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_dirty_rows_by_chance_are_all_accounted_for(seed: int, read: Read) -> None:
    rng = random.Random(seed)
    files, expected = {}, {}
    for table in ("labs", "more"):
        fates: Counter[str] = Counter()
        lines: list[tuple[str, str]] = []
        for number in range(100, 220):
            fate, pattern = rng.choice(KINDS)
            lines.append((fate, pattern.format(p=rng.randint(1, 9), n=number)))
            if rng.random() < 0.2:  # a row twice: of those that are not set aside one is a copy
                lines.append((fate if fate not in ("events", "void") else "duplicate", lines[-1][1]))
        rng.shuffle(lines)
        fates.update(fate for fate, _ in lines)
        files[f"{table}.csv"] = "\n".join(["patient,at,code,value,unit", *(line for _, line in lines)])
        expected[table] = (fates, len(lines))
    found = read(files, dict.fromkeys(expected, DIRTY), values=HB)
    for table, (fates, size) in expected.items():
        counts = found.counts[table]
        assert (counts.rows_in, counts.blank_lines) == (size - fates["blank"], fates["blank"])
        assert (counts.with_events, counts.duplicates) == (fates["events"], fates["duplicate"])
        assert counts.non_events == ({"void": fates["void"]} if fates["void"] else {})
        aside = {fate: n for fate, n in fates.items() if fate not in ("events", "duplicate", "void", "blank")}
        assert counts.quarantined == aside


def test_half_floats_in_a_column_that_nobody_reads_are_no_fault(read: Read) -> None:
    rows = pa.table({"patient": [1], "value": [2.5], "other": pa.array([np.float16(1.5)], pa.float16())})
    found = read({"labs.parquet": rows}, {"labs": LAB}, kind="parquet")
    assert [event[:4] for event in found.events] == [(1, "LAB", None, 2.5)]
