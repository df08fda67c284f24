"""One warehouse, four places: files, PostgreSQL, Delta tables and a catalog give the same cases, byte for byte.

The session that reads them has packages, which a process chooses once: it lives in a process of its own.
"""

import csv
import hashlib
import os
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from support.places import ROOT
from support.postgres import PASSWORD, USER, Server, binaries, started

CONF = ROOT / "conf"
TABLES = (
    "person",
    "observation_period",
    "visit_occurrence",
    "visit_detail",
    "condition_occurrence",
    "condition_era",
    "drug_exposure",
    "drug_era",
    "procedure_occurrence",
    "device_exposure",
    "specimen",
    "measurement",
    "observation",
    "death",
    "note",
    "concept_ancestor",
    "concept_relationship",
)
"""Those of conf/sources/omop.yaml, and the two that relate concepts."""

Away = Callable[..., Any]


def kind_of(column: str) -> str:
    """The type of a column of the CDM as PostgreSQL has it."""
    if column == "value_as_number":
        return "numeric"
    if column == "quantity":
        return "double precision"
    if column.endswith("_of_birth"):
        return "integer"
    ends = {"_id": "bigint", "_id_1": "bigint", "_id_2": "bigint", "_date": "date", "_datetime": "timestamp"}
    words = {"relationship_id": "text"}
    return words.get(column) or next((kind for end, kind in ends.items() if column.endswith(end)), "text")


# ---------------------------------------------------------------- the process with packages


def _begin(home: str) -> None:
    from medspark.runs.console import send_chatter_to

    os.chdir(home)
    os.environ |= {"SPARK_CONF_DIR": home, "PG_USER": USER, "PG_PASSWORD": PASSWORD}
    os.environ.setdefault("MEDSPARK_DRIVER_MEMORY", "2g")
    os.environ |= {"MEDSPARK_MASTER": "local[2]", "MEDSPARK_SQL_SHUFFLE_PARTITIONS": "2"}
    send_chatter_to(Path(home) / "log")


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except BaseException:  # Spark's errors and pytest's do not survive the way back
        raise RuntimeError(traceback.format_exc()) from None


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Away]:
    """Call a function of this module in the process whose session has the packages."""
    home = tmp_path_factory.mktemp("session")
    (home / "spark-defaults.conf").write_text(
        f"spark.sql.warehouse.dir {home}/warehouse\nspark.databricks.delta.snapshotPartitions 2\n"
    )
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (str(home),)) as pool:
        yield lambda function, *arguments: pool.submit(_call, function, *arguments).result()


def session() -> SparkSession:
    from medspark.sources.databases.packages import DELTA, POSTGRESQL
    from medspark.spark.session import start_session

    return start_session("medspark tests with packages", (POSTGRESQL, DELTA))


def run(place: dict[str, Any], store: str) -> dict[str, Any]:
    """What clean and features make of conf/tasks/gi-bleed.yaml with its tables at `place`."""
    from pyspark.sql import functions as F
    from rich.console import Console

    from medspark.runs.receipt import Receipt, new_run_id
    from medspark.runs.run import Run
    from medspark.stages.clean import clean_stage
    from medspark.stages.features import features_stage
    from medspark.store.tables import read_table
    from medspark.task.event_source import EventSource
    from medspark.task.load import load_task

    spark = session()
    os.environ.setdefault("MEDSPARK_DATA", "unset")
    source = EventSource.model_validate({"kind": "events", "mapping": "omop", **place})
    task = load_task(CONF / "tasks" / "gi-bleed.yaml").model_copy(update={"source": source})
    quiet = Console(quiet=True)
    run = Run(spark.sparkContext, store, quiet, Receipt("test", new_run_id(), {}), quiet)
    features_stage(run, clean_stage(run, task))
    assert spark._jsparkSession.sharedState().cacheManager().isEmpty()  # else the next run would see these rows
    cases = read_table(spark, store, "cases")
    records = read_table(spark, store, "records")
    hashes = F.xxhash64(*records.columns).cast("decimal(38,0)")
    clean = run.receipt.counts["clean"]
    return {
        "counts": {name: {**counts, "blank_lines": 0} for name, counts in clean["tables"].items()},
        "records": tuple(records.agg(F.count("*"), F.sum(hashes)).first()),
        "splits": run.receipt.counts["features"]["splits"],
        "rows": [tuple(row) for row in cases.select("case_id", "boolean_value").orderBy("case_id").collect()],
        "bytes": sha256_of(cases, f"{store}/sorted"),
        "values": digest_of(cases),
    }


def sha256_of(cases: DataFrame, path: str) -> tuple[str, str]:
    """Of the one Parquet file that the cases are written to, in their order, and of its pages without the footer.

    The footer lists a column's encodings in an order that each JVM chooses anew; all else is the same in any process.
    """
    cases.orderBy("case_id").coalesce(1).write.parquet(path)
    (file,) = Path(path).glob("*.parquet")
    content = file.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    return hashlib.sha256(content).hexdigest(), hashlib.sha256(content[:-footer]).hexdigest()


def digest_of(cases: DataFrame) -> str:
    """Of every value, floats by their bits, whatever Parquet makes of them."""
    digest = hashlib.sha256(repr(cases.dtypes).encode())
    for row in cases.orderBy("case_id").toLocalIterator():
        digest.update(repr(canonical(row.asDict(recursive=True))).encode())
    return digest.hexdigest()


def canonical(value: Any) -> Any:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return [(key, canonical(item)) for key, item in value.items()]
    return [canonical(item) for item in value] if isinstance(value, list) else value


