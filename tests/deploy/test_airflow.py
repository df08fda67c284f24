"""A deployment's DAG in a real Airflow: parsed, run with the real command, a night that a gate refuses shown as failed.

MEDSPARK_AIRFLOW names the Python of an environment that has Airflow.
"""

import ast
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from support.places import ROOT
from support.roads import stays, write

from medspark.deploy.airflow import airflow_dag
from medspark.deploy.deployment import Clock, Deployment, FileSink

NIGHT = Deployment(
    deployment="stays",
    bundle="/bundles/b",
    store="/store",
    as_of=Clock(at="02:05", timezone="Europe/Berlin"),
    sinks=(FileSink(kind="csv", path="/out"),),
)
AIRFLOW = os.environ.get("MEDSPARK_AIRFLOW")


def written(folder, command, file="/etc/stays.yaml", first=date(2026, 11, 1)):
    ((name, text),) = airflow_dag(NIGHT, Path(file), str(command), first).items()
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return text


def test_the_file_is_python_whatever_a_path_has(tmp_path):
    text = written(tmp_path, "/opt/o'clock/med{spark}", '/etc/"100%"\n{x}.yaml')
    values = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    assert {"/opt/o'clock/med{spark}", '/etc/"100%"\n{x}.yaml', "5 2 * * *", "Europe/Berlin"} <= set(values)
    assert "CALL = (2, 3, 4, 6)" in text


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """A command of Airflow, its own database and folder of DAGs, which is `home / "dags"`."""
    home = tmp_path_factory.mktemp("airflow")
    own = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONPATH": ""}
    own |= {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"), "MEDSPARK_MASTER": "local[2]"}

    def call(*arguments):
        command = [AIRFLOW, "-m", "airflow", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own}, timeout=300)

    call.dags = home / "dags"
    migrated = call("db", "migrate")
    assert migrated.returncode == 0, migrated.stdout[-2000:] + migrated.stderr[-2000:]
    return call


def night_of(folder, bundle, lines, **more):
    """A deployment's file, and a command that runs this tree."""
    folder.mkdir(exist_ok=True)
    source, file, command = write(folder / "tonight.csv", lines), folder / "stays.yaml", folder / "medspark"
    sinks = [{"kind": "csv", "path": f"{folder}/csv"}]
    given = {"deployment": "stays", "bundle": str(bundle), "store": f"{folder}/store", "source": str(source), **more}
    file.write_text(json.dumps({**given, "sinks": sinks, "as_of": {"at": "02:05", "timezone": "Europe/Berlin"}}))
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m medspark.cli "$@"\n')
    command.chmod(0o700)
    return file, command


def all_of_one_age(lines):
    return [",".join([*line.split(",")[:2], "25.0", *line.split(",")[3:]]) for line in lines]


@pytest.mark.integration
@pytest.mark.skipif(AIRFLOW is None, reason="MEDSPARK_AIRFLOW names no Python that has Airflow")
def test_airflow_runs_the_real_night_of_its_intervals_end_and_shows_a_refused_one_as_failed(road, tmp_path, airflow):
    file, command = night_of(tmp_path / "sound", road["bundle"], stays(40, seed=5))
    written(airflow.dags, command, file)
    found = airflow("dags", "list-import-errors")
    assert "No data found" in found.stdout, found.stdout
    run = airflow("dags", "test", "medspark-stays", "2026-11-20T12:00:00+00:00")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert [path.name for path in (tmp_path / "sound/csv/scores").iterdir()] == ["as_of=20261120T010500Z"]
    file, command = night_of(tmp_path / "other", road["bundle"], all_of_one_age(stays(400, seed=5)), gate="ok")
    written(airflow.dags, command, file)
    run = airflow("dags", "test", "medspark-stays", "2026-11-20T12:00:00+00:00")
    told = run.stdout + run.stderr
    assert "medspark ended with exit code 4: another attempt does not mend it" in told, told[-3000:]
    assert run.returncode != 0, told[-3000:]
    assert not (tmp_path / "other/csv").exists()
