import csv
import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.places import ROOT

from medspark.errors import InputError, TaskError
from medspark.synth import dirt, flat, omop
from medspark.synth.write import write_hospital
from medspark.task.load import load_task

PATIENTS, SEED = 2300, 5
TASK = ROOT / "conf" / "tasks" / "readmission-synthetic.yaml"
MISSING = ("", "NA", "unknown")


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("hospital")
    return out, write_hospital(spark, str(out), PATIENTS, SEED, partitions=3)


def lines(folder: Path) -> list[bytes]:
    """The records of a folder's part files, after a look at each header."""
    found: list[bytes] = []
    headers = set()
    for part in sorted(folder.glob("part-*")):
        header, *rows = part.read_bytes().removesuffix(b"\n").split(b"\n")
        headers.add(header)
        found += rows
    assert len(headers) == 1
    return found


def header(folder: Path) -> list[str]:
    return next(folder.glob("part-*")).read_bytes().split(b"\n")[0].decode().split(",")


def truth(out: Path) -> list[dict[str, Any]]:
    return sorted(pq.read_table(out / "flat" / "truth").to_pylist(), key=lambda row: row["admission_id"])


def table(out: Path, name: str) -> list[dict[str, str]]:
    folder = out / "omop" / f"{name}.csv"
    columns = header(folder)
    return [dict(zip(columns, row, strict=True)) for row in csv.reader(line.decode() for line in lines(folder))]


