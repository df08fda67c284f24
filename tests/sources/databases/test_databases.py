"""Tables of databases: one snapshot, exact values, quoted names, and a password that nothing repeats.

The session that reads them has packages, which a process chooses once: it lives in a process of its own, where the
functions below are sent. Its clock is New York's, so that nothing hangs on the JVM's zone.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import DataFrame, SparkSession
from support.places import ROOT
from support.postgres import PASSWORD, USER, Server, binaries, started

from medspark.errors import InputError, TaskError
from medspark.privacy.secrets import credentials, shown_url
from medspark.sources.databases.open import open_source
from medspark.sources.databases.packages import DELTA, POSTGRESQL, packages_for
from medspark.sources.databases.postgresql import IN_SNAPSHOT, JOIN
from medspark.sources.databases.source import OpenSource
from medspark.task.event_source import Connection, EventSource

Away = Callable[..., Any]


def of(server_url: str, **settings: Any) -> EventSource:
    database = {"url": server_url, "partitions": 4, "fetch": 2, **settings}
    return EventSource(kind="events", mapping="omop", format="jdbc", database=Connection(**database))


def folder_of(kind: str, path: object) -> EventSource:
    return EventSource(kind="events", mapping="omop", format=kind, path=str(path))


# ---------------------------------------------------------------- the process with packages


def _begin(home: str) -> None:
    from medspark.runs.console import send_chatter_to

    os.chdir(home)
    os.environ |= {"TZ": "America/New_York", "SPARK_CONF_DIR": home, "PG_USER": USER, "PG_PASSWORD": PASSWORD}
    os.environ.setdefault("MEDSPARK_DRIVER_MEMORY", "2g")
    os.environ |= {"MEDSPARK_MASTER": "local[2]", "MEDSPARK_SQL_SHUFFLE_PARTITIONS": "2"}
    send_chatter_to(Path(home) / "log")


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except BaseException:  # Spark's errors and pytest's do not survive the way back
        raise RuntimeError(traceback.format_exc()) from None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("session")
    (home / "events").mkdir()
    (home / "spark-defaults.conf").write_text(
        f"spark.eventLog.enabled true\nspark.eventLog.dir file:{home}/events\nspark.eventLog.compress false\n"
        f"spark.sql.warehouse.dir {home}/warehouse\nspark.databricks.delta.snapshotPartitions 2\n"
    )
    return home


@pytest.fixture(scope="module")
def away(home: Path) -> Iterator[Away]:
    """Call a function of this module in the process whose session has the packages."""
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (str(home),)) as pool:
        yield lambda function, *arguments: pool.submit(_call, function, *arguments).result()


def session() -> SparkSession:
    from medspark.spark.session import start_session

    return start_session("medspark tests with packages", (POSTGRESQL, DELTA))


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[OpenSource]:
    source = of(url, **{"user_variable": "PG_USER", "password_variable": "PG_PASSWORD", **settings})
    with open_source(session(), source) as tables:
        yield tables


def told(error: type[Exception], call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def values(frame: DataFrame) -> list[tuple[Any, ...]]:
    """The rows with every value as Spark writes it, in UTC."""
    from pyspark.sql import functions as F

    return [
        tuple(row)
        for row in frame.select(*(F.col(f"`{n.replace('`', '``')}`").cast("string") for n in frame.columns)).collect()
    ]


# ---------------------------------------------------------------- PostgreSQL

TABLES = """
CREATE TABLE person (person_id bigint, mrn text);
INSERT INTO person SELECT n, 'm' || n FROM generate_series(1, 100) n;
INSERT INTO person VALUES (NULL, 'nobody');
CREATE TABLE nobody (person_id bigint);
CREATE TABLE visit (person_id integer, reason text);
INSERT INTO visit SELECT n % 10, 'r' FROM generate_series(1, 50) n;
CREATE MATERIALIZED VIEW told AS SELECT person_id FROM visit;
CREATE DOMAIN dose AS numeric;
CREATE TYPE sex AS ENUM ('f', 'm');
CREATE TABLE kinds (
  id smallint, n numeric, d numeric(10,2), wide numeric(50,3), dose dose, r double precision, ok boolean, sex sex,
  local timestamp, zoned timestamptz, day date, c char(5), v varchar(9), u uuid, j json, "Odd `name; x" text, t time);
