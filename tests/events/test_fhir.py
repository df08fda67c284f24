# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""conf/sources/fhir.yaml: what each type of resource becomes, and what is passed over."""

import json
import re
from collections import defaultdict
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from support.mapped import Read
from support.places import ROOT

from medspark.sources.worker.views import compile_view, view_rows
from medspark.task.mapping import Mapping
from medspark.task.yaml_text import read_yaml

MAPPING = read_yaml(ROOT / "conf" / "sources" / "fhir.yaml")
SUBJECT = {
    "subject": {"reference": "Patient/p"},
    "encounter": {"reference": "https://hospital.example/fhir/Encounter/e"},
}
LOCAL = {"system": "urn:local", "code": "7"}
LOINC = {"system": "http://loinc.org", "code": "2160-0"}
ICD = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "K92.2"}
OMOP = {"system": "https://fhir-terminology.ohdsi.org", "code": "192671"}
DRUG = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1191"}]}
RACE = {
    "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
    "extension": [{"url": "ombCategory", "valueCoding": {"code": "2106-3"}}],
}
NOON = "2026-01-31T12:00:00Z"
WRONG = {"coding": [{"code": "entered-in-error"}]}


def quantity(value: float | Decimal, **more: str) -> dict[str, Any]:
    return {
        "valueQuantity": {
            "value": value,
            "unit": "mg per dL",
            "system": "http://unitsofmeasure.org",
            "code": "mg/dL",
            **more,
        }
    }


def of(kind: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, **SUBJECT, **more}


