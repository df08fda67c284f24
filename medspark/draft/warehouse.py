"""A warehouse known by its tables, and a task on the mapping that is shipped for it; every guess marked. No Spark."""

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.draft.task_file import flow, task_name
from medspark.errors import InputError, TaskError
from medspark.task.shipped import SHIPPED
from medspark.task.yaml_text import read_yaml

OMOP_EVENTS: Final = {
    "condition_occurrence": "CONDITION/",
    "drug_exposure": "DRUG/",
    "procedure_occurrence": "PROCEDURE/",
    "device_exposure": "DEVICE/",
    "observation": "OBSERVATION/",
    "measurement": "MEASUREMENT/",
}
"""How the codes of a table begin, by the shipped mapping."""

FHIR_EVENTS: Final = {
    "condition": ["CONDITION/"],
    "medication_request": ["DRUG_ORDER/"],
    "medication_administration": ["DRUG/"],
    "procedure": ["PROCEDURE/"],
    "immunization": ["IMMUNIZATION/"],
    "allergy_intolerance": ["ALLERGY/"],
    "diagnostic_report": ["REPORT/"],
    "observation": ["OBSERVATION/", "MEASUREMENT/"],
}
"""The same of a table of FHIR's mapping."""
SYNTHEA_EVENTS: Final = {
    "conditions": ["CONDITION/"],
    "medications": ["DRUG/"],
    "procedures": ["PROCEDURE/"],
    "immunizations": ["IMMUNIZATION/"],
    "allergies": ["ALLERGY/"],
    "observations": ["OBSERVATION/", "MEASUREMENT/"],
}
"""The same of a table of Synthea's."""

MIMIC_EVENTS: Final = {
    "diagnoses_icd": ["DIAGNOSIS/"],
    "procedures_icd": ["PROCEDURE/"],
    "prescriptions": ["DRUG/"],
    "labevents": ["LAB/"],
}
"""The same of the tables of MIMIC-III and MIMIC-IV that are of the whole hospital."""
_NUMBERS: Final = ("MEASUREMENT/", "LAB/")
"""Those that are read as numbers."""

UNOBSERVED: Final = ("fhir", "meds", "mimic_iii", "mimic_iv", "synthea")
"""Mappings that tell no period of observation. To them whoever does not come again is lost, and with `keep_outcomes`
mostly those who did would stay."""

EICU: Final = {"vitalperiodic", "apachepatientresult", "admissiondx"}
"""Tables by which eICU is known beside `patient`."""

DEMO_OF_MIMIC: Final = (
    "expected SUBJECT_ID in the header of MIMIC-III's patients, as its full data set has it; the demo's columns are in "
    "small letters. Copy conf/sources/mimic_iii.yaml with its columns in small letters, and name it in source.mapping"
)
EICU_TELLS_NO_DATES: Final = (
    "it has the tables of eICU, for which no mapping is shipped: they tell minutes since a stay began, and of a "
    "patient's stays in one year not which was first, so that what came later would be taken for the past. Bring one "
    "stay of each patient into MEDS, or write a mapping, as docs/warehouses.md says"
)

SAMPLE: Final = 1_000_000
"""Events of a MEDS dataset that are looked at."""
FEWEST: Final = 11
"""Patients that have a kind of code, for it to be named."""
_NUMBER: Final = "numeric_value"
_LEFT: Final = re.compile(r"(HOSPITAL_)?DISCHARGE|(VISIT|ENCOUNTER)_END")
_CAME: Final = re.compile(r"(HOSPITAL_)?ADMISSION|VISIT|VISIT_START|ENCOUNTER|ENCOUNTER_START")


class Found(NamedTuple):
    """A warehouse, and what its task may read."""

    mapping: str
    title: str
    format: str
    discharge: str | None
    """What a discharge's codes are or, with a slash at the end, how they begin; None where none is known."""
    admission: str | None
    """The same of an admission."""
    codes: list[str]
    """How the codes begin that are read as being there."""
    numbers: list[str]
    """And of those that are read as numbers."""
    observed: bool = True
    """Whether the tables of periods of observation that its mapping knows are there."""