def broken_rules(line: bytes, columns: list[str]) -> list[str]:
    """What is wrong with a record, by a plain reading of the task's rules."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return ["record: encoding"]
    if text.count('"') % 2:
        return ["record: quote"]
    fields = next(csv.reader([text]))
    if len(fields) != len(columns):
        return ["record: fields"]
    row = {name: None if value.strip() in MISSING else value for name, value in zip(columns, fields, strict=True)}
    admitted, discharged = time_of(row["admitted_at"]), time_of(row["discharged_at"])
    age, sodium, codes = row["age"], row["sodium"], [row[f"diag_{n}"] for n in range(1, 6)]
    rules = {
        "patient_id: required": row["patient_id"] is None,
        "admitted_at: type": admitted is None,
        "discharged_at: type": discharged is None,
        "sex: level": row["sex"] not in ("female", "male", None),
        "age: type": not is_number(age),
        "age: range": is_number(age) and not 0 <= int(age or 0) <= 120,
        "creatinine: unit": row["creatinine"] is not None and row["creatinine_unit"] not in ("mg/dL", "umol/L"),
        "sodium: range": sodium is not None and not 90 <= float(sodium) <= 200,
        "diag_1: code": not is_code(codes[0]),
        "diag_2..5: code": not all(code is None or is_code(code) for code in codes[1:]),
        "discharge after admission": bool(admitted and discharged and discharged < admitted),
        "readmitted_30d: type": row.get("readmitted_30d", "no") not in ("yes", "no"),
    }
    return [rule for rule, broken in rules.items() if broken]


def time_of(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None


def is_number(text: str | None) -> bool:
    return re.fullmatch(r" *-?\d+ *", text or "") is not None


def is_code(text: str | None) -> bool:
    return re.fullmatch(r"[A-Z]\d[0-9A-Z]\.?[0-9A-Z]{0,4}", (text or "").upper()) is not None


def test_the_rows_are_the_same_bytes_for_another_number_of_partitions(
    spark: SparkSession, written: tuple[Path, dict[str, Any]], tmp_path: Path
):
    out, planted = written
    assert write_hospital(spark, str(tmp_path), PATIENTS, SEED, partitions=1) == planted
    folders = [path.relative_to(out) for path in sorted(out.glob("omop/*.csv"))]
    folders += [Path("flat") / part for part in flat.PARTS]
    assert len(folders) == len(omop.COLUMNS) + 2
    for folder in folders:
        assert sorted(lines(out / folder)) == sorted(lines(tmp_path / folder)), folder
    assert truth(out) == truth(tmp_path)


@pytest.mark.parametrize("part", flat.PARTS)
def test_a_plain_reading_finds_exactly_what_was_planted(written: tuple[Path, dict[str, Any]], part: str):
    out, planted = written
    folder = out / "flat" / part
    rows = lines(folder)
    found = Counter(rule for row in rows for rule in broken_rules(row, header(folder)))
    found["duplicate"] = len(rows) - len(set(rows))
    expected = {kind["rule"]: kind["rows"] for kind in planted["flat"][part]["planted"].values()}
    assert {rule: count for rule, count in found.items() if count} == {r: n for r, n in expected.items() if n}
    assert len(rows) == planted["flat"][part]["rows"]


def test_every_kind_is_planted_a_few_times_and_a_row_breaks_one_rule_at_most(
    written: tuple[Path, dict[str, Any]],
):
    out, planted = written
    assert all(kind["rows"] >= 5 for kind in planted["flat"]["admissions"]["planted"].values())
    assert [kind.name for kind in dirt.KINDS] == list(planted["flat"]["tonight"]["planted"])
    for part in flat.PARTS:
        columns = header(out / "flat" / part)
        assert max(len(broken_rules(row, columns)) for row in lines(out / "flat" / part)) == 1


def test_every_admission_is_in_one_part_and_the_truth_knows_which(written: tuple[Path, dict[str, Any]]):
    out, planted = written
    parts = {part: {line.split(b",")[0] for line in lines(out / "flat" / part)} for part in flat.PARTS}
    rows = truth(out)
    assert parts["tonight"] == {str(row["admission_id"]).encode() for row in rows if row["tonight"]}
    assert parts["admissions"] == {str(row["admission_id"]).encode() for row in rows if not row["tonight"]}
    assert len(rows) == len(parts["tonight"]) + len(parts["admissions"]) == planted["admissions"]


def test_the_outcome_in_the_extract_is_the_truth_and_tonight_has_none(written: tuple[Path, dict[str, Any]]):
    out, _ = written
    readmitted = {row["admission_id"]: row["readmitted"] for row in truth(out)}
    whole = [line for line in lines(out / "flat" / "admissions") if line.endswith((b",yes", b",no"))]
    assert all(line.endswith(b",yes") == readmitted[int(line.split(b",")[0])] for line in whole)
    assert header(out / "flat" / "tonight") == header(out / "flat" / "admissions")[:-1]


def test_harmless_disorder_is_there_too(written: tuple[Path, dict[str, Any]]):
    text = b"\n".join(lines(written[0] / "flat" / "admissions"))
    for disorder in (
        rb",NA,",
        rb",unknown,",
        rb", \d",
        rb",[a-z]\d\d",
        rb",[A-Z]\d{3,4},",
        rb'""',
        rb"umol/L",
        rb"mg/dL",
    ):
        assert re.search(disorder, text), disorder


@pytest.mark.parametrize(("patients", "seed"), [(0, 1), (-5, 1), (10, -1)])
def test_a_hospital_without_patients_or_with_a_negative_seed_is_refused(
    spark: SparkSession, tmp_path: Path, patients: int, seed: int
):
    with pytest.raises(TaskError, match="at least 1 patient and a seed of at least 0"):
        write_hospital(spark, str(tmp_path), patients, seed)


def test_writing_again_replaces_what_was_there(spark: SparkSession, tmp_path: Path):
    for seed in (1, 2):
        planted = write_hospital(spark, str(tmp_path), 40, seed)
    assert json.loads((tmp_path / "planted.json").read_text()) == planted
    assert len(truth(tmp_path)) == planted["admissions"]
    assert len(lines(tmp_path / "flat" / "admissions")) == planted["flat"]["admissions"]["rows"]


@pytest.mark.parametrize(
    "theirs",
    ["omop/person.csv", "omop/visit_occurrence.csv/export-1.csv", "flat/truth/2026.parquet", "meds/data/0.parquet"],
)
def test_files_that_are_no_hospitals_of_ours_stay_and_are_named(spark: SparkSession, tmp_path: Path, theirs: str):
    file, part = tmp_path / theirs, Path(theirs).parts[0]
    file.parent.mkdir(parents=True)
    file.write_text("real")
    with pytest.raises(InputError, match=f"{part}: expected an empty folder.* among them {theirs.split('/', 1)[1]}"):
        write_hospital(spark, str(tmp_path), 20, 1, parts=("flat", "omop", "meds"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "real"


def test_real_files_put_into_a_hospital_of_ours_stay_too(spark: SparkSession, tmp_path: Path):
    write_hospital(spark, str(tmp_path), 20, 1, parts=("omop",))
    theirs = tmp_path / "omop" / "person.csv" / "export.csv"
    theirs.write_text("real")
    with pytest.raises(InputError, match=r"among them person\.csv/export\.csv"):
        write_hospital(spark, str(tmp_path), 20, 2, parts=("omop",))
    assert theirs.read_text() == "real"
    theirs.unlink()
    write_hospital(spark, str(tmp_path), 20, 2, parts=("omop",))


def test_another_part_leaves_those_before_it_ours(spark: SparkSession, tmp_path: Path):
    for parts in (("omop",), ("flat",), ("omop",)):
        write_hospital(spark, str(tmp_path), 20, 1, parts=parts)
    assert json.loads((tmp_path / "planted.json").read_text())["parts"] == ["flat", "omop"]


def test_a_hospital_that_broke_off_is_written_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as broken:
        broken.setattr("medspark.synth.write._planted", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_hospital(spark, str(tmp_path), 20, 1)
    assert list(json.loads((tmp_path / "planted.json").read_text())) == ["parts"]
    assert write_hospital(spark, str(tmp_path), 20, 1)["patients"] == 20


def test_what_was_planted_is_written_beside_the_files(written: tuple[Path, dict[str, Any]]):
    out, planted = written
    assert json.loads((out / "planted.json").read_text()) == planted
    assert (planted["seed"], planted["patients"]) == (SEED, PATIENTS)


def test_omop_keys_are_unique_and_foreign_keys_resolve(written: tuple[Path, dict[str, Any]]):
    tables = {name: table(written[0], name) for name in omop.COLUMNS}
    people = {row["person_id"] for row in tables["person"]}
    visits = {row["visit_occurrence_id"]: row["person_id"] for row in tables["visit_occurrence"]}
    concepts = {row["concept_id"] for row in tables["concept"]}
    assert len(people) == PATIENTS
    for name, rows in tables.items():
        assert rows, name
        key = omop.COLUMNS[name][0]
        assert len({row[key] for row in rows}) == len(rows), name
        assert {row["person_id"] for row in rows if "person_id" in row} <= people
        for column in (column for column in omop.COLUMNS[name] if column.endswith("concept_id")):
            assert {row[column] for row in rows if row[column]} <= concepts, column
        if name not in ("person", "observation_period", "death", "concept"):
            assert all(visits[row["visit_occurrence_id"]] == row["person_id"] for row in rows), name
    before = [row for row in tables["visit_occurrence"] if row["preceding_visit_occurrence_id"]]
    assert all(visits[row["preceding_visit_occurrence_id"]] == row["person_id"] for row in before)


REQUIRED = {
    "person": "person_id gender_concept_id year_of_birth race_concept_id ethnicity_concept_id",
    "observation_period": " ".join(omop.COLUMNS["observation_period"]),
    "visit_occurrence": "visit_concept_id visit_start_date visit_end_date visit_type_concept_id",
    "condition_occurrence": "condition_concept_id condition_start_date condition_type_concept_id",
    "measurement": "measurement_concept_id measurement_date measurement_type_concept_id",
    "drug_exposure": "drug_concept_id drug_exposure_start_date drug_exposure_end_date drug_type_concept_id",
    "death": "person_id death_date",
    "concept": "concept_name domain_id vocabulary_id concept_class_id concept_code valid_start_date valid_end_date",
}


@pytest.mark.parametrize("name", REQUIRED)
def test_what_the_common_data_model_requires_is_never_empty(written: tuple[Path, dict[str, Any]], name: str):
    assert all(row[column] for row in table(written[0], name) for column in REQUIRED[name].split())


def test_the_task_file_is_sound_and_names_the_extract_column_by_column(
    written: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    out, planted = written
    monkeypatch.setenv("MEDSPARK_SYNTH", str(out))
    task = load_task(TASK)
    assert list(task.columns) == header(Path(task.source.path))
    named = {f"{column}:" for column in task.columns} | {"record:", "duplicate"} | {c.name for c in task.checks}
    for kind in planted["flat"]["admissions"]["planted"].values():
        assert kind["rule"] in named or kind["rule"].split(" ")[0] in named