def write_delta(files: str, path: str) -> None:
    """The tables as a warehouse has them: typed, times without a zone."""
    from pyspark.sql import functions as F

    types = {"numeric": "decimal(18,6)", "double precision": "double", "timestamp": "timestamp_ntz", "text": "string"}
    for table in TABLES:
        raw = session().read.csv(f"{files}/{table}.csv", header=True)
        typed = []
        for name in raw.columns:
            kind = kind_of(name)
            whole = kind in ("bigint", "integer")  # written 6.0
            value = F.col(name).cast("decimal(38,1)") if whole else F.col(name)
            typed.append(value.cast(types.get(kind, kind)).alias(name))
        raw.select(*typed).coalesce(2).write.format("delta").save(f"{path}/{table}")


# ---------------------------------------------------------------- PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server: install it, as with apt-get install postgresql")
    with started(folder) as server:
        yield server


def load(server: Server, files: Path) -> None:
    """Copy the tables into the schema cdm, each column with its type."""
    server.run("CREATE SCHEMA cdm; CREATE SCHEMA raw")
    for table in TABLES:
        with (files / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            names = next(csv.reader(file))
        server.run(f"CREATE TABLE raw.{table} ({', '.join(f'{name} text' for name in names)})")
        server.run(f"\\copy raw.{table} FROM '{files / table}.csv' WITH (FORMAT csv, HEADER)")
        typed = ", ".join(f"{as_typed(name)} AS {name}" for name in names)
        server.run(f"CREATE TABLE cdm.{table} AS SELECT {typed} FROM raw.{table}")


def as_typed(name: str) -> str:
    kind = kind_of(name)
    return f"{name}::numeric::{kind}" if kind in ("bigint", "integer") else f"{name}::{kind}"


# ---------------------------------------------------------------- the tests


def every_fourth_patient(files: Path, folder: Path) -> Path:
    """The tables with the rows of so many, and what is of no patient whole: four places are read here."""
    folder.mkdir()
    for table in TABLES:
        whole = (files / f"{table}.csv").open(encoding="utf-8", newline="")
        with whole, (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as few:
            rows, out = csv.reader(whole), csv.writer(few)
            header = next(rows)
            at = header.index("person_id") if "person_id" in header else None
            out.writerow(header)
            out.writerows(row for row in rows if at is None or float(row[at]) % 4 == 0)
    return folder


@pytest.mark.integration
@pytest.mark.data
def test_files_a_database_and_delta_tables_give_the_same_cases_byte_for_byte(
    away: Away,
    server: Server,
    data: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    files = every_fourth_patient(data / "omop_gibleed" / "csv", tmp_path / "csv")
    load(server, files)
    away(write_delta, str(files), str(tmp_path / "delta"))
    database = {
        "url": server.url,
        "schema": "cdm",
        "user_variable": "PG_USER",
        "password_variable": "PG_PASSWORD",
        "partitions": 4,
    }
    from_files = away(run, {"format": "csv", "path": str(files)}, str(tmp_path / "files"))
    from_database = away(run, {"format": "jdbc", "database": database}, str(tmp_path / "database"))
    from_delta = away(run, {"format": "delta", "path": str(tmp_path / "delta")}, str(tmp_path / "from_delta"))
    assert len(from_files["rows"]) > 250
    assert from_files["counts"]["condition_occurrence"]["with_events"] > 15_000
    for name in ("bytes", "values", "records"):
        record_property(name, str(from_files[name]))  # a decimal would not reach the process that reports
    assert from_database == from_files
    assert from_delta == from_files


SMALL = {
    "person": "person_id,year_of_birth,gender_concept_id,race_concept_id,ethnicity_concept_id\n"
    "1,1950,8532,8516,0\n2,1980,8507,8527,0\n3,2001,8507,0,0\n",
    "observation_period": "person_id,observation_period_start_date,observation_period_end_date\n"
    "1,2000-01-01,2010-01-01\n2,2000-01-01,2010-01-01\n3,2000-01-01,2010-01-01\n",
    "condition_occurrence": "person_id,condition_concept_id,condition_start_date\n"
    "1,192671,2005-07-01\n2,4112343,2004-07-01\n",
    "drug_exposure": "person_id,drug_concept_id,drug_exposure_start_date,quantity\n"
    "1,44923712,2005-06-01,10\n2,1124300,2005-06-01,\n3,1124300,2005-06-01,\n",
    "concept_ancestor": "ancestor_concept_id,descendant_concept_id\n1118084,44923712\n",
}
"""A woman who bleeds a month after celecoxib, a man who does not after diclofenac, and a child."""


def from_catalog(files: str, store: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What becomes of the tables as files, and of the same ones in a catalog's database."""
    spark = session()
    types = {"text": "string", "double precision": "double"}
    spark.sql("CREATE DATABASE hospital")
    for table in SMALL:
        header = SMALL[table].split("\n", 1)[0].split(",")
        schema = ", ".join(f"{name} {types.get(kind_of(name), kind_of(name))}" for name in header)
        read = spark.read.csv(f"{files}/{table}.csv", header=True, schema=schema)
        read.write.format("parquet").saveAsTable(f"hospital.{table}")
    of_files = run({"format": "csv", "path": files}, f"{store}/files")
    return of_files, run({"format": "catalog", "path": "hospital"}, f"{store}/catalog")


@pytest.mark.integration
def test_a_catalogs_tables_give_the_same_cases_as_files(away: Away, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for table, text in SMALL.items():
        (files / f"{table}.csv").write_text(text)
    of_files, of_catalog = away(from_catalog, str(files), str(tmp_path / "store"))
    assert of_files["rows"] == [("1@2005-06-01T00:00:00.000000", True), ("2@2005-06-01T00:00:00.000000", False)]
    assert of_files["counts"]["person"]["with_events"] == 3
    assert of_catalog == of_files