INSERT INTO kinds VALUES (
  1, 0.1234567890123456789012345, 1.50, 12345678901234567890123456789012345678901234567.125, 0.1000, 0.1, true, 'f',
  '2021-03-14 02:30:00.123456', '2021-03-14 02:30:00.123456+00', '1850-01-01', 'ab', 'cd',
  '00000000-0000-0000-0000-000000000001', '{"a": 1}', 'x', '12:30');
CREATE TABLE endless (id int, ends timestamp, day date, at timestamptz, d numeric(5,1));
INSERT INTO endless VALUES
  (1, 'infinity', '2020-01-01', '-infinity', 1), (2, '-infinity', '2020-01-01', '2020-01-01', 'NaN'),
  (3, '9999-12-31 23:59:59', '9999-12-31', '2020-01-01', 1), (4, NULL, NULL, NULL, NULL);
CREATE SCHEMA other;
CREATE TABLE other."DEATH" ("PERSON_ID" int);
INSERT INTO other."DEATH" VALUES (7);
CREATE TABLE other."a'b; DROP TABLE person" (x int);
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server: install it, as with apt-get install postgresql")
    with started(folder) as server:
        server.run(TABLES)
        yield server


def rows_of(frame: DataFrame, partitions: list[int]) -> int:
    """Rows of some partitions, read now, each on a connection of its own."""
    return len(frame.sparkSession.sparkContext.runJob(frame.rdd, list, partitions))


def around_a_commit(server: Server) -> list[int | bool]:
    with opened(server.url) as tables:
        person = tables.read("person", "person_id", ["person_id"])
        first = rows_of(person, [0])
        server.run("INSERT INTO person VALUES (1, 'late'), (60, 'late'), (99, 'late')")
        server.run("DELETE FROM visit; ALTER TABLE nobody ADD COLUMN late int; INSERT INTO nobody VALUES (1)")
        rest = rows_of(person, [1, 2, 3])
        inside = [first + rest, person.count(), tables.read("visit", "person_id").count()]
        inside.append(tables.read("nobody").count())
        consistent = tables.consistent
    with opened(server.url) as tables:
        after = [tables.read("person", "person_id").count(), tables.read("visit").count()]
    server.run("DELETE FROM person WHERE mrn = 'late'; DELETE FROM nobody; ALTER TABLE nobody DROP COLUMN late")
    server.run("INSERT INTO visit SELECT n % 10, 'r' FROM generate_series(1, 50) n")
    return [consistent, *inside, *after]


@pytest.mark.integration
def test_what_is_committed_between_two_partitions_or_tables_is_not_seen(away: Away, server: Server) -> None:
    assert away(around_a_commit, server) == [True, 101, 101, 50, 0, 104, 0]


def outside_the_snapshot(url: str) -> tuple[str, str]:
    with opened(url) as tables:
        frame = tables.read("person", "person_id")
    after = told(Exception, frame.count)
    # Without a fetch size Spark leaves autocommit on: joining a snapshot is then without effect
    plain = session().read.format("jdbc").options(url=url, user=USER, password=PASSWORD, fetchsize="0")
    plain = plain.option("driver", "org.postgresql.Driver")
    guarded = plain.options(sessionInitStatement=JOIN.replace("SET TRANSACTION SNAPSHOT '{snapshot}';", ""))
    return after, told(Exception, guarded.option("dbtable", f"(SELECT mrn FROM person{IN_SNAPSHOT}) AS s").load().count)


