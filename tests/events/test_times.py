# ruff: noqa: E501 (a header is one line)
"""Times as warehouses write them: ISO 8601 with T, Z or an offset, and a day beside a time that cannot be read."""

from support.mapped import Read
from support.places import ROOT

from medspark.task.yaml_text import read_yaml

SEEN = {
    "subject": "patient",
    "columns": {"patient": "long", "at": "timestamp"},
    "events": [{"code": "SEEN", "time": "at"}],
}


def shipped(table: str) -> dict[str, object]:
    return {table: read_yaml(ROOT / "conf" / "sources" / "omop.yaml")["tables"][table]}


def test_a_time_is_read_with_a_t_a_z_or_an_offset_and_without_one_as_of_the_sources_zone(read: Read) -> None:
    times = [
        "2020-07-01 12:00:00",
        "2020-07-01T12:00:00",
        "2020-07-01T12:00",
        "2020-07-01T12:00:00.25",
        "2020-07-01T12:00:00Z",
        "2020-07-01 12:00:00.250+02:00",
        "2020-07-01T12:00:00-0500",
        "2020-07-01T12:00:00+05",
        "2020-03-29T02:30:00",  # an hour that the clock skips
        "2020-03-29T02:30:00Z",
        "2020-07-01",
        "01/07/2020 12:00",
    ]
    text = "patient,at\n" + "".join(f"{n},{time}\n" for n, time in enumerate(times))
    found = read({"seen.csv": text}, {"seen": SEEN}, timezone="Europe/Amsterdam")
    assert sorted((subject, time) for subject, _, time, *_ in found.events) == [
        (0, "2020-07-01 10:00:00"),
        (1, "2020-07-01 10:00:00"),
        (2, "2020-07-01 10:00:00"),
        (3, "2020-07-01 10:00:00.25"),
        (4, "2020-07-01 12:00:00"),
        (5, "2020-07-01 10:00:00.25"),
        (6, "2020-07-01 17:00:00"),
        (7, "2020-07-01 07:00:00"),
        (9, "2020-03-29 02:30:00"),
    ]
    assert [(line, rule) for _, _, line, rule, _ in found.aside] == [
        (10, "at: type"),
        (12, "at: type"),
        (13, "at: type"),
    ]


def test_a_datetime_of_omop_that_is_a_date_or_cannot_be_read_leaves_its_event_on_the_date_beside_it(read: Read) -> None:
    text = """person_id,condition_concept_id,condition_start_date,condition_start_datetime
1,7,2020-07-01,2020-07-01T12:30:00Z
2,7,2020-07-01,2020-07-01
3,7,2020-07-01,Jul 1 2020 12:30PM
4,7,2020-07-01,
5,7,,Jul 1 2020 12:30PM
"""
    found = read(
        {"condition_occurrence.csv": text},
        shipped("condition_occurrence"),
        midnight="date_only",
        date_only_known="end_of_day",
    )
    assert [(subject, time, known) for subject, _, time, *_, known in found.events] == [
        (1, "2020-07-01 12:30:00", None),
        (2, "2020-07-01 00:00:00", "2020-07-02 00:00:00"),
        (3, "2020-07-01 00:00:00", "2020-07-02 00:00:00"),
        (4, "2020-07-01 00:00:00", "2020-07-02 00:00:00"),
    ]
    assert [(line, rule) for _, _, line, rule, _ in found.aside] == [(6, "event: none")]
    assert found.counts["condition_occurrence"].set_missing == {"condition_start_datetime: type": 2}


def test_every_datetime_of_omop_has_its_date_beside_it_and_is_missing_where_it_cannot_be_read() -> None:
    tables = read_yaml(ROOT / "conf" / "sources" / "omop.yaml")["tables"]
    times = [(name, column) for name, table in tables.items() for column in table["columns"] if column.endswith("time")]
    assert len(times) == 14
    for name, column in times:
        assert tables[name]["columns"][column]["otherwise"] == "missing"
        assert [event for event in tables[name]["events"] if event.get("time") == column and "date" not in event] == []


def test_a_birth_that_is_no_sound_date_is_told_by_the_year_month_and_day_beside_it(read: Read) -> None:
    text = """person_id,birth_datetime,year_of_birth,month_of_birth,day_of_birth,gender_concept_id,race_concept_id,ethnicity_concept_id
1,1937-12-1,1937,12,1,8507,0,0
2,1937-12-01,1937,12,1,8507,0,0
3,1937-12-01T00:00:00Z,1937,12,1,8507,0,0
4,1937-12-1,1937,,,8507,0,0
"""
    found = read({"person.csv": text}, shipped("person"), point_zero=True)
    births = [(subject, time[:10]) for subject, code, time, *_ in found.events if code == "MEDS_BIRTH"]
    assert births == [(1, "1937-12-01"), (2, "1937-12-01"), (3, "1937-12-01"), (4, "1937-01-01")]
    assert found.aside == []
