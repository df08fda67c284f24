"""The hospital as FHIR bulk data: resources of the standard, of the same patients as the OMOP tables."""

import json

import pytest
from fhir.resources.R4B import get_fhir_model_class

from medspark.synth import fhir, hospital, omop

SEED, PATIENTS = 5, 40
TABLES = {
    "Patient": "person",
    "Encounter": "visit_occurrence",
    "Condition": "condition_occurrence",
    "Observation": "measurement",
    "MedicationAdministration": "drug_exposure",
}


@pytest.mark.parametrize("resource", fhir.RESOURCES)
def test_each_row_of_a_table_is_a_resource_of_the_standard(resource: str) -> None:
    frames = hospital.block(SEED, 0, PATIENTS)
    lines = fhir.lines(resource, frames)
    model = get_fhir_model_class(resource)
    assert [model.model_validate_json(line).get_resource_type() for line in lines] == [resource] * len(lines)
    rows = omop.table(TABLES[resource], frames)
    assert [json.loads(line)["id"] for line in lines] == rows.column(0).to_pylist()
    assert all(b"\n" not in line for line in lines)


def test_who_died_says_when() -> None:
    frames = hospital.block(SEED, 0, PATIENTS)
    died = [row for line in fhir.lines("Patient", frames) if "deceasedDateTime" in (row := json.loads(line))]
    assert {row["id"] for row in died} == set(omop.table("death", frames).column("person_id").to_pylist())
    assert died[0]["deceasedDateTime"].endswith("Z")
