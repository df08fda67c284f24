"""The packages of a source: those that it needs, and how they come to a session."""

import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession
from support.databases import database_at, tables_at
from support.errors import told
from support.places import ROOT
from support.postgres import PASSWORD, USER, Server

from medspark.errors import InputError
from medspark.sources.databases.open import open_source
from medspark.sources.databases.packages import DELTA, POSTGRESQL, packages_for

SUBMITTED = """
import sys
from medspark.sources.databases.open import open_source
from medspark.sources.databases.packages import packages_for
from medspark.task.connection import Connection
from medspark.task.event_source import EventSource
from medspark.spark.session import start_session

url, folder = sys.argv[1:]
database = Connection(url=url, user_variable="PG_USER", password_variable="PG_PASSWORD")
jdbc = EventSource(kind="events", mapping="omop", format="jdbc", database=database)
delta = EventSource(kind="events", mapping="omop", format="delta", path=folder)
spark = start_session("submitted", packages_for(jdbc) + packages_for(delta))
with open_source(spark, jdbc) as tables:
    tables.read("person", "person_id").write.format("delta").save(f"{folder}/person")
with open_source(spark, delta) as tables:
    print("rows", tables.read("person").count())
"""


@pytest.mark.integration
def test_under_spark_submit_the_packages_are_those_of_its_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(SUBMITTED)
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    done = subprocess.run(
        [submit, "--master", "local[2]", "--packages", f"{POSTGRESQL},{DELTA}", "job.py", server.url, tmp_path / "d"],
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "PG_USER": USER,
            "PG_PASSWORD": PASSWORD,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "rows 101" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_a_session_without_the_packages_says_how_to_add_them(spark: SparkSession, tmp_path: Path) -> None:
    for source, package in [(database_at("jdbc:postgresql://h/d"), POSTGRESQL), (tables_at("delta", tmp_path), DELTA)]:
        says = told(InputError, lambda source=source: open_source(spark, source).__enter__())
        assert f"With spark-submit, add: --packages {package}." in says


def test_only_databases_need_packages() -> None:
    assert packages_for(database_at("jdbc:postgresql://h/d")) == (POSTGRESQL,)
    assert packages_for(tables_at("delta", "d")) == (DELTA,)
    assert packages_for(database_at("jdbc:sqlserver://h")) == packages_for(tables_at("csv", "d")) == ()
    assert packages_for(tables_at("catalog", "d")) == ()


def test_which_packages_a_source_needs_is_known_without_spark() -> None:
    code = "import sys, medspark.sources.databases.packages; print('pyspark' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert said.stdout == b"False\n", said.stderr
