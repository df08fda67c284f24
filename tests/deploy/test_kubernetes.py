"""What can be known of conf/spark/kubernetes without a cluster: fields, types, paths, versions and arguments."""

import re
from pathlib import Path

import pytest
import typer.main
import yaml
from jsonschema import Draft202012Validator
from support.places import ROOT

from medspark.cli.main import app
from medspark.deploy.deployment import Clock, Deployment, FileSink
from medspark.deploy.kubernetes import scheduled_application
from medspark.errors import TaskError

FOLDER = ROOT / "conf" / "spark" / "kubernetes"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()

TEXT, COUNT, FLAG = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}, {"type": "boolean"}
MEMORY = {"type": "string", "pattern": r"^\d+[mg]$"}


def exactly(required: dict, **optional: object) -> dict:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": [*required],
        "additionalProperties": False,
    }


UNPRIVILEGED = exactly(
    {
        "runAsNonRoot": {"const": True},
        "runAsUser": {"const": 185},
        "runAsGroup": {"const": 185},
        "allowPrivilegeEscalation": {"const": False},
        "capabilities": {"const": {"drop": ["ALL"]}},
    }
)
POD = {"cores": COUNT, "memory": MEMORY, "memoryOverhead": MEMORY, "securityContext": UNPRIVILEGED}
RESTART = exactly(
    {"type": {"enum": ["Never", "Always", "OnFailure"]}},
    onFailureRetries=COUNT,
    onFailureRetryInterval=COUNT,
    onSubmissionFailureRetries=COUNT,
    onSubmissionFailureRetryInterval=COUNT,
)
APPLICATION = exactly(
    {
        "type": {"const": "Python"},
        "pythonVersion": {"const": "3"},
        "mode": {"const": "cluster"},
        "sparkVersion": TEXT,
        "image": TEXT,
        "mainApplicationFile": TEXT,
        "arguments": {"type": "array", "items": TEXT},
        "sparkConf": {"type": "object", "additionalProperties": TEXT},
        "restartPolicy": RESTART,
        "driver": exactly({**POD, "serviceAccount": TEXT}),
        "executor": exactly({**POD, "instances": COUNT}),
    }
)
SCHEDULE = exactly(
    {
        "schedule": TEXT,
        "timeZone": TEXT,
        "concurrencyPolicy": {"enum": ["Allow", "Forbid", "Replace"]},
        "successfulRunHistoryLimit": COUNT,
        "failedRunHistoryLimit": COUNT,
        "template": APPLICATION,
    }
)
"""The part of the Spark operator's definitions that medspark uses: its field names, and the types they have there."""


def resource(kind: str, spec: dict) -> dict:
    named = exactly({"name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,52}$"}})
    version = {"const": "sparkoperator.k8s.io/v1beta2"}
    return exactly({"apiVersion": version, "kind": {"const": kind}, "metadata": named, "spec": spec})


def read(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text())


def applications() -> list:
    return [
        pytest.param(read("score.yaml")["spec"], id="score"),
        pytest.param(read("score-nightly.yaml")["spec"]["template"], id="nightly"),
    ]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("score.yaml", resource("SparkApplication", APPLICATION)),
        ("score-nightly.yaml", resource("ScheduledSparkApplication", SCHEDULE)),
    ],
)
def test_every_field_is_the_operators_and_of_its_type(name, schema):
    assert [error.message for error in Draft202012Validator(schema).iter_errors(read(name))] == []


def test_the_nightly_application_is_the_other_with_a_clock():
    assert read("score-nightly.yaml")["spec"]["template"] == read("score.yaml")["spec"]


RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


def test_the_clock_has_five_fields_each_in_its_range():
    fields = read("score-nightly.yaml")["spec"]["schedule"].split()
    assert len(fields) == 5
    for field, (low, high) in zip(fields, RANGES, strict=True):
        assert field == "*" or low <= int(field) <= high


@pytest.mark.parametrize("spec", applications())
def test_the_arguments_are_those_of_the_command(spec):
    main = re.fullmatch(r"local:///opt/medspark/jobs/(\w+)\.py", spec["mainApplicationFile"])
    command = typer.main.get_command(app).commands[main[1]]
    found = command.make_context(main[1], list(spec["arguments"]), resilient_parsing=False).params
    assert found["bundle"].startswith("hdfs://")
    assert found["source"].startswith("hdfs://")
    assert found["to"].startswith("hdfs://")


