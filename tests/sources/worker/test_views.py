# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Views of SQL on FHIR: which rows a resource becomes, and what is wrong with a view, without Spark."""

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from medspark.schemas import RECORD_RULE, TEXT
from medspark.sources.record_rules import BAD_JSON, OTHER_RESOURCE
from medspark.sources.worker import views
from medspark.sources.worker.views import compile_view, flatten, view_rows
from medspark.task.view import AnyView, View, view_problems

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "birthDate": "1970-06",
    "name": [
        {"use": "official", "family": "Ames", "given": ["Ann", "Bo"]},
        {"use": "nickname", "family": "Amy"},
    ],
    "contact": [{"telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b"}]}, {}],
    "contained": [{"resourceType": "Organization", "id": "own", "name": "Ward"}],
    "managingOrganization": {"reference": "#own"},
    "link": [{"other": {"reference": "https://hospital.example/fhir/Patient/p2/_history/3"}}],
    "extension": [{"url": "urn:sex", "valueCode": "F"}],
}
LAB = {
    "resourceType": "Observation",
    "id": "o1",
    "valueQuantity": {"value": Decimal("1.20"), "comparator": "<", "code": "mg/dL"},
    "effectiveDateTime": "2026-01-31",
}
FORM = {
    "resourceType": "QuestionnaireResponse",
    "id": "q1",
    "item": [
        {"linkId": "1", "item": [{"linkId": "1.1", "answer": [{"item": [{"linkId": "1.1.1"}]}]}]},
        {"linkId": "2"},
    ],
}


def of(*select: dict[str, Any], resource: str = "Patient", **more: Any) -> View:
    return TypeAdapter(AnyView).validate_python({"resource": resource, "select": list(select), **more})


def columns(**paths: str) -> dict[str, Any]:
    return {"column": [{"name": name, "path": path} for name, path in paths.items()]}


def rows(view: View, resource: dict[str, Any]) -> list[dict[str, Any]]:
    assert list(view_problems(view)) == []
    return view_rows(compile_view(view), resource)


FAMILY = columns(family="family")
EACH_NAME = {"forEach": "name", **columns(use="use")}