@pytest.mark.integration
def test_a_read_without_the_snapshot_fails_and_never_sees_other_rows(away: Away, server: Server) -> None:
    after, without = away(outside_the_snapshot, server.url)
    assert "snapshot" in after
    assert "this connection is not in the snapshot" in without


def sessions_left(server: Server) -> tuple[str, str]:
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'medspark'"
    try:
        with opened(server.url):
            during = server.run(count)
            raise KeyError
    except KeyError:
        return during, server.run(count)


@pytest.mark.integration
def test_the_snapshot_is_given_back_when_the_block_fails(away: Away, server: Server) -> None:
    assert away(sessions_left, server) == ("1", "0")


def partitions(url: str) -> dict[str, tuple[int, int, bool]]:
    with opened(url) as tables:
        read = {
            "person_id": tables.read("person", "person_id", ["person_id"]),
            "person_id, not selected": tables.read("person", "person_id", ["mrn"]),
            "mrn": tables.read("person", "mrn"),
            "derived": tables.read("person", "patient"),
            "nobody": tables.read("nobody", "person_id"),
        }
        assert read["person_id, not selected"].columns == ["mrn"]
        counts = {name: [len(part) for part in frame.rdd.glom().collect()] for name, frame in read.items()}
        return {name: (len(parts), sum(parts), min(parts) > 20) for name, parts in counts.items()}


@pytest.mark.integration
def test_a_table_is_read_in_ranges_of_a_whole_numbered_subject(away: Away, server: Server) -> None:
    assert away(partitions, server.url) == {
        "person_id": (4, 101, True),  # with the row whose subject is missing
        "person_id, not selected": (4, 101, True),
        "mrn": (1, 101, True),
        "derived": (1, 101, True),
        "nobody": (1, 0, False),
    }


def types(url: str) -> dict[str, tuple[str, str]]:
    with opened(url) as tables:
        frame = tables.read("kinds", "id")
        return {n: (kind, value) for (n, kind), value in zip(frame.dtypes, values(frame)[0], strict=True)}


@pytest.mark.integration
def test_every_value_arrives_as_it_is(away: Away, server: Server) -> None:
    assert away(types, server.url) == {
        "id": ("smallint", "1"),
        "n": ("string", "0.1234567890123456789012345"),
        "d": ("decimal(10,2)", "1.50"),
        "wide": ("string", "12345678901234567890123456789012345678901234567.125"),
        "dose": ("string", "0.1000"),
        "r": ("double", "0.1"),
        "ok": ("boolean", "true"),
        "sex": ("string", "f"),
        "local": ("timestamp_ntz", "2021-03-14 02:30:00.123456"),  # an hour that New York skips
        "zoned": ("timestamp", "2021-03-14 02:30:00.123456"),
        "day": ("date", "1850-01-01"),
        "c": ("string", "ab"),
        "v": ("string", "cd"),
        "u": ("string", "00000000-0000-0000-0000-000000000001"),
        "j": ("string", '{"a": 1}'),
        "Odd `name; x": ("string", "x"),
        "t": ("string", "12:30:00"),
    }


def endless(url: str) -> tuple[str, list[tuple[Any, ...]]]:
    with opened(url) as tables:
        return told(InputError, lambda: tables.read("endless")), values(tables.read("endless", "id", ["id", "day"]))


@pytest.mark.integration
def test_infinity_is_refused_with_its_column_and_count(away: Away, server: Server) -> None:
    says, days = away(endless, server.url)
    assert "table 'endless': expected times in the years 1 to 9999 and numbers, received infinity" in says
    assert "at (timestamp with time zone) in 1 rows; d (numeric(5,1)) in 1 rows; ends" in says
    assert "ends (timestamp without time zone) in 2 rows." in says
    assert sorted(days) == [("1", "2020-01-01"), ("2", "2020-01-01"), ("3", "9999-12-31"), ("4", None)]