def look_at_warehouse(folder: Path) -> Found:
    """Which layout a folder has, by its tables.

    Raises:
        InputError: it is no folder of this machine, lacks a table that its mapping needs, or has no known layout.
        TaskError: there is no mapping for its layout.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of a warehouse's tables on this machine, received none")
    tables = _tables(folder)
    if "person" in tables and (OMOP_EVENTS.keys() | {"visit_occurrence"}) & tables.keys():
        return _omop(folder, tables)
    events = sorted((folder / "data").rglob("*.parquet"))
    if events and {"subject_id", "time", "code"} <= set(pq.read_schema(events[0]).names):
        return _meds(events)
    resources = _fhir_tables(folder)
    if "patient" in resources and (FHIR_EVENTS.keys() | {"encounter"}) & resources:
        return _fhir(resources)
    csv = {name for name, place in tables.items() if ".csv" in place.suffixes}
    if {"patients", "encounters"} <= csv and SYNTHEA_EVENTS.keys() & csv:
        heads = [head for name, found in SYNTHEA_EVENTS.items() if name in csv for head in found]
        return _with_visits("synthea", "Synthea", "csv", "inpatient", heads)
    is_fourth = "hosp" in tables and tables["hosp"].is_dir()
    mimic = _tables(tables["hosp"]) if is_fourth else tables
    if {"patients", "admissions"} <= mimic.keys() and (MIMIC_EVENTS.keys() | {"icustays"}) & mimic.keys():
        return _mimic(mimic, is_fourth)
    if "patient" in csv and csv & EICU:
        raise TaskError(str(folder), [EICU_TELLS_NO_DATES])
    seen = ", ".join(sorted(tables)[:12]) or "nothing"
    raise InputError(
        f"{folder}: expected the tables of OMOP (person, visit_occurrence ...), of MEDS (data/*.parquet with "
        "subject_id, time, code) or FHIR's bulk data (Patient.ndjson, Encounter.ndjson ...), received "
        f"{seen}. For one table with a row per case leave --warehouse out."
    )


def _mimic(tables: dict[str, Path], is_fourth: bool) -> Found:
    patients = tables["patients"]
    kind = "csv" if ".csv" in patients.suffixes else "parquet"
    if not is_fourth and kind == "csv" and b"SUBJECT_ID" not in _first_line(patients):
        raise TaskError(str(patients), [DEMO_OF_MIMIC])
    heads = [head for name, found in MIMIC_EVENTS.items() if name in tables for head in found]
    name, title = ("mimic_iv", "MIMIC-IV") if is_fourth else ("mimic_iii", "MIMIC-III")
    return _with_visits(name, title, kind, "", heads)


def _first_line(file: Path) -> bytes:
    with pa.input_stream(file, compression="detect") as stream:
        return bytes(stream.read(4096)).split(b"\n", 1)[0]


def _tables(folder: Path) -> dict[str, Path]:
    """The files and folders by their name without its endings, in small letters."""
    found = {}
    for place in sorted(folder.iterdir()):
        if not place.name.startswith((".", "_")):
            found[place.name.split(".", 1)[0].lower()] = place
    return found


def _omop(folder: Path, tables: dict[str, Path]) -> Found:
    person = tables["person"]
    parts = [person] if person.is_file() else sorted(person.rglob("*.*"))
    ends = {end for part in parts for end in part.suffixes} & {".csv", ".parquet", ".orc"}
    if len(ends) != 1:
        raise InputError(f"{person}: expected files of one kind, .csv, .parquet or .orc, received {sorted(ends)}")
    visits = "visit_occurrence" in tables
    heads = [head for name, head in OMOP_EVENTS.items() if name in tables]
    found = _with_visits("omop", "OMOP Common Data Model", ends.pop().removeprefix("."), "" if visits else None, heads)
    return found._replace(observed="observation_period" in tables)


def _fhir_tables(folder: Path) -> set[str]:
    """The tables of FHIR's mapping that NDJSON files of a folder are named as."""
    mapped = read_yaml(SHIPPED / "sources" / "fhir.yaml")["tables"]
    names = [place.name for place in folder.iterdir() if ".ndjson" in place.name]
    return {table for table, spec in mapped.items() if fnmatch.filter(names, spec["files"])}


def _fhir(tables: set[str]) -> Found:
    heads = [head for name, found in FHIR_EVENTS.items() if name in tables for head in found]
    return _with_visits("fhir", "FHIR R4 bulk data", "fhir", "" if "encounter" in tables else None, heads)


def _with_visits(mapping: str, title: str, form: str, visit: str | None, heads: list[str]) -> Found:
    """A layout in which a stay is a visit and its end: of one kind, of any where that is empty, or of none."""
    return Found(
        mapping,
        title,
        form,
        None if visit is None else f"VISIT_END/{visit}",
        None if visit is None else f"VISIT/{visit}",
        [head for head in heads if head not in _NUMBERS],
        [head for head in heads if head in _NUMBERS],
    )


def _meds(files: list[Path]) -> Found:
    heads = _heads(files)
    plain = {head.rstrip("/") for head in heads}
    read = [head for head in heads if head.endswith("/") and not head.startswith("MEDS_")]
    numbers = [head for head in read if heads[head]]
    left, came = (next(filter(known.fullmatch, sorted(plain)), None) for known in (_LEFT, _CAME))
    as_told = {head.rstrip("/"): head for head in sorted(heads, reverse=True)}  # the code itself before what begins so
    return Found(
        "meds",
        "Medical Event Data Standard",
        "parquet",
        as_told[left] if left is not None else None,
        as_told[came] if came is not None else None,
        [head for head in read if head not in numbers],
        numbers,
    )