CASES = [
    ("columns beside one another",       PATIENT, of(columns(id="id"), columns(sex="extension('urn:sex').value.ofType(code)")), [{"id": "p1", "sex": "F"}]),
    ("a row for each element",           PATIENT, of(columns(id="id"), {"forEach": "name", **FAMILY}), [{"id": "p1", "family": "Ames"}, {"id": "p1", "family": "Amy"}]),
    ("none for each of nothing",         PATIENT, of(columns(id="id"), {"forEach": "photo", **columns(url="url")}), []),
    ("a row of nothing",                 PATIENT, of(columns(id="id"), {"forEachOrNull": "photo", **columns(url="url")}), [{"id": "p1", "url": None}]),
    ("each within each",                 PATIENT, of({"forEach": "contact", **columns(at="%rowIndex"), "select": [{"forEach": "telecom", **columns(value="value", part="%rowIndex")}]}), [{"at": 0, "value": "1", "part": 0}, {"at": 0, "value": "a@b", "part": 1}]),
    ("each beside each",                 PATIENT, of(EACH_NAME, {"forEach": "contact.telecom", **columns(system="system")}), [{"use": use, "system": system} for use in ("official", "nickname") for system in ("phone", "email")]),
    ("rows under one another",           PATIENT, of({"unionAll": [{"forEach": "name", **columns(word="family")}, {"forEach": "contact.telecom", **columns(word="value")}]}), [{"word": word} for word in ("Ames", "Amy", "1", "a@b")]),
    ("what is nested to any depth",      FORM,    of({"repeat": ["item", "answer.item"], **columns(link="linkId")}, resource="QuestionnaireResponse"), [{"link": link} for link in ("1", "1.1", "1.1.1", "2")]),
    ("several values in one",            PATIENT, of({"column": [{"name": "given", "path": "name.given", "collection": True}]}), [{"given": ["Ann", "Bo"]}]),
    ("texts joined",                     PATIENT, of(columns(given="name.given.join(' ')")), [{"given": "Ann Bo"}]),
    ("a constant",                       PATIENT, of(columns(family="name.where(use = %use).family"), constant=[{"name": "use", "valueString": "official"}]), [{"family": "Ames"}]),
    ("a condition that is met",          PATIENT, of(columns(id="id"), where=[{"path": "active and name.exists()"}]), [{"id": "p1"}]),
    ("one that is not",                  PATIENT, of(columns(id="id"), where=[{"path": "active"}, {"path": "deceased.exists()"}]), []),
    ("another type of resource",         LAB,     of(columns(id="id")), []),
    ("a choice of types",                LAB,     of(columns(value="value.ofType(Quantity).value", text="value.ofType(string)", day="effective.ofType(dateTime)"), resource="Observation"), [{"value": Decimal("1.20"), "text": None, "day": "2026-01-31"}]),
    ("references and keys",              PATIENT, of(columns(own="getResourceKey()", other="link.other.getReferenceKey(Patient)", none="link.other.getReferenceKey(Group)")), [{"own": "p1", "other": "p2", "none": None}]),
    ("a resource that is contained",     PATIENT, of(columns(ward="managingOrganization.resolve().name", key="managingOrganization.getReferenceKey()")), [{"ward": "Ward", "key": None}]),
    ("the ends of a month",              PATIENT, of(columns(first="birthDate.lowBoundary()", last="birthDate.highBoundary()")), [{"first": "1970-06-01", "last": "1970-06-30"}]),
    ("the ends of a day, on earth",      LAB,     of(columns(first="effective.ofType(dateTime).lowBoundary()", last="effective.ofType(dateTime).highBoundary()"), resource="Observation"), [{"first": "2026-01-31T00:00:00.000+14:00", "last": "2026-01-31T23:59:59.999-12:00"}]),
    ("the ends of a decimal",            LAB,     of(columns(least="value.ofType(Quantity).value.lowBoundary()"), resource="Observation"), [{"least": Decimal("1.195")}]),
    ("a path behind where(...)",         PATIENT, of(columns(family="name.where(use = 'old').combine(name).first().family")), [{"family": "Ames"}]),
    ("words for people",                 PATIENT, of({"column": [{"name": "id", "path": "id", "type": "id", "description": "its id"}]}, status="active", title="Patients"), [{"id": "p1"}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "view", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_view_makes_these_rows(resource: dict[str, Any], view: View, expected: list[dict[str, Any]]) -> None:
    assert rows(view, resource) == expected


def test_the_rows_of_lines_are_in_batches_that_hold_so_much_of_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row has its line's text: 1,000 rows of 75 kB a line, and 100 such lines, are no longer Arrow's text."""
    lines = [json.dumps(PATIENT, default=float), "{", json.dumps(FORM), "{}"]
    monkeypatch.setattr(views, "MOST_TEXT", len(lines[0]) + 1)
    view = of(EACH_NAME)
    given = pa.RecordBatch.from_pydict({TEXT: lines, RECORD_RULE: pa.nulls(len(lines), pa.string())})
    made = list(flatten(view, (TEXT, RECORD_RULE), iter([given])))
    assert [batch.num_rows for batch in made] == [1, 2, 2]
    assert [tuple(row.values()) for batch in made for row in batch.to_pylist()] == [
        (lines[0], None,             0,    "official"),
        (lines[0], None,             1,    "nickname"),
        (lines[1], BAD_JSON,         None, None),
        (lines[2], OTHER_RESOURCE,   None, None),
        (lines[3], OTHER_RESOURCE,   None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "view",
    [
        of(columns(family="name.family")),
        of(columns(id="id"), where=[{"path": "name.family"}]),
        of(columns(id="id"), where=[{"path": "id"}]),
    ],
)
def test_several_values_for_one_and_a_condition_without_a_truth_are_errors(view: View) -> None:
    with pytest.raises(ValueError, match="expected"):
        rows(view, PATIENT)


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (of(columns(a="@@")),                          "path '@@': expected FHIRPath, received something else at character 1"),
        (of(columns(a="name..family")),                "path 'name..family': expected FHIRPath, received something else at character 6"),
        (of(columns(a="name family")),                 "path 'name family': expected FHIRPath, received something else at character 6"),
        (of(columns(a="name.frist()")),                "path 'name.frist()': no function 'frist'. Did you mean 'first'?"),
        (of(columns(a="name.where(use = %use)")),      "path 'name.where(use = %use)': no constant 'use'."),
        (of(columns(a="id"), columns(a="id")),         "column 'a' is there 2 times"),
    ],
)  # fmt: skip
def test_what_no_row_could_be_made_by_is_said(view: View, problem: str) -> None:
    assert list(view_problems(view)) == [problem]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"unionAll": [columns(a="id"), columns(b="id")]},        "expected unionAll of the same columns, a, received b"),
        ({"forEach": "name", "repeat": ["item"], **columns(a="id")}, "expected one of forEach, forEachOrNull and repeat"),
        ({"forEach": "name"},                                     "expected at least one column, received none"),
    ],
)  # fmt: skip
def test_a_select_that_is_no_table_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        of(given)


# ---------------------------------------------------------------- the standard's own tests


def suite() -> Iterator[Any]:
    """The tests that SQL on FHIR publishes, from MEDSPARK_SQL_ON_FHIR or MEDSPARK_DATA/sql_on_fhir."""
    place = os.environ.get("MEDSPARK_SQL_ON_FHIR") or f"{os.environ.get('MEDSPARK_DATA', '')}/sql_on_fhir"
    for file in sorted(Path(place).glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        for case in found["tests"]:
            yield pytest.param(case, found["resources"], id=f"{file.stem}: {case['title']}")


def as_text(table: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, default=float) for row in table)


@pytest.mark.data
@pytest.mark.parametrize(
    ("case", "resources"),
    list(suite())
    or [pytest.param({}, [], marks=pytest.mark.skip("SQL on FHIR's tests are not in MEDSPARK_SQL_ON_FHIR"))],
)
def test_the_standards_own_tests_pass(case: dict[str, Any], resources: list[dict[str, Any]]) -> None:
    plain = json.loads(json.dumps(case["view"], default=float))
    if case.get("expectError"):
        with pytest.raises((ValidationError, ValueError, AssertionError)):
            _all_rows(plain, resources)
        return
    view, found = _all_rows(plain, resources)
    assert as_text(found) == as_text(case["expect"])
    assert list(view.names) == case.get("expectColumns", list(view.names))


def _all_rows(plain: dict[str, Any], resources: list[dict[str, Any]]) -> tuple[View, list[dict[str, Any]]]:
    view = TypeAdapter(AnyView).validate_python(plain)
    return view, [row for resource in resources for row in rows(view, resource)]