def names(url: str) -> dict[str, Any]:
    with opened(url) as tables, opened(url, schema="other") as other:
        death = other.read("death", "person_id", ["person_id", "cause"], optional=["cause"])
        return {
            "tables": [
                tables.has_table(t) for t in ("person", "PERSON", "told", "persons", "person; DROP TABLE visit")
            ],
            "columns": other.columns("death"),
            "rows": (death.columns, values(death)),
            "odd": other.read("a'b; DROP TABLE person").count(),
            "told": tables.read("told", "person_id").count(),
            "table": told(InputError, lambda: tables.read("persn")),
            "sql": told(InputError, lambda: tables.read("person; DROP TABLE visit")),
            "column": told(InputError, lambda: tables.read("person", None, ["mnr"])),
            "schema": told(InputError, lambda: opened(url, schema="othr").__enter__()),
        }


@pytest.mark.integration
def test_names_are_looked_up_and_quoted(away: Away, server: Server) -> None:
    found = away(names, server.url)
    place = shown_url(server.url)
    assert found["tables"] == [True, True, True, False, False]
    assert found["columns"] == ("PERSON_ID",)
    assert found["rows"] == (["person_id"], [("7",)])
    assert (found["odd"], found["told"]) == (0, 50)
    assert found["table"].startswith(f"{place}: expected a table 'persn', received 6 tables without it. Did you mean")
    assert "expected a table 'person; DROP TABLE visit', received" in found["sql"]
    assert server.run("SELECT count(*) FROM visit") == "50"
    assert found["column"] == (
        f"{place}: table 'person': expected the columns mnr, received person_id, mrn. Did you mean 'mrn'?"
    )
    assert found["schema"].endswith("schemas without it. Did you mean 'other'?")


# ---------------------------------------------------------------- the password


def loud(url: str) -> str:
    """Everything that is said of a read, and of one that fails, with the log at its most talkative."""
    spark = session()
    spark.sparkContext.setLogLevel("DEBUG")
    try:
        with opened(url) as tables:
            person = tables.read("person", "person_id")
            frame = person.groupBy("mrn").count()
            frame.collect()
            spark.sparkContext.setLogLevel("ALL")  # set anew, it undoes nothing
            plans = [frame._jdf.queryExecution().explainString(mode) for mode in _modes(spark)]
            plans.append(frame._jdf.queryExecution().toString())
        plans.append(told(Exception, person.count))
    finally:
        spark.sparkContext.setLogLevel("WARN")
    return "\n".join(plans)


def _modes(spark: SparkSession) -> list[Any]:
    mode = spark.sparkContext._jvm.org.apache.spark.sql.execution.ExplainMode
    return [mode.fromString(name) for name in ("simple", "extended", "codegen", "cost", "formatted")]


@pytest.mark.integration
def test_the_password_is_in_no_plan_no_log_and_no_error(away: Away, server: Server, home: Path) -> None:
    said = away(loud, server.url)
    logs = [
        path.read_text(errors="replace") for path in [home / "log", *(home / "events").rglob("*")] if path.is_file()
    ]
    assert len(logs) >= 2
    assert any("SparkListenerSQLExecutionStart" in log and "person_id" in log for log in logs)
    assert any(" DEBUG " in log for log in logs)
    assert "JDBCRelation" in said
    assert [text for text in (said, *logs) if PASSWORD in text] == []


def refused(url: str, **environment: str) -> str:
    os.environ |= environment
    try:
        return told(InputError, lambda: opened(url).__enter__())
    finally:
        os.environ["PG_PASSWORD"] = PASSWORD


def refused_with(url: str, password: str) -> str:
    return refused(url, PG_PASSWORD=password)


