"""The hospital as tables of the OMOP Common Data Model 5.4, all columns present. No Spark here.

Concepts above 2,000,000,000 are the hospital's own, as the model allows; the others are OMOP's standard ones.
Unlike the flat extract these tables are clean. Identifiers are 64 bits wide, times local.
https://ohdsi.github.io/CommonDataModel/cdm54.html
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from medspark.synth import hospital
from medspark.synth import vocabulary as v

Frames = dict[str, pd.DataFrame]

_OWN: Final = 2_000_000_000
_MALE, _FEMALE = 8507, 8532
_INPATIENT, _EMERGENCY = 9201, 262
_EHR: Final = 32817
_UMOL_L_CONCEPT: Final = 8749

_ACUTE: Final = {code: reason for ward in v.ACUTE.values() for code, reason in ward}
_CONDITIONS: Final = {chronic.code: chronic.name for chronic in v.CHRONIC} | _ACUTE
_CONDITION_IDS: Final = {code: _OWN + 1000 + place for place, code in enumerate(_CONDITIONS)}
_DISCHARGE_IDS: Final = {name: _OWN + 3000 + place for place, name in enumerate((*v.DISCHARGES, v.DIED))}
_DRUG_IDS: Final = _OWN + 2000


def _names(text: str) -> list[str]:
    return text.split()


COLUMNS: Final = {
    "person": _names("""
        person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime race_concept_id
        ethnicity_concept_id location_id provider_id care_site_id person_source_value gender_source_value
        gender_source_concept_id race_source_value race_source_concept_id ethnicity_source_value
        ethnicity_source_concept_id
    """),
    "observation_period": _names("""
        observation_period_id person_id observation_period_start_date observation_period_end_date
        period_type_concept_id
    """),
    "visit_occurrence": _names("""
        visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime visit_end_date
        visit_end_datetime visit_type_concept_id provider_id care_site_id visit_source_value
        visit_source_concept_id admitted_from_concept_id admitted_from_source_value discharged_to_concept_id
        discharged_to_source_value preceding_visit_occurrence_id
    """),
    "condition_occurrence": _names("""
        condition_occurrence_id person_id condition_concept_id condition_start_date condition_start_datetime
        condition_end_date condition_end_datetime condition_type_concept_id condition_status_concept_id
        stop_reason provider_id visit_occurrence_id visit_detail_id condition_source_value
        condition_source_concept_id condition_status_source_value
    """),
    "measurement": _names("""
        measurement_id person_id measurement_concept_id measurement_date measurement_datetime
        measurement_time measurement_type_concept_id operator_concept_id value_as_number value_as_concept_id
        unit_concept_id range_low range_high provider_id visit_occurrence_id visit_detail_id
        measurement_source_value measurement_source_concept_id unit_source_value unit_source_concept_id
        value_source_value measurement_event_id meas_event_field_concept_id
    """),
    "drug_exposure": _names("""
        drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_exposure_start_datetime
        drug_exposure_end_date drug_exposure_end_datetime verbatim_end_date drug_type_concept_id stop_reason
        refills quantity days_supply sig route_concept_id lot_number provider_id visit_occurrence_id
        visit_detail_id drug_source_value drug_source_concept_id route_source_value dose_unit_source_value
    """),
    "death": _names("""
        person_id death_date death_datetime death_type_concept_id cause_concept_id cause_source_value
        cause_source_concept_id
    """),
    "concept": _names("""
        concept_id concept_name domain_id vocabulary_id concept_class_id standard_concept concept_code
        valid_start_date valid_end_date invalid_reason
    """),
}
"""The columns of each table in the model's order; those without a value here are written empty."""


def table(name: str, frames: Frames) -> pa.Table:
    """One table of a block from `hospital.block`'s frames; `concept` is `concepts()`."""
    return _shaped(name, _TABLES[name](frames))