def test_a_deployments_application_is_the_nightly_one_with_its_clock_and_its_file():
    sinks = (FileSink(kind="csv", path="hdfs://namenode:8020/out"),)
    clock = Clock(at="05:30", timezone="Europe/Berlin")
    night = Deployment(deployment="stays_a", bundle="/b", store="/s", as_of=clock, sinks=sinks)
    ((name, text),) = scheduled_application(night, Path("/etc/stays.yaml")).items()
    found, kept = yaml.safe_load(text), read("score-nightly.yaml")
    assert name == "medspark-stays-a.yaml"
    schema = resource("ScheduledSparkApplication", SCHEDULE)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(found)] == []
    assert (found["spec"]["schedule"], found["spec"]["timeZone"]) == ("30 5 * * *", "Europe/Berlin")
    template, others = found["spec"]["template"], kept["spec"]["template"]
    own = ("mainApplicationFile", "arguments", "restartPolicy")
    assert {key: template[key] for key in template if key not in own} == {
        key: others[key] for key in others if key not in own
    }
    command = typer.main.get_command(app).commands["night"]
    assert command.make_context("night", template["arguments"], resilient_parsing=False).params["json_"]
    assert template["mainApplicationFile"] == "local:///opt/medspark/jobs/night.py"
    assert (ROOT / "jobs" / "night.py").is_file()


def test_a_name_that_is_too_long_for_an_application_is_refused_with_what_is_allowed():
    sinks = (FileSink(kind="csv", path="/out"),)
    nights = [Deployment(deployment="a" * length, bundle="/b", store="/s", sinks=sinks) for length in (34, 35)]
    ((_, text),) = scheduled_application(nights[0], Path("/etc/stays.yaml")).items()
    assert len(yaml.safe_load(text)["metadata"]["name"]) == 43
    with pytest.raises(TaskError, match="expected a name of at most 34 letters, received one of 35"):
        scheduled_application(nights[1], Path("/etc/stays.yaml"))


def copied() -> dict[str, str]:
    """What the Dockerfile copies from the project into the image that runs: source by place."""
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    return {place: source for source, place in re.findall(r"^COPY (\S+) (\S+)$", final, re.M)}


@pytest.mark.parametrize("spec", applications())
def test_the_main_file_is_in_the_image(spec):
    path = spec["mainApplicationFile"].removeprefix("local://")
    place, source = next((place, source) for place, source in copied().items() if path.startswith(f"{place}/"))
    assert (ROOT / source / path.removeprefix(f"{place}/")).is_file()


def test_everything_the_image_is_made_of_is_in_the_project():
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M):
        for source in sources.split():
            assert (ROOT / source).exists(), source


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("spec", applications())
def test_the_versions_are_those_that_are_tested(spec):
    spark = constraints()["pyspark"]
    assert spec["sparkVersion"] == spark
    assert re.findall(r"apache/spark:([\d.]+)-", DOCKERFILE) == [spark]
    assert "--constraint constraints.txt" in DOCKERFILE
    project = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"', project, re.M)[1]
    assert spec["image"] == f"medspark:{version}"
    assert f"-t medspark:{version} " in DOCKERFILE
    for python in re.findall(r"^FROM python:(\d+\.\d+)-", DOCKERFILE, re.M):
        assert f'requires-python = ">={python},' in project


def test_the_image_runs_as_the_user_that_the_application_asks_for():
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.M)[-1] == "185"


@pytest.mark.parametrize("spec", applications())
def test_memory_and_cores_are_those_of_yarn(spec):
    text = (ROOT / "conf" / "spark" / "yarn.conf").read_text()
    yarn = dict(line.split() for line in text.splitlines() if line.startswith("spark."))
    for who in ("driver", "executor"):
        for what in ("memory", "memoryOverhead", "cores", "instances"):
            assert str(spec[who].get(what)) == yarn.get(f"spark.{who}.{what}", "1" if what == "cores" else "None")
    assert spec["sparkConf"] == {key: yarn[key] for key in spec["sparkConf"]}
