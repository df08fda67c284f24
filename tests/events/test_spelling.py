"""How a mapped table is written: its delimiter, its encoding, and letters that nobody sees."""

import pyarrow as pa
import pytest
from support.mapped import Read

PERSON = {
    "subject": "patient",
    "columns": {"patient": "string", "sex": "string", "born": "date"},
    "events": [{"code": "SEX/{sex}"}],
}
CODED = {
    "subject": "patient",
    "columns": {"patient": "string", "at": "timestamp", "code": "string", "value": "double", "unit": "string"},
    "events": [{"code": "LAB/{code}", "time": "at", "number": "value", "unit": "unit"}],
}
HB = {"LAB/hb": {"unit": "g/L", "to_unit": {"g/L": 1, "g/dL": 10}}}


def test_a_table_may_be_written_otherwise_than_its_neighbours(read: Read) -> None:
    persons = "patient\tsex\tborn\n1\tF, of late\t1950-02-01\n"
    labs = "patient,at,code,value,unit\n# by hand\n1,2020-07-01 12:00:00,hb,'7,5',\n"
    dialect = {"quote": "'", "comment": "#", "decimal": ","}
    tables = {"person": {**PERSON, "delimiter": "\t"}, "labs": {**CODED, "dialect": dialect}}
    found = read({"person.csv": persons, "labs.csv": labs}, tables)
    assert [event[1] for event in found.events] == ["LAB/hb", "SEX/F, of late"]
    assert found.events[0][3] == 7.5
    assert found.aside == []


SPELT = [
    ("1", "hb", "g/dL"),
    ("1\u00a0", "hb ", "g/dL"),
    ("\u200b1", "hb\u00a0", "g/dL\u00a0"),
    (" 1", "h\u200bb", "g/d\u00adL"),
]
AS_SEEN = [("1", "LAB/hb", "2020-07-01 12:00:00", 140.0, None, "g/L", None)] * 4


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_code_with_a_space_that_nobody_sees_is_that_code_and_its_unit_rule_applies(read: Read, kind: str) -> None:
    rows = [
        {"patient": who, "at": "2020-07-01 12:00:00", "code": code, "value": 14.0, "unit": unit}
        for who, code, unit in SPELT
    ]
    lines = [",".join(CODED["columns"]), *(",".join(map(str, row.values())) for row in rows)]
    content = pa.Table.from_pylist(rows) if kind == "parquet" else "\n".join(lines) + "\n"
    found = read({f"labs.{kind}": content}, {"labs": CODED}, kind=kind, values=HB)
    assert (found.events, found.aside) == (AS_SEEN, [])
    letters = {f"{name}: invisible letters": 3 for name in ("code", "patient")} | {"unit: invisible letters": 2}
    assert found.counts["labs"].normalised == letters


def test_tables_of_a_mapping_may_be_in_utf_16(read: Read) -> None:
    text = "patient,at,code,value,unit\n1,2020-07-01 12:00:00,hb,14,g/dL\n"
    for at, encoding in enumerate(("utf-16", "utf-16-le")):
        content = text.encode(encoding)
        found = read(
            {f"{at}/labs.csv": content},
            {"labs": {**CODED, "files": f"{at}/*.csv"}},
            values=HB,
            encoding=encoding.replace("-le", "le"),
        )
        assert (found.events, found.aside) == (AS_SEEN[:1], [])