def concepts() -> pa.Table:
    """Every concept that the tables refer to, 0 included."""
    rows = [
        (0, "No matching concept", "Metadata", "None", "Undefined", "No matching concept"),
        (_MALE, "MALE", "Gender", "Gender", "Gender", "M"),
        (_FEMALE, "FEMALE", "Gender", "Gender", "Gender", "F"),
        (_INPATIENT, "Inpatient Visit", "Visit", "Visit", "Visit", "IP"),
        (_EMERGENCY, "Emergency Room and Inpatient Visit", "Visit", "Visit", "Visit", "ERIP"),
        (_EHR, "EHR", "Type Concept", "Type Concept", "Type Concept", "OMOP4976890"),
        (_UMOL_L_CONCEPT, "micromole per liter", "Unit", "UCUM", "Unit", v.UMOL_L),
        *[(lab.unit_concept_id, lab.unit, "Unit", "UCUM", "Unit", lab.unit) for lab in v.LABS],
        *[(lab.concept_id, lab.title, "Measurement", "LOINC", "Lab Test", lab.loinc) for lab in v.LABS],
        *[(_CONDITION_IDS[code], name, "Condition", "Own", "Diagnosis", code) for code, name in _CONDITIONS.items()],
        *[(_DRUG_IDS + at, drug.name, "Drug", "Own", "Drug", drug.name) for at, drug in enumerate(v.DRUGS)],
        *[(number, name, "Visit", "Own", "Visit", name) for name, number in _DISCHARGE_IDS.items()],
    ]
    names = ("concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_class_id", "concept_code")
    values: dict[str, Any] = dict(zip(names, zip(*rows, strict=True), strict=True))
    values["standard_concept"] = [None if row[0] == 0 else "S" for row in rows]
    values |= {"valid_start_date": ["1970-01-01"] * len(rows), "valid_end_date": ["2099-12-31"] * len(rows)}
    return _shaped("concept", values)


def _person(frames: Frames) -> dict[str, Any]:
    people = frames["patients"]
    born = people["born"].dt
    return {
        "person_id": people["patient_id"],
        "gender_concept_id": np.where(people["sex"] == "female", _FEMALE, _MALE),
        "year_of_birth": born.year,
        "month_of_birth": born.month,
        "day_of_birth": born.day,
        "race_concept_id": np.zeros(len(people), int),
        "ethnicity_concept_id": np.zeros(len(people), int),
        "person_source_value": people["patient_id"],
        "gender_source_value": people["sex"],
    }


def _observation_period(frames: Frames) -> dict[str, Any]:
    """From the first stay to the calendar's end, or to the death in the hospital."""
    stays = frames["admissions"].groupby("patient_id", sort=True)
    last = stays.tail(1)
    end = np.where(last["died"], _date(last["discharged_at"]), hospital.LAST_DAY)
    return {
        "observation_period_id": last["patient_id"],
        "person_id": last["patient_id"],
        "observation_period_start_date": _date(stays.head(1)["admitted_at"]),
        "observation_period_end_date": end,
        "period_type_concept_id": _ehr(last),
    }


def _visit_occurrence(frames: Frames) -> dict[str, Any]:
    stays = frames["admissions"]
    first = stays["n_prior_admissions"].to_numpy() == 0
    return {
        "visit_occurrence_id": stays["admission_id"],
        "person_id": stays["patient_id"],
        "visit_concept_id": np.where(stays["admission_type"] == "emergency", _EMERGENCY, _INPATIENT),
        "visit_start_date": _date(stays["admitted_at"]),
        "visit_start_datetime": stays["admitted_at"],
        "visit_end_date": _date(stays["discharged_at"]),
        "visit_end_datetime": stays["discharged_at"],
        "visit_type_concept_id": _ehr(stays),
        "visit_source_value": stays["admission_type"] + ": " + stays["ward"],
        "discharged_to_concept_id": stays["discharge_to"].map(_DISCHARGE_IDS),
        "discharged_to_source_value": stays["discharge_to"],
        "preceding_visit_occurrence_id": pa.array(stays["admission_id"].to_numpy() - 1, mask=first),
    }