RESOURCES = [
    {"resourceType": "Patient", "id": "p", "birthDate": "1950-06", "gender": "female", "extension": [RACE], "deceasedDateTime": "2026-02"},
    {"resourceType": "Patient", "id": "q", "birthDate": "1960-01-02", "deceasedBoolean": True},
    {"resourceType": "Patient", "id": "r", "birthDate": "2026-02-30", "gender": "male"},
    {"resourceType": "Patient", "id": "s", "deceasedDateTime": "2026-01-31T23:59:60Z"},
    {"resourceType": "Encounter", "id": "e", "subject": {"reference": "urn:uuid:p"}, "status": "finished", "class": {"code": "IMP"}, "period": {"start": "2026-01-31T13:00:00.25+01:00", "end": "2026-02-03"}},
    {"resourceType": "Encounter", "id": "f", "subject": {"reference": "Patient/p"}, "status": "cancelled", "class": {"code": "IMP"}, "period": {"start": NOON}},
    {"resourceType": "Encounter", "id": "g", "subject": {"reference": "Patient/p"}, "status": "finished", "class": {"code": "IMP"}, "period": {"start": NOON, "end": "2026-02-29"}},
    of("Condition", id="1", code={"coding": [ICD, OMOP]}, recordedDate=NOON),
    of("Condition", id="2", code={"coding": [LOCAL, {**ICD, "userSelected": True}]}, onsetDateTime="2025", recordedDate=NOON),
    of("Condition", id="3", code={"text": "unwell"}, onsetPeriod={"start": "2025-11"}),
    of("Condition", id="4", code={"coding": [ICD]}, recordedDate=NOON, verificationStatus=WRONG),
    of("Condition", id="5", code={"coding": [ICD]}),
    of("Observation", id="1", status="final", code={"coding": [LOCAL, LOINC]}, effectiveDateTime=NOON, issued="2026-01-31T14:00:00Z", **quantity(5, comparator="<")),
    of("Observation", id="2", status="final", code={"coding": [LOCAL]}, effectivePeriod={"start": NOON}, valueCodeableConcept={"coding": [{"code": "pos"}], "text": "positive"}),
    of("Observation", id="3", status="final", category=[{"coding": [{"code": "vital-signs"}]}], code={"coding": [LOCAL]}, effectiveInstant=NOON, component=[{"code": {"coding": [{**LOINC, "code": "8480-6"}]}, **quantity(120)}, {"code": {"coding": [LOINC]}, "valueString": "not heard"}]),
    of("Observation", id="4", status="final", code={"coding": [LOCAL]}, effectiveDateTime=NOON, valueBoolean=True),
    of("Observation", id="5", status="final", code={"coding": [LOINC]}, effectiveDateTime=NOON, valueInteger=3),
    of("Observation", id="6", status="cancelled", code={"coding": [LOINC]}, effectiveDateTime=NOON),
    of("Observation", id="7", meta={"lastUpdated": NOON}, status="final", code={"coding": [LOINC]}, effectiveDateTime=NOON, **quantity(8)),
    of("Observation", id="7", meta={"lastUpdated": "2026-02-01T12:00:00Z"}, status="entered-in-error", code={"coding": [LOINC]}, effectiveDateTime=NOON, **quantity(8)),
    of("MedicationRequest", id="1", status="active", medicationCodeableConcept=DRUG, authoredOn=NOON),
    of("MedicationRequest", id="2", status="active", contained=[{"resourceType": "Medication", "id": "own", "code": DRUG}], medicationReference={"reference": "#own"}, authoredOn="2026-01-30"),
    of("MedicationRequest", id="3", status="active", medicationReference={"reference": "Medication/17"}, authoredOn=NOON),
    of("MedicationRequest", id="4", status="active", doNotPerform=True, medicationCodeableConcept=DRUG, authoredOn=NOON),
    {**of("MedicationAdministration", id="1", status="completed", medicationCodeableConcept=DRUG, effectivePeriod={"start": NOON}, dosage={"dose": {"value": 500, "unit": "mg"}}), "context": {"reference": "Encounter/e"}},
    of("Procedure", id="1", status="completed", code={"coding": [{"system": "http://snomed.info/sct", "code": "5"}]}, performedDateTime=NOON),
    of("Procedure", id="2", status="not-done", code={"coding": [LOCAL]}, performedDateTime=NOON),
    of("Procedure", status="completed", code={"coding": [LOCAL]}, performedDateTime=NOON),
    of("Procedure", status="completed", code={"coding": [LOCAL]}, performedDateTime="2026-02"),
    {"resourceType": "Immunization", "id": "1", "status": "completed", "patient": {"reference": "Patient/p"}, "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]}, "occurrenceDateTime": NOON},
    {"resourceType": "AllergyIntolerance", "id": "1", "patient": {"reference": "Patient/p"}, "code": {"coding": [{"code": "nuts"}]}, "recordedDate": NOON},
    {"resourceType": "AllergyIntolerance", "id": "2", "patient": {"reference": "Patient/p"}, "code": {"coding": [{"code": "milk"}]}},
    of("DiagnosticReport", id="1", status="final", code={"coding": [LOINC]}, effectiveDateTime="2026-01-31", issued="2026-02-04T00:00:00Z"),
]  # fmt: skip

AT = "2026-01-31 12:00:00"
EVENTS = [
    # subject, code, time, number, text, unit, known
    ("p", "ALLERGY/local/nuts",        AT,                    None,  None,        None,    None),
    ("p", "CONDITION/0",               "2025-11-01 00:00:00", None,  None,        None,    "2025-12-01 12:00:00"),
    ("p", "CONDITION/192671",          AT,                    None,  None,        None,    AT),
    ("p", "CONDITION/ICD10CM/K92.2",   "2025-01-01 00:00:00", None,  None,        None,    AT),
    ("p", "DRUG/RXNORM/1191",          AT,                    500.0, None,        "mg",    None),
    ("p", "DRUG_ORDER/Medication/17",  AT,                    None,  None,        None,    None),
    ("p", "DRUG_ORDER/RXNORM/1191",    "2026-01-30 00:00:00", None,  None,        None,    "2026-01-31 00:00:00"),
    ("p", "DRUG_ORDER/RXNORM/1191",    AT,                    None,  None,        None,    None),
    ("p", "GENDER/female",             None,                  None,  None,        None,    None),
    ("p", "IMMUNIZATION/CVX/207",      AT,                    None,  None,        None,    None),
    ("p", "MEASUREMENT/LOINC/2160-0",  AT,                    5.0,   "<5",        "mg/dL", "2026-01-31 14:00:00"),
    ("p", "MEASUREMENT/LOINC/2160-0",  AT,                    3.0,   None,        None,    None),
    ("p", "MEASUREMENT/LOINC/2160-0",  AT,                    None,  "not heard", None,    None),
    ("p", "MEASUREMENT/LOINC/8480-6",  AT,                    120.0, None,        "mg/dL", None),
    ("p", "MEDS_BIRTH",                "1950-06-01 00:00:00", None,  None,        None,    "1950-06-02 00:00:00"),
    ("p", "MEDS_DEATH",                "2026-02-01 00:00:00", None,  None,        None,    "2026-03-01 12:00:00"),
    ("p", "OBSERVATION/urn:local/7",   AT,                    None,  "pos",       None,    None),
    ("p", "OBSERVATION/urn:local/7",   AT,                    None,  "true",      None,    None),
    ("p", "PROCEDURE/SNOMED/5",        AT,                    None,  None,        None,    None),
    ("p", "RACE/2106-3",               None,                  None,  None,        None,    None),
    ("p", "REPORT/LOINC/2160-0",       "2026-01-31 00:00:00", None,  None,        None,    "2026-02-04 00:00:00"),
    ("p", "VISIT/IMP",                 "2026-01-31 12:00:00.25", None, None,      None,    None),
    ("p", "VISIT_END/IMP",             "2026-02-03 00:00:00", None,  None,        None,    "2026-02-04 00:00:00"),
    ("q", "MEDS_BIRTH",                "1960-01-02 00:00:00", None,  None,        None,    "1960-01-03 00:00:00"),
    ("r", "GENDER/male",               None,                  None,  None,        None,    None),
]  # fmt: skip
NO_EVENTS = {
    "encounter": {"did not happen": 1},
    "condition": {"entered in error": 1},
    "observation": {"entered in error": 1, "no result": 1},
    "medication_request": {"not ordered": 1},
    "procedure": {"not done": 1},
    "allergy_intolerance": {"undated": 1},
}


@pytest.mark.parametrize("table", ["condition", "allergy_intolerance"])
@pytest.mark.parametrize("word", ["entered-in-error", "refuted"])
def test_what_never_was_is_told_by_any_of_the_codings_of_its_status(table: str, word: str) -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    status = {"coding": [{"system": "urn:epic", "code": "9"}, {"system": system, "code": word}]}
    assert view_of(table, id="1", verificationStatus=status)["status"] == word


@pytest.mark.parametrize(("value", "bound"), [(5, 5), (Decimal("1.50"), Decimal("1.50"))])
def test_what_a_comparator_compares_with_stays_as_it_is_written(value: Any, bound: Any) -> None:
    assert view_of("observation", id="1", **quantity(value, comparator="<"))["bound"] == bound
    assert view_of("observation", id="1", **quantity(value))["bound"] is None


def test_a_date_is_one_that_the_calendar_has() -> None:
    possible = re.compile(MAPPING["tables"]["patient"]["columns"]["born"]["matches"])
    for text in ("".join(parts) for parts in product(YEARS, MONTHS, DAYS)):
        assert (possible.fullmatch(text) is not None) == is_day(text), text


YEARS = ["1870", "1896", "1900", "1999", "2000", "2024", "2025", "2026", "2096", "2098", "2100", "2200", "2298"]
MONTHS = [f"-{month:02d}" for month in range(14)]
DAYS = [f"-{day:02d}" for day in range(33)]


def is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("text", "is_time"),
    [
        ("2026",                                  True),
        ("2026-12",                               True),
        ("2026-13",                               False),
        ("1869",                                  False),
        ("2300-01-01",                            False),
        ("2026-01-31T23:59Z",                     True),
        ("2026-01-31T23:59:59.123456789-03:30",   True),
        ("2024-02-29T00:00:00+14:00",             True),
        ("2026-02-29T00:00:00Z",                  False),
        ("2026-01-31T24:00:00Z",                  False),
        ("2026-01-31T23:59:60Z",                  False),
        ("2026-01-31T23:59:59",                   False),
        ("2026-01-31T23:59:59.Z",                 False),
        ("2026-01-31T23:59:59+15:00",             False),
    ],
)  # fmt: skip
def test_a_time_is_one_that_a_clock_shows_and_has_its_zone(text: str, is_time: bool) -> None:
    assert (re.fullmatch(MAPPING["tables"]["patient"]["columns"]["at"]["matches"], text) is not None) == is_time


