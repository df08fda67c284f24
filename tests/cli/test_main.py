"""The command as a person or a scheduler runs it: exit codes, what is printed, what is left behind."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from support.places import ROOT
from support.roads import stays, write
from support.tasks import STAYS, task_file
from typer.testing import CliRunner

from medspark.cli.main import app


def medspark(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "medspark.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "MEDSPARK_DATA": "data",
            "MEDSPARK_SYNTH": "synth",
            "CINC2012": "stays",
            "MEDMNIST": "images",
            **environment,
        },
    )


def test_check_says_that_a_task_is_fine():
    for task in sorted((ROOT / "conf" / "tasks").glob("*.yaml")):
        found = medspark("check", task)
        assert (found.returncode, found.stderr) == (0, "")
        assert f"{task}: fine." in found.stdout


def test_check_reports_every_problem_at_once_with_hints_and_exit_code_2(tmp_path):
    wrong = {**STAYS, "features": {"numeric": ["agge"]}, "outcom": {}, "split": {"train": 0.9}}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(wrong, sort_keys=False))
    found = medspark("check", path)
    assert found.returncode == 2
    assert "3 problems" in found.stderr
    assert "Did you mean 'outcome'?" in found.stderr
    assert "Did you mean 'age'?" in found.stderr
    assert "expected train + valid + test = 1" in found.stderr


def test_check_lists_what_scoring_will_ask_for(tmp_path):
    path = task_file(tmp_path, "unset", exclude=[{"name": "sent back", "when": "back", "because": "x"}])
    found = medspark("check", path, "--for-scoring")
    assert found.returncode == 0
    note, *asked, last = found.stdout.splitlines()[1:]
    assert note == "  exclude.sent back reads the outcome's columns: training applies it, scoring does not."
    assert asked == [
        "stay: long",
        "patient: string",
        "age: double",
        "sex: category",
        "diag_1: string",
        "diag_2: string",
    ]
    assert last == "exclude.sent back reads the outcome's columns, so that scoring does not apply it"


def test_check_does_not_start_spark():
    script = (
        "import sys; from medspark.task.load import load_task; "
        "load_task('conf/tasks/readmission-synthetic.yaml'); print('pyspark' in sys.modules)"
    )
    environment = {**os.environ, "MEDSPARK_SYNTH": "x"}
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert found.stdout == "False\n", found.stderr


def test_the_schema_for_editors_is_the_tasks_and_is_kept_beside_them():
    kept = json.loads((ROOT / "conf" / "task.schema.json").read_text())
    assert json.loads(medspark("schema").stdout) == kept, "run: medspark schema > conf/task.schema.json"


def test_an_absent_task_file_is_one_sentence():
    found = medspark("clean", "absent.yaml")
    assert found.returncode == 2
    assert "expected a task file here" in found.stderr


def test_a_folder_and_a_hostile_task_file_are_one_sentence_each(tmp_path):
    (tmp_path / "deep.yaml").write_text("a: " + "[" * 100_000)
    for path, says in ((tmp_path, "received a folder"), (tmp_path / "deep.yaml", "nested more than 50 deep")):
        found = medspark("check", path)
        assert found.returncode == 2
        assert says in found.stderr
        assert found.stderr.count("\n") == 2


@pytest.mark.integration
def test_input_that_breaks_its_contract_ends_with_3_and_a_receipt(tmp_path):
    source = write(tmp_path / "stays.csv", stays(5), header="stay,patient,age,gender,diag_1,diag_2,died,back")
    found = medspark("clean", task_file(tmp_path, source), "--store", tmp_path / "store", "--json")
    assert found.returncode == 3
    assert "column 'sex' is missing" in found.stderr
    receipt = json.loads(found.stdout)
    assert receipt["exit_code"] == 3
    assert "column 'gender' is not in the task" in receipt["error"]
    kept = tmp_path / "store" / "stays" / "runs" / f"{receipt['run_id']}.json"
    assert json.loads(kept.read_text()) == receipt


@pytest.mark.integration
def test_clean_prints_counts_and_nothing_else_and_replays_repaired_rows(tmp_path):
    import pyarrow.parquet as pq

    source = write(tmp_path / "stays.csv", [*stays(5), "77,p,ninety,F,,,false,true"])
    task = task_file(tmp_path, source)
    found = medspark("clean", task, "--store", tmp_path / "store")
    assert (found.returncode, found.stderr) == (0, "")
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[:3] == [["rows", "in", "6"], ["set", "aside", "1", "age:", "type"], ["records", "5"]]
    assert lines[3][0] == "quarantine:"

    (row,) = pq.read_table(lines[3][1]).to_pylist()
    assert (row["line"], row["raw"], row["rule"]) == (7, "77,p,ninety,F,,,false,true", "age: type")
    repaired = tmp_path / "repaired.ndjson"
    repaired.write_text(json.dumps({**row, "raw": row["raw"].replace("ninety", "90")}) + "\n")
    again = medspark("clean", task, "--store", tmp_path / "store", "--replay", repaired)
    assert [line.split() for line in again.stdout.splitlines()][:3] == [
        ["rows", "in", "6"],
        ["repaired", "1"],
        ["records", "6"],
    ]


def test_a_missing_java_is_one_clear_sentence(tmp_path):
    source = write(tmp_path / "stays.csv", stays(5))
    found = medspark("clean", task_file(tmp_path, source), "--store", tmp_path / "s", PATH="/nowhere", JAVA_HOME="")
    assert found.returncode == 1
    assert "medspark needs Java 17 or newer to run Spark, and finds none." in found.stderr
    assert "Traceback" not in found.stderr


def test_a_damaged_bundle_ends_with_3(tmp_path):
    found = medspark("report", tmp_path)
    assert found.returncode == 3
    assert "it has no manifest.json" in found.stderr


@pytest.mark.parametrize("command", ["score", "encode", "report", "evaluate", "night"])
def test_every_command_on_a_bundle_refuses_another_than_the_expected_one(command, tmp_path):
    text = json.dumps({"format": 2, "bundle_id": "1" * 16, "files": {}, "created_at": "2026-11-26"})
    (tmp_path / "manifest.json").write_text(text)
    of, out, expect = tmp_path, tmp_path / "out", ["--expect", "2" * 16]
    to = [] if command in ("report", "night") else ["--to", out]
    if command == "night":
        sinks, of, expect = [{"kind": "csv", "path": str(tmp_path / "csv")}], tmp_path / "nightly.yaml", []
        given = {"deployment": "stays", "bundle": str(tmp_path), "expect": "2" * 16, "store": str(out), "sinks": sinks}
        of.write_text(yaml.safe_dump(given))
    found = medspark(command, of, *to, *expect, PATH="/nowhere", JAVA_HOME="")
    assert found.returncode == 3
    assert f"expected the bundle {'2' * 16}, received {'1' * 16}. Nothing of it was read." in found.stderr


def test_an_update_refuses_it_too(tmp_path):
    text = json.dumps({"format": 2, "bundle_id": "1" * 16, "files": {}, "created_at": "2026-11-26"})
    (tmp_path / "manifest.json").write_text(text)
    task = task_file(tmp_path, write(tmp_path / "stays.csv", stays(5)))
    to = ["--store", tmp_path / "out", "--expect", "2" * 16]
    found = medspark("update", tmp_path, task, *to, PATH="/nowhere", JAVA_HOME="")
    assert found.returncode == 3
    assert f"expected the bundle {'2' * 16}, received {'1' * 16}. Nothing of it was read." in found.stderr


JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py"))


def test_every_stage_that_a_cluster_runs_is_a_job():
    cleaned = ["clean", "encode", "evaluate", "features"]
    assert [*cleaned, "monitor", "night", "run", "score", "train", "tune", "update"] == JOBS


@pytest.mark.parametrize("job", JOBS)
def test_each_job_takes_its_commands_arguments(job):
    found = subprocess.run([sys.executable, f"jobs/{job}.py", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0
    assert found.stdout.split("Usage: ")[1].split()[:2] == ["medspark", job]
    usage = 2  # lines, of which the second has the program's name
    assert found.stdout.splitlines()[usage:] == medspark(job, "--help").stdout.splitlines()[usage:]


def test_the_shell_completes_commands_options_and_their_values():
    def completed(*words):
        asked = {
            "_MEDSPARK_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": f"{len(words) - 1}",
        }
        return CliRunner().invoke(app, prog_name="medspark", env=asked).output.split()

    assert completed("medspark", "sch") == ["schema", "schedule"]
    assert completed("medspark", "score", "--explain-s") == ["--explain-share"]
    assert completed("medspark", "score", "BUNDLE", "--engine", "li") == ["litert"]
