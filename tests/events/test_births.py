# ruff: noqa: E501 (a header is one line)
"""Births that cannot be: missing or set aside by a stated range of the shipped mappings, and counted."""

import datetime

import pyarrow as pa
from support.mapped import Read
from support.places import ROOT

from medspark.task.yaml_text import read_yaml

PERSONS = """person_id,birth_datetime,year_of_birth,month_of_birth,day_of_birth,gender_concept_id,race_concept_id,ethnicity_concept_id
1,1950-03-04 05:00:00,1950,3,4,8507,0,0
2,0001-01-01 00:00:00,1950,3,4,8507,0,0
3,,0001,1,1,8507,0,0
4,9999-12-31 00:00:00,9999,12,31,8507,0,0
5,,1874,12,31,8507,0,0
"""


def shipped(mapping: str, table: str) -> dict[str, object]:
    """One table of a shipped mapping."""
    tables = read_yaml(ROOT / "conf" / "sources" / f"{mapping}.yaml")["tables"]
    return {table: tables[table]}


def test_an_impossible_birth_of_a_person_is_missing_and_counted_and_the_person_stays(read: Read) -> None:
    found = read({"person.csv": PERSONS}, shipped("omop", "person"), point_zero=True)
    births = [(subject, time) for subject, code, time, *_ in found.events if code == "MEDS_BIRTH"]
    assert births == [(1, "1950-03-04 05:00:00"), (2, "1950-03-04 00:00:00")]
    assert sum(code == "GENDER/8507" for _, code, *_ in found.events) == 5
    assert found.aside == []
    assert found.counts["person"].set_missing == {"birth_datetime: range": 2, "year_of_birth: range": 3}


def test_an_impossible_time_of_a_meds_event_sets_it_aside_and_a_static_one_stays(read: Read) -> None:
    times = [datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (1, 1874, 1875, 2300, 9999)]
    events = pa.table(
        {
            "subject_id": [1, 2, 3, 4, 5, 6],
            "time": pa.array([*times, None], pa.timestamp("us", "UTC")),
            "code": ["MEDS_BIRTH"] * 5 + ["GENDER/F"],
        }
    )
    found = read({"data/0.parquet": events}, shipped("meds", "data"), kind="parquet")
    assert [(subject, code) for subject, code, *_ in found.events] == [
        (3, "MEDS_BIRTH"),
        (4, "MEDS_BIRTH"),
        (6, "GENDER/F"),
    ]
    assert found.counts["data"].quarantined == {"time: range": 3}


def test_a_period_that_goes_on_may_end_in_the_year_9999(read: Read) -> None:
    text = "person_id,observation_period_start_date,observation_period_end_date\n1,2010-01-01,9999-12-31\n"
    found = read({"observation_period.csv": text}, shipped("omop", "observation_period"))
    assert [(code, time[:10]) for _, code, time, *_ in found.events] == [
        ("OBSERVATION_PERIOD_END", "9999-12-31"),
        ("OBSERVATION_PERIOD_START", "2010-01-01"),
    ]