def view_of(table: str, **resource: Any) -> dict[str, Any]:
    """The one row that a resource becomes."""
    view = Mapping.model_validate(MAPPING).tables[table].view
    assert view is not None
    (row,) = view_rows(compile_view(view), {"resourceType": view.resource, **resource})
    return row


@pytest.mark.slow
def test_each_type_of_resource_becomes_its_events(read: Read) -> None:
    files = defaultdict(list)
    for at, resource in enumerate(RESOURCES):
        files[f"{resource['resourceType']}.{at % 2:03d}.ndjson"].append(json.dumps(resource))
    rest = {name: value for name, value in MAPPING.items() if name not in ("mapping", "title", "tables")}
    found = read({name: "\n".join(lines) for name, lines in files.items()}, MAPPING["tables"], kind="fhir", **rest)
    assert found.events == sorted(EVENTS, key=repr)
    assert {name: table.non_events for name, table in found.counts.items() if table.non_events} == NO_EVENTS
    assert [(row[0], row[3], json.loads(row[4]).get("id")) for row in found.aside] == [
        ("condition", "event: none", "5"),  # nobody knows since when
        ("encounter", "ended: pattern", "g"),
        ("observation", "duplicate", "7"),  # the newer one takes it back
        ("patient", "at: pattern", "s"),
        ("procedure", "id: required", None),
        ("procedure", "id: required", None),
    ]
    assert found.counts["patient"].set_missing == {"born: pattern": 1}
