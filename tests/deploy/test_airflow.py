"""A deployment's DAG in a real Airflow: parsed, run with the real command, a night that a gate refuses shown as failed.

MEDSPARK_AIRFLOW names the Python of an environment that has Airflow.
"""

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import pytest
from support.clusters import HERE, free_ports, wait_until
from support.places import ROOT
from support.roads import stays, write
from typer.testing import CliRunner

from medspark.cli import tools
from medspark.cli.main import app
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


def written(folder, command, file="/etc/stays.yaml", first=date(2026, 11, 1), deployment="stays"):
    deployed = NIGHT.model_copy(update={"deployment": deployment})
    ((name, text),) = airflow_dag(deployed, Path(file), str(command), first).items()
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return text


def test_the_file_is_python_whatever_a_path_has(tmp_path):
    text = written(tmp_path, "/opt/o'clock/med{spark}", '/etc/"100%"\n{x}.yaml')
    values = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    assert {"/opt/o'clock/med{spark}", '/etc/"100%"\n{x}.yaml', "5 2 * * *", "Europe/Berlin"} <= set(values)
    assert "CALL = (2, 3, 4, 6)" in text


class Now(datetime):
    """Three in the morning in UTC, when it is ten in the evening of the day before in New York."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 27, 3, tzinfo=UTC).astimezone(tz)


@pytest.mark.parametrize(("at", "day"), [("20:00", 26), ("23:00", 25)])
def test_west_of_utc_the_first_interval_begins_on_that_zones_day(tmp_path, monkeypatch, at, day):
    monkeypatch.setattr(tools, "datetime", Now)
    file = tmp_path / "stays.yaml"
    clock = Clock(at=at, timezone="America/New_York")
    file.write_text(NIGHT.model_copy(update={"as_of": clock}).model_dump_json(exclude_defaults=True))
    done = CliRunner().invoke(app, ["schedule", str(file), "--by", "airflow", "--to", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert f"start_date=datetime(2026, 11, {day}, tzinfo=ZONE)" in (tmp_path / "medspark-stays.py").read_text()


class Operator:
    """As much of Airflow's as the file asks for."""

    def __init__(self, **options):
        pass


@pytest.mark.parametrize(
    ("ends", "night"),
    [
        ("2026-10-25T01:05:00+00:00", "2026-10-25T00:05:00+00:00"),  # 02:05 comes twice: Airflow takes the second
        ("2026-11-20T01:05:00+00:00", "2026-11-20T01:05:00+00:00"),
        ("2026-03-29T01:05:00+00:00", "2026-03-29T01:05:00+00:00"),  # 02:05 is skipped
    ],
)
def test_the_night_of_an_interval_is_the_one_that_the_clock_means(tmp_path, monkeypatch, ends, night):
    hook = MagicMock()
    hook.run_command.return_value = SimpleNamespace(exit_code=0)
    given = {
        "airflow.providers.standard.hooks.subprocess": {"SubprocessHook": lambda: hook},
        "airflow.sdk": {"DAG": MagicMock(), "BaseOperator": Operator},
        "airflow.sdk.exceptions": {"AirflowException": OSError, "AirflowFailException": ValueError},
        "airflow.timetables.interval": {"CronDataIntervalTimetable": MagicMock()},
    }
    for name, parts in given.items():
        module = ModuleType(name)
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    names: dict = {}
    exec(compile(written(tmp_path, "/opt/medspark"), "dag.py", "exec"), names)
    names["Night"](as_of=ends).execute({})
    (command,) = hook.run_command.call_args.args
    assert datetime.fromisoformat(command[-1]) == datetime.fromisoformat(night)
    assert datetime.fromisoformat(night) == NIGHT.as_of.on(date.fromisoformat(night[:10]))


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """A command of Airflow, its own database and folder of DAGs, which is `home / "dags"`."""
    home = tmp_path_factory.mktemp("airflow")
    own = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONPATH": ""}
    own |= {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"), "MEDSPARK_MASTER": "local[2]"}
    own |= {"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}

    def call(*arguments):
        command = [AIRFLOW, "-m", "airflow", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own}, timeout=300)

    call.dags, call.environment = home / "dags", {**os.environ, **own}
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


@contextmanager
def scheduling(airflow):
    """Airflow's scheduler and all that it needs, at work while the block is."""
    (port,) = free_ports(1)
    own = {"AIRFLOW__API__PORT": str(port), "AIRFLOW__API__HOST": HERE, "AIRFLOW__API__WORKERS": "1"}
    own |= {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HERE}:{port}/execution/"}
    own |= {"AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5", "AIRFLOW__CORE__PARALLELISM": "4"}
    own["PATH"] = f"{Path(AIRFLOW).parent}:{os.environ['PATH']}"  # it starts others by their name
    log = airflow.dags.parent / "airflow.log"
    with ExitStack() as parts, log.open("w") as said:

        def start(part):
            options = {"stdout": said, "stderr": said, "env": {**airflow.environment, **own}, "start_new_session": True}
            process = subprocess.Popen([AIRFLOW, "-m", "airflow", part], **options)
            parts.callback(end, process)

        start("api-server")  # a night that begins before it listens is a failed one
        wait_until(lambda: listens(port), "Airflow's API", log.parent)
        start("scheduler")
        start("dag-processor")
        yield


def listens(port):
    with socket.socket() as asked:
        return asked.connect_ex((HERE, port)) == 0


def end(process):
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def runs_of(airflow):
    """The state of each run of the DAG, by the day on which its interval begins."""
    found = airflow("dags", "list-runs", "medspark-wards", "--output", "json").stdout
    rows = [row for line in found.splitlines() if line.startswith("[{") for row in json.loads(line)]
    return {row["logical_date"][:10]: row["state"] for row in rows}


@pytest.mark.integration
@pytest.mark.skipif(AIRFLOW is None, reason="MEDSPARK_AIRFLOW names no Python that has Airflow")
def test_airflow_fills_in_the_nights_of_a_range_in_order_and_shows_the_one_that_a_gate_refuses_as_failed(
    tmp_path, airflow
):
    asked, command = tmp_path / "asked", tmp_path / "medspark"
    nights = [f"2026-11-{day}T02:05:00+01:00" for day in (18, 19, 20)]
    refuses = 'case "$*" in *2026-11-19T*) exit 4;; esac'  # as a gate does, which the test above has in earnest
    command.write_text(f'#!/bin/sh\necho begun "$4" >> {asked}; sleep 1; echo ended "$4" >> {asked}\n{refuses}\n')
    command.chmod(0o700)
    written(airflow.dags, command, first=date.today(), deployment="wards")
    read = airflow("dags", "reserialize")
    assert read.returncode == 0, read.stderr[-2000:]
    days = ["--from-date", "2026-11-17", "--to-date", "2026-11-19T12:00:00"]
    made = airflow("backfill", "create", "--dag-id", "medspark-wards", *days)  # before: SQLite takes one writer
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    with scheduling(airflow):
        until = time.monotonic() + 240
        while not (asked.exists() and asked.read_text().count("ended") == len(nights)) and time.monotonic() < until:
            time.sleep(1)
        found = runs_of(airflow)
        while set(found.values()) & {"queued", "running"} and time.monotonic() < until:
            time.sleep(5)
            found = runs_of(airflow)
        assert found == {"2026-11-17": "success", "2026-11-18": "failed", "2026-11-19": "success"}
    assert asked.read_text().splitlines() == [f"{what} {night}" for night in nights for what in ("begun", "ended")]
