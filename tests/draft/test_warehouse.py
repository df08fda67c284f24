"""medspark init --warehouse knows a warehouse by its tables and drafts a task that is fine, or says what is missing."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from medspark.cli.main import app
from medspark.task.event_task import EventTask
from medspark.task.load import load_task


def medspark(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def drafted(folder: Path, out: Path) -> EventTask:
    said = medspark("init", folder, "--warehouse", "--out", out)
    assert said.exit_code == 0, said.output
    task = load_task(out)
    assert isinstance(task, EventTask)
    return task


def tables(folder: Path, *names: str) -> Path:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("{}\n")
    return folder


def test_the_tables_of_omop_make_a_task_on_its_mapping_of_what_is_there(tmp_path: Path) -> None:
    there = ("PERSON.csv", "observation_period.csv", "visit_occurrence.csv.gz", "measurement.csv", "drug_exposure.csv")
    task = drafted(tables(tmp_path / "My CDM", *there), tmp_path / "task.yaml")
    assert (task.task, task.source.mapping, task.source.format) == ("my-cdm", "omop", "csv")
    assert task.source.path == str(tmp_path / "My CDM")
    assert task.concepts["discharge"].prefixes == ("VISIT_END/",)
    assert task.features.codes["history"].of == ("DRUG/",)
    assert task.features.values["numbers"].of == ("MEASUREMENT/",)
    assert medspark("check", tmp_path / "task.yaml").exit_code == 0


@pytest.mark.parametrize(("more", "follow_up"), [(("observation_period.csv",), "keep_outcomes"), ((), "keep_all")])
def test_a_draft_keeps_everybody_where_no_table_says_how_long_patients_are_observed(
    tmp_path: Path, more: tuple[str, ...], follow_up: str
) -> None:
    folder = tables(tmp_path / "cdm", "person.csv", "visit_occurrence.csv", "measurement.csv", *more)
    assert drafted(folder, tmp_path / "task.yaml").outcome.follow_up == follow_up


@pytest.mark.parametrize(
    "names",
    [
        ("Patient.000.ndjson", "Encounter.000.ndjson", "Observation.000.ndjson", "Observation.001.ndjson"),
        ("1.Patient.ndjson", "1.Encounter.ndjson", "2.Observation.ndjson", "export.json"),
        ("Patient-1.ndjson.gz", "Encounter-1.ndjson.gz", "Observation_1.ndjson.gz"),
    ],
)
def test_fhirs_bulk_files_make_a_task_on_its_mapping_however_they_are_named(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    task = drafted(tables(tmp_path / "export", *names), tmp_path / "task.yaml")
    assert (task.source.mapping, task.source.format) == ("fhir", "fhir")
    assert task.concepts["discharge"].prefixes == ("VISIT_END/",)
    assert task.features.codes["history"].of == ("OBSERVATION/",)
    assert task.features.values["numbers"].of == ("MEASUREMENT/",)
    assert task.outcome.follow_up == "keep_all"  # who does not come again is not lost: nobody says until when
    assert medspark("check", tmp_path / "task.yaml", "--data").exit_code == 0


def test_the_tables_of_synthea_make_a_task_of_inpatient_stays(tmp_path: Path) -> None:
    there = ("patients.csv", "encounters.csv", "conditions.csv", "observations.csv", "payers.csv")
    task = drafted(tables(tmp_path / "csv", *there), tmp_path / "task.yaml")
    assert (task.source.mapping, task.source.format) == ("synthea", "csv")
    assert task.concepts["discharge"].codes == ("VISIT_END/inpatient",)
    assert task.concepts["admission"].codes == ("VISIT/inpatient",)
    assert task.features.codes["history"].of == ("CONDITION/", "OBSERVATION/")
    assert medspark("check", tmp_path / "task.yaml", "--data").exit_code == 0


def test_every_guess_is_marked(tmp_path: Path) -> None:
    drafted(
        tables(tmp_path / "cdm", "person.csv", "observation_period.csv", "visit_occurrence.csv"), tmp_path / "t.yaml"
    )
    lines = (tmp_path / "t.yaml").read_text().splitlines()
    for guessed in ("title:", "index:", "age_at_least:", "event: admission", "to_days:", "risk_bands:"):
        assert any(guessed in line for line in lines), guessed
    marked = [line.split(":")[0].strip() for line in lines if "# guess" in line]
    assert marked == ["title", "discharge", "admission", "index", "age_at_least", "name", "to_days", "death", "gap",
                      "risk_bands"]  # fmt: skip


def meds(folder: Path, codes: dict[str, float | None], patients: int) -> Path:
    rows = [(at, code, number) for at in range(patients) for code, number in codes.items()]
    subject, code, number = zip(*rows, strict=True)
    columns = {"subject_id": pa.array(subject), "time": pa.array([datetime(2026, 1, 1)] * len(rows)), "code": code}
    (folder / "data" / "train").mkdir(parents=True)
    pq.write_table(pa.table({**columns, "numeric_value": pa.array(number, pa.float32())}),
                   folder / "data" / "train" / "0.parquet")  # fmt: skip
    return folder


CODES = {
    "MEDS_BIRTH": None,
    "HOSPITAL_ADMISSION": None,
    "HOSPITAL_DISCHARGE//HOME": None,
    "ICD10CM/I50": None,
    "LAB//CREATININE": 1.2,
}


def test_a_meds_dataset_that_divides_its_patients_is_learned_from_as_it_says(tmp_path: Path) -> None:
    folder = meds(tmp_path / "data set", CODES, 11)
    assert drafted(folder, tmp_path / "without.yaml").split.subjects is None
    (folder / "metadata").mkdir()
    sides = folder / "metadata" / "subject_splits.parquet"
    pq.write_table(pa.table({"subject_id": range(11), "split": ["train"] * 11}), sides)
    found = drafted(folder, tmp_path / "task.yaml").split.subjects
    assert found is not None
    assert found.path == str(sides)
    assert medspark("check", tmp_path / "task.yaml", "--data").exit_code == 0


def test_a_meds_dataset_makes_a_task_of_the_kinds_of_code_that_it_has(tmp_path: Path) -> None:
    task = drafted(meds(tmp_path / "data set", CODES, 11), tmp_path / "task.yaml")
    assert (task.source.mapping, task.source.format) == ("meds", "parquet")
    assert task.concepts["discharge"].prefixes == ("HOSPITAL_DISCHARGE/",)
    assert task.concepts["admission"].codes == ("HOSPITAL_ADMISSION",)
    assert task.features.codes["history"].of == ("HOSPITAL_DISCHARGE/", "ICD10CM/")
    assert task.features.values["numbers"].of == ("LAB/",)
    assert task.outcome.follow_up == "keep_all"  # as of FHIR: MEDS tells no period of observation either


def test_a_kind_of_code_that_few_patients_have_is_not_named(tmp_path: Path) -> None:
    folder = meds(tmp_path / "set", {**CODES, "HOSPITAL_DISCHARGE": None}, 11)
    rare = pa.table({"subject_id": [1] * 50, "time": [datetime(2026, 1, 1)] * 50, "code": ["ZEBEDEE/1"] * 50})
    pq.write_table(rare, folder / "data" / "rare.parquet")
    drafted(folder, tmp_path / "task.yaml")
    assert "ZEBEDEE" not in (tmp_path / "task.yaml").read_text()


def test_without_visits_the_draft_has_places_to_fill_in_and_says_so(tmp_path: Path) -> None:
    folder = tables(tmp_path / "cdm", "person.csv", "observation_period.csv", "measurement.csv")
    said = medspark("init", folder, "--warehouse", "--out", tmp_path / "task.yaml")
    assert said.exit_code == 2
    assert "concepts.discharge" in said.output
    assert "discharge: {prefixes: []}    # fill it in" in (tmp_path / "task.yaml").read_text()


@pytest.mark.parametrize(
    ("names", "mapping"),
    [
        (("hosp/patients.csv", "hosp/admissions.csv.gz", "hosp/labevents.csv.gz", "icu/icustays.csv"), "mimic_iv"),
        (("PATIENTS.csv", "ADMISSIONS.csv.gz", "LABEVENTS.csv.gz", "D_LABITEMS.csv.gz"), "mimic_iii"),
    ],
)
def test_mimics_tables_make_a_task_of_what_is_there(tmp_path: Path, names: tuple[str, ...], mapping: str) -> None:
    folder = tables(tmp_path / "mimic", *names)
    (folder / names[0]).write_text('"ROW_ID","SUBJECT_ID","GENDER"\n')
    task = drafted(folder, tmp_path / "task.yaml")
    assert (task.source.mapping, task.source.format) == (mapping, "csv")
    assert task.concepts["discharge"].prefixes == ("VISIT_END/",)
    assert (task.features.codes, task.features.values["numbers"].of) == ({}, ("LAB/",))
    assert task.outcome.follow_up == "keep_all"


def test_mimics_demo_whose_columns_are_in_small_letters_is_told(tmp_path: Path) -> None:
    folder = tables(tmp_path / "demo", "PATIENTS.csv", "ADMISSIONS.csv", "ICUSTAYS.csv")
    (folder / "PATIENTS.csv").write_text("row_id,subject_id,gender\n")
    said = medspark("init", folder, "--warehouse", "--out", tmp_path / "t.yaml")
    assert said.exit_code == 2
    assert "the demo's columns are in small letters" in " ".join(said.output.split())


@pytest.mark.parametrize("more", ["payers.csv", "hosp.csv"])
def test_two_tables_that_many_hospitals_have_are_no_mimic(tmp_path: Path, more: str) -> None:
    folder = tables(tmp_path / "ours", "patients.csv", "admissions.csv", more)
    said = medspark("init", folder, "--warehouse", "--out", tmp_path / "t.yaml")
    assert said.exit_code == 3
    assert "expected the tables of OMOP" in said.output


def test_eicu_is_named_with_why_it_has_no_mapping(tmp_path: Path) -> None:
    names = ("patient.csv.gz", "vitalPeriodic.csv.gz", "admissionDx.csv.gz")
    said = medspark("init", tables(tmp_path / "hospital", *names), "--warehouse", "--out", tmp_path / "t.yaml")
    assert said.exit_code == 2
    assert "the tables of eICU, for which no mapping is shipped: they tell minutes since a stay began" in said.output
    assert not (tmp_path / "t.yaml").exists()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("stays.csv",), "expected the tables of OMOP"),
        (("person.txt", "observation_period.txt", "measurement.txt"), "expected files of one kind"),
        (("patients.parquet", "encounters.parquet", "conditions.parquet"), "expected the tables of OMOP"),
    ],
)
def test_what_is_no_warehouse_or_half_of_one_is_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    said = medspark("init", tables(tmp_path / "folder", *names), "--warehouse", "--out", tmp_path / "t.yaml")
    assert said.exit_code == 3
    assert words in said.output
    assert medspark("init", tmp_path / "nowhere", "--warehouse").exit_code == 3


def test_a_draft_overwrites_nothing_and_knows_no_outcome_of_a_table(tmp_path: Path) -> None:
    folder = tables(tmp_path / "cdm", "person.csv", "observation_period.csv", "visit_occurrence.csv")
    (tmp_path / "t.yaml").write_text("mine")
    assert medspark("init", folder, "--warehouse", "--out", tmp_path / "t.yaml").exit_code == 2
    assert (tmp_path / "t.yaml").read_text() == "mine"
    assert medspark("init", folder, "--warehouse", "--outcome", "died").exit_code == 2


def test_a_public_omop_warehouse_makes_a_task_that_is_fine(data: Path, tmp_path: Path) -> None:
    folder = data / "omop_gibleed" / "csv"
    if not folder.is_dir():
        pytest.skip("needs omop_gibleed")
    assert drafted(folder, tmp_path / "task.yaml").features.codes["history"].of[:2] == ("CONDITION/", "DRUG/")
