"""Spark's log of a failing run: which error, at which frames, and nothing of the row."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.errors import SECRET

RUN = """
import sys
from pyspark.sql import functions as F
from medspark.spark.failures import name_of
from medspark.spark.session import start_session

def python(batches):
    for batch in batches:
        raise ValueError(f"no number in {batch.to_pylist()}")
        yield batch

spark = start_session("t")
rows = spark.createDataFrame([(sys.argv[1],), ("7",)], "note string").repartition(2)
for frame in (
    rows.selectExpr("cast(note as int)"),
    rows.select(F.col("note").cast("int")),
    rows.selectExpr("to_date(note, 'yyyy')"),
    rows.selectExpr("raise_error(note)"),
    rows.selectExpr("raise_error(concat(note, char(10), note))"),
    rows.mapInArrow(python, "note string"),
):
    for act in (frame.collect, frame.write.mode("overwrite").parquet, frame.rdd.count):
        try:
            act(*([sys.argv[2]] if "parquet" in act.__name__ else []))
        except Exception as error:
            print(name_of(error))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What rows that fail in six ways, read three ways each, leave on standard output and standard error."""
    place = tmp_path_factory.mktemp("logs")
    command = [sys.executable, "-c", RUN, SECRET, str(place / "out")]
    found = subprocess.run(command, env={**os.environ, "MEDSPARK_MASTER": "local[2,2]"}, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    assert len(found.stdout.splitlines()) == 18
    return found


def test_no_row_that_fails_is_in_the_log(said: subprocess.CompletedProcess[str]) -> None:
    assert SECRET not in said.stdout
    assert SECRET not in said.stderr
    assert "4711" not in said.stderr


def test_the_log_names_the_error_and_its_frames(said: subprocess.CompletedProcess[str]) -> None:
    assert "org.apache.spark.SparkNumberFormatException: [CAST_INVALID_INPUT]\n\tat org.apache.spark" in said.stderr
    assert "NumberFormatException: CAST_INVALID_INPUT" in said.stdout


def test_the_shipped_layouts_are_one(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "conf" / "spark" / "log4j2.properties"
    ours = Path(__file__).parents[2] / "medspark" / "spark" / "log4j2.properties"
    layouts = [
        [line for line in path.read_text().splitlines() if line.startswith("property.")] for path in (shipped, ours)
    ]
    assert len(layouts[0]) == 4
    assert layouts[0] == layouts[1]


FOREIGN = """rootLogger.level = info
rootLogger.appenderRef.all.ref = all
appender.all.type = Console
appender.all.name = all
appender.all.target = SYSTEM_ERR
appender.all.layout.type = PatternLayout
appender.all.layout.pattern = FOREIGN %m%n%ex
{name}
"""
FAIL = """
import sys
from medspark.spark.session import start_session
spark = start_session("t")
print("STARTED", file=sys.stderr, flush=True)
try:
    spark.createDataFrame([(sys.argv[1],)], "note string").selectExpr("cast(note as int)").collect()
except Exception:
    pass
"""


@pytest.mark.integration
@pytest.mark.parametrize(("name", "kept"), [("", False), ("name = medspark-of-ours", True)])
def test_a_foreign_configuration_gives_way_unless_it_is_named_medspark(name: str, kept: bool, tmp_path: Path) -> None:
    path = tmp_path / "log4j2.properties"
    path.write_text(FOREIGN.format(name=name))
    options = {"JDK_JAVA_OPTIONS": f"-Dlog4j2.configurationFile=file:{path}", "MEDSPARK_MASTER": "local[2]"}
    script = FAIL.replace("from medspark", "import medspark.spark.session as s; s.LOG4J = sys.argv[2]\nfrom medspark")
    command = [sys.executable, "-c", script, SECRET, str(path)]
    said = subprocess.run(command, env={**os.environ, **options}, capture_output=True, text=True).stderr
    assert "FOREIGN" in said.partition("STARTED")[0]
    assert ("FOREIGN" in said.partition("STARTED")[2], SECRET in said) == (kept, kept), said[-3000:]
