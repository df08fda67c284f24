"""conf/sources/synthea.yaml on a few rows in the columns that Synthea documents."""

import pytest
from support.mapped import Read
from support.places import ROOT

from medspark.task.yaml_text import read_yaml

MAPPING = read_yaml(ROOT / "conf" / "sources" / "synthea.yaml")
FILES = {
    "patients.csv": "Id,BIRTHDATE,DEATHDATE,SSN,GENDER,RACE,ETHNICITY\n"
    "p,1950-06-01,2026-02-03,999-1,F,white,nonhispanic\nq,1960-01-02,,999-2,M,asian,hispanic\n",
    "encounters.csv": "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS,CODE,DESCRIPTION\n"
    "e,2026-01-31T12:00:00Z,2026-02-01T09:00:00Z,p,o,d,y,inpatient,185347001,Stay\n",
    "conditions.csv": "START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION\n"
    "2026-01-31,,p,e,SNOMED-CT,44054006,Diabetes\n2026-02-30,,p,e,SNOMED-CT,1,x\n",
    "medications.csv": "START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION\n"
    "2026-01-31T13:00:00Z,,p,y,e,860975,Metformin\n",
    "procedures.csv": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n2026-01-31T14:00:00Z,p,e,71651007,Mammography\n",
    "observations.csv": "DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n"
    "2026-01-31T15:00:00Z,p,e,laboratory,4548-4,HbA1c,7.2,%,numeric\n"
    "2026-01-31T15:00:00Z,p,e,survey,72166-2,Smoking,Never smoker,,text\n",
    "immunizations.csv": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST\n"
    "2026-01-31T16:00:00Z,p,e,140,Influenza,140.5\n",
    "allergies.csv": "START,STOP,PATIENT,ENCOUNTER,CODE,SYSTEM,DESCRIPTION\n"
    "2026-01-31,,p,e,91935009,SNOMED-CT,Peanut\n",
}
DAY, NEXT = "2026-01-31 00:00:00", "2026-02-01 00:00:00"
EVENTS = [
    # subject, code, time, number, text, unit, known
    ("p", "ALLERGY/91935009", DAY, None, None, None, NEXT),
    ("p", "CONDITION/SNOMED/44054006", DAY, None, None, None, NEXT),
    ("p", "DRUG/RXNORM/860975", "2026-01-31 13:00:00", None, None, None, None),
    ("p", "ETHNICITY/nonhispanic", None, None, None, None, None),
    ("p", "GENDER/F", None, None, None, None, None),
    ("p", "IMMUNIZATION/CVX/140", "2026-01-31 16:00:00", None, None, None, None),
    ("p", "MEASUREMENT/LOINC/4548-4", "2026-01-31 15:00:00", 7.2, None, "%", None),
    ("p", "MEDS_BIRTH", "1950-06-01 00:00:00", None, None, None, "1950-06-02 00:00:00"),
    ("p", "MEDS_DEATH", "2026-02-03 00:00:00", None, None, None, "2026-02-04 00:00:00"),
    ("p", "OBSERVATION/LOINC/72166-2", "2026-01-31 15:00:00", None, "Never smoker", None, None),
    ("p", "PROCEDURE/SNOMED/71651007", "2026-01-31 14:00:00", None, None, None, None),
    ("p", "RACE/white", None, None, None, None, None),
    ("p", "VISIT/inpatient", "2026-01-31 12:00:00", None, None, None, None),
    ("p", "VISIT_END/inpatient", "2026-02-01 09:00:00", None, None, None, None),
    ("q", "ETHNICITY/hispanic", None, None, None, None, None),
    ("q", "GENDER/M", None, None, None, None, None),
    ("q", "MEDS_BIRTH", "1960-01-02 00:00:00", None, None, None, "1960-01-03 00:00:00"),
    ("q", "RACE/asian", None, None, None, None, None),
]


@pytest.mark.slow
def test_each_table_of_synthea_becomes_its_events(read: Read) -> None:
    found = read(FILES, MAPPING["tables"])
    assert found.events == EVENTS
    assert [row[:4] for row in found.aside] == [("conditions", "conditions.csv", 3, "START: type")]
