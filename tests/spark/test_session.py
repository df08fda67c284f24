"""The session: settings that keep Spark from losing data, and one clear sentence where Java is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from medspark.spark.class_archive import archive_path
from medspark.spark.session import SETTINGS, require_java

START = "from medspark.spark.session import start_session\nstart_session('t')"


def test_every_setting_that_keeps_data_whole_is_set(spark: SparkSession) -> None:
    assert {key: spark.sparkContext.getConf().get(key) for key in SETTINGS} == SETTINGS
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"


def last_line(code: str, **environment: str) -> str:
    """The last line that Python says when this code fails in an environment of its own."""
    failed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert failed.returncode == 1
    return failed.stderr.strip().splitlines()[-1]


def test_a_missing_java_is_one_clear_sentence(tmp_path: Path) -> None:
    says = last_line(START, PATH=str(tmp_path))
    assert "medspark needs Java 17 or newer to run Spark, and finds none. Install a JRE" in says


def test_a_java_home_without_java_is_one_clear_sentence(tmp_path: Path) -> None:
    assert "finds none. Install a JRE" in last_line(START, PATH=os.environ["PATH"], JAVA_HOME=str(tmp_path))


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_392"])
def test_a_java_too_old_is_named(version: str, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n")
    java.chmod(0o755)
    assert f"finds {version}" in last_line(START, PATH=f"{tmp_path}:/bin")


IVY = """<ivysettings><settings defaultResolver="none"/>
<resolvers><filesystem name="none"><artifact pattern="{folder}/[artifact].[ext]"/></filesystem></resolvers>
</ivysettings>"""


def test_a_package_that_cannot_be_fetched_is_named(tmp_path: Path) -> None:
    (tmp_path / "ivy.xml").write_text(IVY.format(folder=tmp_path))
    settings = f"spark.jars.ivy {tmp_path}/ivy\nspark.jars.ivySettings {tmp_path}/ivy.xml\n"
    (tmp_path / "spark-defaults.conf").write_text(settings)
    start = "from medspark.spark.session import start_session\nstart_session('t', ['org.example:absent:1'])"
    says = last_line(start, **{**os.environ, "SPARK_CONF_DIR": str(tmp_path)})
    assert "MedsparkError: Spark could not start with the packages org.example:absent:1: its log says whether" in says


ARGUMENTS = """
from medspark.spark.session import start_context
context = start_context("t", light={light})
print([*context._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments()])
"""


@pytest.mark.parametrize("light", [True, False])
def test_java_compiles_quickly_rather_than_well_where_it_only_hands_out_work(light: bool) -> None:
    command = [sys.executable, "-c", ARGUMENTS.format(light=light)]
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"}
    said = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "-Dlog4j2" in said.stdout, said.stderr
    assert ("'-XX:TieredStopAtLevel=1'" in said.stdout) == light


# ---------------------------------------------------------------- Java's archive of classes

MAPPED = """
from medspark.spark.session import start_session
java = start_session("t").sparkContext._gateway.proc
print(".jsa" in open(f"/proc/{java.pid}/maps").read().replace("classes.jsa", "").replace("classes_nocoops.jsa", ""))
"""
"""Says whether a session's Java has mapped an archive beside its own."""


def run_with(cache: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads what a process has mapped, as Linux tells it")
def test_classes_are_archived_once_and_mapped_by_each_later_session(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archive = archive_path(require_java())
    archive.parent.mkdir()
    archive.write_bytes(b"not an archive" * 100_000)
    python, medspark = sys.executable, str(Path(sys.executable).parent / "medspark")
    assert run_with(tmp_path, python, "-c", MAPPED).stdout == "False\n"  # and Java says nothing where a receipt goes
    made = run_with(tmp_path, medspark, "share-classes")
    assert (made.returncode, made.stdout) == (0, f"{archive}\n"), made.stderr
    assert [*archive.parent.iterdir()] == [archive]
    assert run_with(tmp_path, python, "-c", MAPPED).stdout == "True\n"
    again = run_with(tmp_path, medspark, "share-classes")
    assert (again.returncode, again.stdout) == (0, f"{archive}\n"), again.stderr


@pytest.mark.integration
def test_java_that_writes_no_archive_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text("spark.eventLog.enabled false\n")
    medspark = str(Path(sys.executable).parent / "medspark")
    refused = run_with(tmp_path / "cache", medspark, "share-classes", SPARK_CONF_DIR=str(tmp_path / "conf"))
    assert refused.returncode == 1
    assert refused.stderr.startswith("Java wrote no archive of its classes.")
    assert list((tmp_path / "cache" / "medspark").iterdir()) == []