@pytest.mark.integration
def test_a_failed_connection_says_where_and_why_and_nothing_secret(away: Away, server: Server) -> None:
    place = shown_url(server.url)
    says = away(refused_with, server.url, "wrong-one")
    assert says == (
        f"{place}: could not connect: the user or the password was refused (PSQLException, SQL state 28P01)"
    )
    absent = away(refused_with, server.url.replace("/postgres", "/nowhere"), PASSWORD)
    assert "could not connect: there is no such database (PSQLException, SQL state 3D000)" in absent
    closed = away(refused_with, "jdbc:postgresql://127.0.0.1:1/postgres", PASSWORD)
    assert "127.0.0.1:1/postgres: could not connect: the server could not be reached" in closed


def by_file(url: str, path: str) -> int:
    with opened(url, user_variable=None, password_variable=None, credentials=path) as tables:
        return tables.read("person").count()


@pytest.mark.integration
def test_a_file_of_credentials_opens_the_database(away: Away, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"# of the nightly job\nuser = {USER}\npassword={PASSWORD}\n")
    path.chmod(0o600)
    assert away(by_file, server.url, str(path)) == 101


SECRET = "s3cret=word"


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (f"user=u\npassword={SECRET}", 0o640, "for its owner only, received mode 640. Run chmod 600"),
        (f"user=u\npassword={SECRET}", 0o604, "received mode 604"),
        (f"password={SECRET}", 0o600, "expected the two lines user=... and password=..."),
        (f"user=u\npassword={SECRET}\n{SECRET}", 0o600, "expected the two lines"),
        (f"user=u\n{SECRET}", 0o600, "expected the two lines"),
        (None, 0o600, "expected a file at"),
    ],
)
def test_a_bad_file_of_credentials_is_refused(text: str | None, mode: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    found = told(TaskError, lambda: credentials(Connection(url="jdbc:x:y", credentials=str(path))))
    assert says in found
    assert SECRET not in found


def test_a_password_may_have_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"user=u\npassword={SECRET}")
    path.chmod(0o600)
    assert credentials(Connection(url="jdbc:x:y", credentials=str(path))) == {"user": "u", "password": SECRET}


def test_unset_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    database = Connection(url="jdbc:x:y", user_variable="PATH", password_variable="NO_SUCH")
    says = told(TaskError, lambda: credentials(database))
    assert "password_variable: expected the password in the environment as NO_SUCH, found none" in says


def test_variables_and_a_file_are_too_many() -> None:
    database = Connection(url="jdbc:x:y", user_variable="PATH", credentials="f")
    assert "received both" in told(TaskError, lambda: credentials(database))


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:postgresql://h/d?user=u",
        "jdbc:postgresql://h/d?ssl=true&password=word",
        "jdbc:sqlserver://h;databaseName=d;Password=word",
        "jdbc:mysql://u:word@h/d",
        "jdbc:oracle:thin:u/word@h:1521/d",
    ],
)
def test_a_password_in_the_url_is_refused_without_repeating_it(url: str) -> None:
    says = told(TaskError, lambda: credentials(Connection(url=url)))
    assert "url: expected neither user nor password in it" in says
    assert "word." not in says.replace("password", "")


def test_a_url_without_one_is_taken() -> None:
    assert credentials(Connection(url="jdbc:postgresql://h:5432/d?ssl=true")) == {}
    assert credentials(Connection(url="jdbc:oracle:thin:@//h:1521/d")) == {}


# ---------------------------------------------------------------- other databases, Delta tables, catalogs


def derby() -> dict[str, Any]:
    url = "jdbc:derby:memory:hospital"
    people = session().createDataFrame([(n, "x") for n in range(40)], "person_id int, mrn string")
    people.write.jdbc(f"{url};create=true", '"person_a"')
    people.limit(1).write.jdbc(url, '"personXa"')
    with open_source(session(), of(url)) as tables:
        frame = tables.read("PERSON_A", "person_id", ["person_id"])
        return {
            "consistent": tables.consistent,
            "tables": tables.tables,
            "columns": tables.columns("person_a"),
            "read": (frame.rdd.getNumPartitions(), frame.count()),
            "missing": told(InputError, lambda: tables.read("persona")),
        }


