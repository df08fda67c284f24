"""The hospital as FHIR R4 bulk data, made of its OMOP tables: the same patients, stays and codes. No Spark here.

Each code is told twice, in the vocabulary that a hospital has it in and as OMOP's concept. Times are the hospital's
clock, as in the OMOP tables, written as UTC's. https://hl7.org/fhir/uv/bulkdata/
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pandas as pd

from medspark.synth import omop
from medspark.synth import vocabulary as v

Frames = dict[str, pd.DataFrame]
Row = Mapping[str, str]
Resource = dict[str, Any]

OMOP_CONCEPTS: Final = "https://fhir-terminology.ohdsi.org"
_ICD10CM, _LOINC = "http://hl7.org/fhir/sid/icd-10-cm", "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_OWN_DRUGS: Final = "urn:medspark:synthetic-hospital:drugs"
_V3: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_VERIFIED: Final = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_EMERGENCY: Final = "262"
_LOINC_CODES: Final = {lab.name: lab.loinc for lab in v.LABS}


def lines(resource: str, frames: Frames) -> list[bytes]:
    """The resources of one type of a block from `hospital.block`'s frames, each a line of JSON."""
    return [json.dumps(made, separators=(",", ":")).encode() for made in _RESOURCES[resource](frames)]


def _rows(table: str, frames: Frames) -> list[Row]:
    rows: list[Row] = omop.table(table, frames).to_pylist()
    return rows


def _patients(frames: Frames) -> Iterator[Resource]:
    died = {row["person_id"]: row["death_datetime"] for row in _rows("death", frames)}
    for row in _rows("person", frames):
        month, day = int(row["month_of_birth"]), int(row["day_of_birth"])
        patient = {
            "resourceType": "Patient",
            "id": row["person_id"],
            "gender": row["gender_source_value"],
            "birthDate": f"{row['year_of_birth']}-{month:02d}-{day:02d}",
        }
        yield patient | ({"deceasedDateTime": _time(died[row["person_id"]])} if row["person_id"] in died else {})


def _encounters(frames: Frames) -> Iterator[Resource]:
    for row in _rows("visit_occurrence", frames):
        yield {
            "resourceType": "Encounter",
            "id": row["visit_occurrence_id"],
            "status": "finished",
            "class": {"system": _V3, "code": "EMER" if row["visit_concept_id"] == _EMERGENCY else "IMP"},
            "type": [{"coding": [_concept(row["visit_concept_id"])], "text": row["visit_source_value"]}],
            "subject": _subject(row),
            "period": {"start": _time(row["visit_start_datetime"]), "end": _time(row["visit_end_datetime"])},
            "hospitalization": {"dischargeDisposition": {"text": row["discharged_to_source_value"]}},
        }


def _conditions(frames: Frames) -> Iterator[Resource]:
    for row in _rows("condition_occurrence", frames):
        yield {
            "resourceType": "Condition",
            "id": row["condition_occurrence_id"],
            "verificationStatus": {"coding": [{"system": _VERIFIED, "code": "confirmed"}]},
            "code": _code(_ICD10CM, row["condition_source_value"], row["condition_concept_id"]),
            "subject": _subject(row),
            "encounter": _encounter(row),
            "recordedDate": _time(row["condition_start_datetime"]),
        }


def _observations(frames: Frames) -> Iterator[Resource]:
    for row in _rows("measurement", frames):
        unit = row["unit_source_value"]
        yield {
            "resourceType": "Observation",
            "id": row["measurement_id"],
            "status": "final",
            "category": [{"coding": [{"system": _CATEGORY, "code": "laboratory"}]}],
            "code": _code(_LOINC, _LOINC_CODES[row["measurement_source_value"]], row["measurement_concept_id"]),
            "subject": _subject(row),
            "encounter": _encounter(row),
            "effectiveDateTime": _time(row["measurement_datetime"]),
            "valueQuantity": {"value": float(row["value_as_number"]), "unit": unit, "system": _UCUM, "code": unit},
        }


def _administrations(frames: Frames) -> Iterator[Resource]:
    for row in _rows("drug_exposure", frames):
        start, end = _time(row["drug_exposure_start_datetime"]), _time(row["drug_exposure_end_datetime"])
        yield {
            "resourceType": "MedicationAdministration",
            "id": row["drug_exposure_id"],
            "status": "completed",
            "medicationCodeableConcept": _code(_OWN_DRUGS, row["drug_source_value"], row["drug_concept_id"]),
            "subject": _subject(row),
            "context": _encounter(row),
            "effectivePeriod": {"start": start, "end": end},
        }


_RESOURCES: Final[dict[str, Callable[[Frames], Iterator[Resource]]]] = {
    "Patient": _patients,
    "Encounter": _encounters,
    "Condition": _conditions,
    "Observation": _observations,
    "MedicationAdministration": _administrations,
}
RESOURCES: Final = tuple(_RESOURCES)
"""The types of resource."""


def _subject(row: Row) -> Resource:
    return {"reference": f"Patient/{row['person_id']}"}


def _encounter(row: Row) -> Resource:
    return {"reference": f"Encounter/{row['visit_occurrence_id']}"}


def _code(system: str, code: str, concept: str) -> Resource:
    return {"coding": [{"system": system, "code": code}, _concept(concept)]}


def _concept(concept: str) -> Resource:
    return {"system": OMOP_CONCEPTS, "code": concept}


def _time(text: str) -> str:
    """2024-09-08 23:49:00 as FHIR writes it."""
    return f"{text[:10]}T{text[11:19]}Z"
