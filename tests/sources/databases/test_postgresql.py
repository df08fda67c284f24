"""PostgreSQL: one snapshot, exact values, quoted names, and a password that nothing repeats."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from support.databases import Away, opened, session, values
from support.errors import told
from support.postgres import PASSWORD, USER, Server

from medspark.errors import AwayError, InputError
from medspark.sources.databases import jdbc
from medspark.sources.databases.postgresql import IN_SNAPSHOT, JOIN
from medspark.task.jdbc_urls import shown_url


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
    _log_from(spark, "DEBUG")
    try:
        with opened(url) as tables:
            person = tables.read("person", "person_id")
            frame = person.groupBy("mrn").count()
            frame.collect()
            _log_from(spark, "ALL")  # set anew, it undoes nothing
            plans = [frame._jdf.queryExecution().explainString(mode) for mode in _modes(spark)]
            plans.append(frame._jdf.queryExecution().toString())
        plans.append(told(Exception, person.count))
    finally:
        _log_from(spark, "WARN")
    return "\n".join(plans)


def _log_from(spark: SparkSession, level: str) -> None:
    """By Log4j itself: where spark.log.level is set, as medspark sets it, Spark's own setLogLevel does nothing."""
    log4j = spark.sparkContext._jvm.org.apache.logging.log4j
    log4j.core.config.Configurator.setRootLevel(log4j.Level.toLevel(level))


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
    assert away(tries_of_a_server_that_is_away) == [8, 3]


def tries_of_a_server_that_is_away() -> list[int]:
    """The exit code of a server that stays away, and how often it was asked."""
    tried: list[float] = []
    before, jdbc.time = jdbc.time, SimpleNamespace(sleep=tried.append)
    try:
        opened("jdbc:postgresql://127.0.0.1:1/postgres").__enter__()
    except AwayError as error:
        return [error.exit_code, len(tried) + 1]
    finally:
        jdbc.time = before
    return []


def by_file(url: str, path: str) -> int:
    with opened(url, user_variable=None, password_variable=None, credentials=path) as tables:
        return tables.read("person").count()


@pytest.mark.integration
def test_a_file_of_credentials_opens_the_database(away: Away, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"# of the nightly job\nuser = {USER}\npassword={PASSWORD}\n")
    path.chmod(0o600)
    assert away(by_file, server.url, str(path)) == 101