def _heads(files: list[Path]) -> dict[str, bool]:
    """What codes are, or with a slash how they begin, of FEWEST patients at least; whether most have a number."""
    parts, rows = [], 0
    for file in files:
        wanted = [name for name in ("subject_id", "code", _NUMBER) if name in pq.read_schema(file).names]
        for batch in pq.ParquetFile(file).iter_batches(columns=wanted, batch_size=SAMPLE):
            number = batch.column(_NUMBER) if _NUMBER in wanted else pa.nulls(len(batch), pa.float32())
            columns = {"subject": batch.column("subject_id"), "code": batch.column("code").cast(pa.string())}
            parts.append(pa.table(columns | {"number": number.is_valid()}))
            rows += len(batch)
            break  # a part of each file says more than the whole of the first
        if rows >= SAMPLE:
            break
    seen = pa.concat_tables(parts).to_pandas().dropna(subset=["code"])
    seen["head"] = seen["code"].str.replace(r"/.*", "/", regex=True)
    found = seen.groupby("head").agg(patients=("subject", "nunique"), number=("number", "mean"))
    return {str(row.Index): row.number > 0.5 for row in found.itertuples() if row.patients >= FEWEST}


def write_warehouse_task(found: Found, folder: Path) -> str:
    """The task file's text: readmission after a discharge, where both are known; else places to fill in."""
    return "\n".join([*_head(found, folder), *_question(found), *_features(found), *_end(found, folder)]) + "\n"


def _head(found: Found, folder: Path) -> Iterator[str]:
    yield f"# Drafted by `medspark init --warehouse` from the tables of {found.title}. What follows a `guess:`"
    yield "# was told by names alone: read it once. `medspark check` says whether the file is sound."
    yield f"task: {task_name(str(folder.absolute()))}"
    yield "title: Readmission within 30 days of discharge      # guess: say what is predicted"
    yield ""
    yield "source:"
    yield "  kind: events"
    yield f"  mapping: {found.mapping}"
    yield f"  format: {found.format}"
    yield f"  path: {flow(str(folder.absolute()))}"
    yield ""


def _question(found: Found) -> Iterator[str]:
    yield "concepts:                                # sets of codes: those named, or all that begin alike"
    for name, head in (("discharge", found.discharge), ("admission", found.admission)):
        which = "fill it in, as {codes: [...]} or {prefixes: [...]}" if head is None else "guess: by its name"
        kind = "prefixes" if head is None or head.endswith("/") else "codes"
        yield f"  {name}: {flow({kind: [head] if head is not None else []})}    # {which}"
    yield ""
    yield "population:"
    yield "  index: {event: discharge, take: every}   # guess: a risk is asked for at each"
    yield "  age_at_least: 18                         # guess"
    yield ""
    yield "outcome:"
    yield "  name: readmitted within 30 days          # guess"
    yield "  event: admission"
    yield "  to_days: 30                              # guess"
    if found.mapping in UNOBSERVED or not found.observed:
        yield "  follow_up: keep_all                      # guess: nobody is lost; the source does not say who was"
    else:
        yield "  follow_up: keep_outcomes                 # who was lost is kept where the outcome was seen"
    yield "  death: no_outcome                        # guess: or outcome, or leave_out"
    yield "  gap: ignore                              # guess: what comes in the moment of the discharge is no return"
    yield ""


def _features(found: Found) -> Iterator[str]:
    yield "features:                                # of the codes that begin so"
    yield "  demographics: [age, sex]"
    if found.codes:
        yield "  codes:"
        yield f"    history: {flow({'of': found.codes})}"
        yield f"    year: {flow({'of': found.codes, 'look_back_days': 365})}                   # guess"
    if found.numbers:
        yield "  values:"
        of = {"of": found.numbers, "look_back_days": 365, "take": ["last", "mean", "count"]}
        yield f"    numbers: {flow(of)}                   # guess"
    yield ""


def _end(found: Found, folder: Path) -> Iterator[str]:
    sides = folder.absolute() / "metadata" / "subject_splits.parquet"
    if found.mapping == "meds" and sides.exists():
        yield f"split: {flow({'subjects': {'path': str(sides)}})}    # the dataset's own sides of each patient"
    else:
        yield "split: {train: 0.7, valid: 0.1, test: 0.2}       # by patient, always"
    yield "risk_bands: {high: 0.30, raised: 0.15}           # guess"
    yield "report: {subgroups: [sex]}"
