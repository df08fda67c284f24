"""medspark init drafts a task that is fine, and medspark profile a page; neither names what few rows have."""

import os
import re

import pytest
import yaml
from typer.testing import CliRunner

from medspark.cli.main import app
from medspark.task.load import load_task


def medspark(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def stays(tmp_path):
    path = tmp_path / "My stays.csv"
    lines = [
        f"{at},{at // 2},{30 + at % 60},{'F' if at % 2 else 'M'},{'yes' if at % 5 == 0 else 'no'}" for at in range(300)
    ]
    path.write_text("\n".join(["stay_id,patient_id,age,sex,readmitted", *lines, "300,150,44,Zorro,no"]) + "\n")
    return path


def test_init_drafts_a_task_that_is_fine(stays, tmp_path):
    out = tmp_path / "task.yaml"
    said = medspark("init", stays, "--outcome", "readmitted", "--out", out)
    assert said.exit_code == 0, said.output
    task = load_task(out)
    assert (task.task, task.source.case, task.source.subject) == ("my-stays", "stay_id", "patient_id")
    assert task.features.columns() == ["age", "sex"]
    assert task.columns["sex"].levels == ("F", "M")
    assert task.report.subgroups == ("sex", "age_band")


def test_every_guess_is_marked_and_no_rare_value_is_named(stays, tmp_path):
    out = tmp_path / "task.yaml"
    medspark("init", stays, "--outcome", "readmitted", "--out", out)
    text = out.read_text()
    assert "Zorro" not in text
    for key in ("case", "subject", "risk_bands", "report"):
        assert re.search(rf"^ *{key}: .*# guess: ", text, re.M), key
    assert "# guess: 1 row with a rare other level" in text


def test_a_draft_overwrites_nothing(stays, tmp_path):
    out = tmp_path / "task.yaml"
    out.write_text("mine")
    said = medspark("init", stays, "--outcome", "readmitted", "--out", out)
    assert said.exit_code == 2
    assert out.read_text() == "mine"


def test_without_an_outcome_the_place_for_it_is_told(stays, tmp_path):
    out = tmp_path / "task.yaml"
    said = medspark("init", stays, "--out", out)
    assert said.exit_code == 2
    assert "name it by --outcome: readmitted" in said.output
    assert "FILL IN" in yaml.safe_load(out.read_text())["outcome"]["when"]


def test_rows_without_a_key_are_numbered_on_request(tmp_path):
    (tmp_path / "t.csv").write_text("age,died\n" + "".join(f"{20 + at % 50},{at % 2}\n" for at in range(100)))
    refused = medspark("init", tmp_path / "t.csv", "--outcome", "died", "--out", tmp_path / "a.yaml")
    assert (refused.exit_code, (tmp_path / "a.yaml").exists()) == (3, False)
    copy, out = tmp_path / "numbered.csv", tmp_path / "b.yaml"
    said = medspark("init", tmp_path / "t.csv", "--outcome", "died", "--number", copy, "--out", out)
    assert said.exit_code == 0, said.output
    assert load_task(out).source.case == "row_id"
    assert copy.read_text().splitlines()[:2] == ['"row_id","age","died"', '1,"20","0"']
    again = medspark("init", tmp_path / "t.csv", "--outcome", "died", "--number", copy, "--out", tmp_path / "c.yaml")
    assert "that is not there yet" in again.output


def test_a_profile_is_a_page_without_rare_values(stays, tmp_path):
    out = tmp_path / "page.html"
    assert medspark("profile", stays, "--outcome", "readmitted", "--out", out).exit_code == 0
    page = out.read_text()
    for part in ("stay_id", "Share with the outcome", "1 row with a rare other level", "F (49.8\u00a0%)"):
        assert part in page, part
    assert "Zorro" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_check_looks_at_the_data_when_asked(stays, tmp_path):
    out = tmp_path / "task.yaml"
    medspark("init", stays, "--outcome", "readmitted", "--out", out)
    assert medspark("check", out, "--data").exit_code == 0
    stays.write_text(stays.read_text().replace("age,sex", "aeg,sex", 1))
    said = medspark("check", out, "--data")
    assert said.exit_code == 2
    assert "column 'age' is missing. Did you mean 'aeg'?" in said.output
    stays.unlink()
    assert "source.path: expected a file" in medspark("check", out, "--data").output
    assert medspark("check", out).exit_code == 0


def test_check_advises_where_a_section_is_missing(stays, tmp_path):
    out = tmp_path / "task.yaml"
    medspark("init", stays, "--outcome", "readmitted", "--out", out)
    lines = [line for line in out.read_text().splitlines() if not line.startswith(("risk_bands", "report"))]
    out.write_text("\n".join(lines).replace("subject: patient_id", "subject: stay_id"))
    said = medspark("check", out).output
    assert all(f"  {key}: " in said for key in ("risk_bands", "report.subgroups", "source.subject"))


@pytest.mark.data
def test_diabetes130_is_seen_as_it_is(data, tmp_path):
    out = tmp_path / "task.yaml"
    table = data / "diabetes130" / "diabetic_data.csv"
    said = medspark("init", table, "--outcome", "readmitted = '<30'", "--out", out)
    assert said.exit_code == 0, said.output
    task = load_task(out)
    assert (task.source.case, task.source.subject, task.source.missing) == ("encounter_id", "patient_nbr", ("?",))
    assert task.columns["age"].type == task.columns["weight"].type == "interval"
    assert "readmitted" not in task.features.columns()
    assert task.features.codes["diagnoses"].columns == ("diag_1", "diag_2", "diag_3")
    assert {"None", "Norm"} <= set(re.findall(r"\w+", re.search(r"max_glu_serum: .*", out.read_text())[0]))
    ids = ("admission_type_id", "discharge_disposition_id", "admission_source_id")
    assert {task.columns[name].type for name in ids} == {"category"}


def test_what_a_command_without_a_run_writes_is_for_its_owner_only_whatever_the_umask(stays, tmp_path):
    before, there = os.umask(0), set(tmp_path.iterdir())
    try:
        numbered, draft = tmp_path / "numbered.csv", tmp_path / "task.yaml"
        medspark("init", stays, "--outcome", "readmitted", "--number", numbered, "--out", draft)
        medspark("profile", stays, "--out", tmp_path / "profile.html")
    finally:
        os.umask(before)
    made = {path.name: oct(path.stat().st_mode & 0o777) for path in set(tmp_path.iterdir()) - there}
    assert made == {"numbered.csv": "0o600", "task.yaml": "0o600", "profile.html": "0o600"}