def _condition_occurrence(frames: Frames) -> dict[str, Any]:
    """The diagnoses of a stay, dated by its discharge: that is when they are coded."""
    stays = frames["admissions"]
    codes = np.stack([stays[name].to_numpy(dtype=object) for name in v.DIAGNOSES], axis=1)
    stay, place = np.nonzero(~pd.isna(codes))
    noted, code = stays.iloc[stay], codes[stay, place]
    concept = pd.Series(code, dtype=object).map(_CONDITION_IDS)
    return {
        "condition_occurrence_id": noted["admission_id"].to_numpy() * 10 + place,
        "person_id": noted["patient_id"],
        "condition_concept_id": concept,
        "condition_start_date": _date(noted["discharged_at"]),
        "condition_start_datetime": noted["discharged_at"],
        "condition_type_concept_id": _ehr(noted),
        "visit_occurrence_id": noted["admission_id"],
        "condition_source_value": code,
        "condition_source_concept_id": concept,
        "condition_status_source_value": np.where(place == 0, "primary", "secondary"),
    }


def _measurement(frames: Frames) -> dict[str, Any]:
    """Laboratory values of a stay, from the blood drawn on arrival, in the unit they were reported in."""
    stays = frames["admissions"]
    values = stays[[lab.name for lab in v.LABS]].to_numpy()
    stay, lab = np.nonzero(~np.isnan(values))
    measured, number = stays.iloc[stay], values[stay, lab]
    micromoles = (lab == 0) & (measured["creatinine_unit"] == v.UMOL_L).to_numpy()
    return {
        "measurement_id": measured["admission_id"].to_numpy() * 10 + lab,
        "person_id": measured["patient_id"],
        "measurement_concept_id": np.array([test.concept_id for test in v.LABS])[lab],
        "measurement_date": _date(measured["admitted_at"]),
        "measurement_datetime": measured["admitted_at"],
        "measurement_type_concept_id": _ehr(measured),
        "value_as_number": number,
        "unit_concept_id": np.where(
            micromoles, _UMOL_L_CONCEPT, np.array([test.unit_concept_id for test in v.LABS])[lab]
        ),
        "visit_occurrence_id": measured["admission_id"],
        "measurement_source_value": np.array([test.name for test in v.LABS], dtype=object)[lab],
        "unit_source_value": np.where(
            micromoles, v.UMOL_L, np.array([test.unit for test in v.LABS], dtype=object)[lab]
        ),
        "value_source_value": number,
    }


def _drug_exposure(frames: Frames) -> dict[str, Any]:
    given = frames["drugs"]
    return {
        "drug_exposure_id": given["admission_id"] * 100 + given["drug"],
        "person_id": given["patient_id"],
        "drug_concept_id": _DRUG_IDS + given["drug"],
        "drug_exposure_start_date": _date(given["started_at"]),
        "drug_exposure_start_datetime": given["started_at"],
        "drug_exposure_end_date": _date(given["ended_at"]),
        "drug_exposure_end_datetime": given["ended_at"],
        "drug_type_concept_id": _ehr(given),
        "visit_occurrence_id": given["admission_id"],
        "drug_source_value": np.array([drug.name for drug in v.DRUGS], dtype=object)[given["drug"]],
    }


def _death(frames: Frames) -> dict[str, Any]:
    stays = frames["admissions"]
    dead = stays[stays["died"]]
    return {
        "person_id": dead["patient_id"],
        "death_date": _date(dead["discharged_at"]),
        "death_datetime": dead["discharged_at"],
        "death_type_concept_id": _ehr(dead),
    }


_TABLES: Final[dict[str, Callable[[Frames], dict[str, Any]]]] = {
    "person": _person,
    "observation_period": _observation_period,
    "visit_occurrence": _visit_occurrence,
    "condition_occurrence": _condition_occurrence,
    "measurement": _measurement,
    "drug_exposure": _drug_exposure,
    "death": _death,
}
TABLES: Final = tuple(_TABLES)
"""The tables made of blocks; `concept` is one for all."""


def _shaped(name: str, values: dict[str, Any]) -> pa.Table:
    rows = len(next(iter(values.values())))
    absent = pa.nulls(rows, pa.string())
    arrays = [pa.array(values[column]) if column in values else absent for column in COLUMNS[name]]
    return pa.Table.from_arrays([array.cast(pa.string()) for array in arrays], names=COLUMNS[name])


def _date(times: "pd.Series[Any]") -> Any:
    return times.to_numpy().astype("datetime64[D]")


def _ehr(frame: pd.DataFrame) -> Any:
    return np.full(len(frame), _EHR)