@pytest.mark.integration
def test_another_database_is_read_without_a_snapshot_and_says_so(away: Away) -> None:
    found = away(derby)
    assert found["missing"].startswith("jdbc:derby:memory:hospital: expected a table 'persona', received 2 tables")
    assert {key: found[key] for key in ("consistent", "tables", "columns", "read")} == {
        "consistent": False,
        "tables": ("personXa", "person_a"),
        "columns": ("person_id", "mrn"),
        "read": (4, 40),
    }


def delta(path: str) -> dict[str, Any]:
    def write(table: str, rows: int, mode: str) -> None:
        session().range(rows).toDF("person_id").write.format("delta").mode(mode).save(f"{path}/{table}")

    write("person", 2, "overwrite")
    write("person", 3, "append")
    write("odd`name", 1, "overwrite")
    session().range(1).write.parquet(f"{path}/no_delta")
    with open_source(session(), folder_of("delta", path)) as tables:
        write("person", 10, "append")
        return {
            "versions": tables.versions,
            "rows": (tables.read("PERSON", "person_id").count(), tables.read("odd`name").count()),
            "has": [tables.has_table(name) for name in ("person", "no_delta", "../person")],
            "missing": told(InputError, lambda: tables.read("person", None, ["person"])),
        }


@pytest.mark.integration
def test_a_delta_table_is_read_as_it_was_when_the_source_was_opened(away: Away, tmp_path: Path) -> None:
    found = away(delta, str(tmp_path))
    assert found["versions"] == {"odd`name": 0, "person": 1}
    assert found["rows"] == (5, 1)
    assert found["has"] == [True, False, False]
    assert "table 'person': expected the columns person, received person_id." in found["missing"]


def catalog() -> dict[str, Any]:
    spark = session()
    spark.sql("CREATE DATABASE `hospital`")
    spark.sql("CREATE TABLE `hospital`.person USING parquet AS SELECT 1 AS person_id, 2 AS `a.b`")
    spark.range(5).createOrReplaceTempView("visit")
    with open_source(spark, folder_of("catalog", "spark_catalog.hospital")) as tables:
        frame = tables.read("Person", "person_id", ["person_id", "a.b"])
        return {
            "tables": tables.tables,
            "rows": (frame.columns, values(frame)),
            "consistent": tables.consistent,
            "missing": told(InputError, lambda: tables.read("visit")),
            "database": told(InputError, lambda: open_source(spark, folder_of("catalog", "hospitl")).__enter__()),
        }


@pytest.mark.integration
def test_a_catalogs_tables_are_read_by_their_names(away: Away) -> None:
    found = away(catalog)
    assert found["tables"] == ("person",)
    assert found["rows"] == (["person_id", "a.b"], [("1", "2")])
    assert not found["consistent"]
    assert "spark_catalog.hospital: expected a table 'visit', received 1 tables without it." in found["missing"]
    assert found["database"] == "expected a database 'hospitl' in the session's catalogs, found none of that name"


# ---------------------------------------------------------------- packages

SUBMITTED = """
import sys
from medspark.sources.databases.open import open_source
from medspark.sources.databases.packages import packages_for
from medspark.task.event_source import Connection, EventSource
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
    for source, package in [(of("jdbc:postgresql://h/d"), POSTGRESQL), (folder_of("delta", tmp_path), DELTA)]:
        says = told(InputError, lambda source=source: open_source(spark, source).__enter__())
        assert f"With spark-submit, add: --packages {package}." in says


def test_only_databases_need_packages() -> None:
    assert packages_for(of("jdbc:postgresql://h/d")) == (POSTGRESQL,)
    assert packages_for(folder_of("delta", "d")) == (DELTA,)
    assert packages_for(of("jdbc:sqlserver://h")) == packages_for(folder_of("csv", "d")) == ()
    assert packages_for(folder_of("catalog", "d")) == ()
