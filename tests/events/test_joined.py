"""Columns of another table's row that has the same key: the time of a diagnosis is the end of its stay."""

import pytest
from support.mapped import Read

from medspark.errors import InputError

STAYS = {
    "subject": "patient",
    "columns": {"patient": "long", "stay": "long", "left": "timestamp", "void": "string"},
    "skip": [{"name": "void", "when": "void = 'x'", "because": "it was entered by mistake"}],
    "events": [{"code": "STAY_END", "time": "left"}],
}
DIAGNOSES = {
    "subject": "patient",
    "columns": {"patient": "long", "stay": "long", "code": "string"},
    "joined": {"stays": {"same": ["patient", "stay"], "columns": "left"}},
    "events": [{"code": "DX/{code}", "time": "left"}],
}
TABLES = {"stays": STAYS, "diagnoses": DIAGNOSES}
STAYS_CSV = """patient,stay,left,void
1,10,2026-01-05 09:00:00,
2,20,2026-02-30 09:00:00,
3,,2026-03-01 09:00:00,
4,40,2026-04-01 09:00:00,x
"""
DIAGNOSES_CSV = """stay,code,patient
10,I50,1
10,E11,1
 10,J18,1
99,I50,1
20,I50,2
,I50,3
40,I50,4
10,I50,5
"""


@pytest.fixture
def found(read: Read):
    return read({"stays.csv": STAYS_CSV, "diagnoses.csv": DIAGNOSES_CSV}, TABLES)


def test_a_row_has_the_columns_of_the_row_with_its_key(found) -> None:
    known = [event[:3] for event in found.events if event[1] != "STAY_END"]
    assert known == [
        (1, "DX/E11", "2026-01-05 09:00:00"),
        (1, "DX/I50", "2026-01-05 09:00:00"),
        (1, "DX/J18", "2026-01-05 09:00:00"),  # the key is read as any value
    ]


def test_a_row_that_does_not_count_gives_nothing_and_the_other_rows_own_text_is_kept(found) -> None:
    assert [row for row in found.aside if row[0] == "diagnoses"] == [
        ("diagnoses", "diagnoses.csv", 5, "event: none", "99,I50,1"),  # no stay has the key
        ("diagnoses", "diagnoses.csv", 6, "event: none", "20,I50,2"),  # the stay is in quarantine
        ("diagnoses", "diagnoses.csv", 7, "event: none", ",I50,3"),  # no key meets no key
        ("diagnoses", "diagnoses.csv", 8, "event: none", "40,I50,4"),  # the stay is passed over
        ("diagnoses", "diagnoses.csv", 9, "event: none", "10,I50,5"),  # the stay is another patient's
    ]


def test_two_rows_of_one_key_that_differ_are_refused_and_two_alike_are_one(read: Read) -> None:
    alike = STAYS_CSV + "1,10,2026-01-05 09:00:00,\n"
    found = read({"stays.csv": alike, "diagnoses.csv": "patient,stay,code\n1,10,I50\n"}, TABLES)
    assert [event[1] for event in found.events if event[1] != "STAY_END"] == ["DX/I50"]
    with pytest.raises(InputError, match=r"the same patient, stay: .* several that differ for 1 keys"):
        read({"stays.csv": alike + "1,10,2026-01-06 09:00:00,\n"}, TABLES)


def test_a_table_that_is_not_there_is_named(read: Read) -> None:
    tables = {"stays": {**STAYS, "optional": True}, "diagnoses": DIAGNOSES}
    with pytest.raises(InputError, match="'diagnoses' takes columns of 'stays': expected that table too"):
        read({"diagnoses.csv": DIAGNOSES_CSV}, tables)
