"""A table task's rows in PostgreSQL, a Delta table and a catalog: judged as the same rows in Parquet are."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.databases import Away, session, values
from support.errors import told
from support.postgres import Server

from medspark.clean.table import clean
from medspark.errors import InputError, TaskError
from medspark.task.load import check_task
from medspark.task.table_task import TableTask

STAYS = """VALUES
  (1, 10, 50.5, 'F', TIMESTAMP '2020-03-08 02:30:00', true),
  (2, 10, 500.0, 'M', TIMESTAMP '2020-03-09 00:00:00', false),
  (3, 11, NULL, 'X', TIMESTAMP '2020-03-10 00:00:00', NULL),
  (4, 99, 7.0, 'M', NULL, false),
  (4, 99, 7.0, 'M', NULL, false)"""
"""An impossible age, an unknown sex, and a row twice; an hour of New York's that no clock there shows."""
TASK: dict[str, Any] = {
    "task": "stays",
    "title": "Stays",
    "columns": {
        "stay": {"type": "long"},
        "patient": {"type": "long"},
        "age": {"type": "double", "range": [0, 120]},
        "sex": {"type": "category", "levels": ["F", "M"], "otherwise": "missing"},
        "at": {"type": "timestamp"},
        "back": {"type": "boolean"},
    },
    "outcome": {"name": "back", "when": "back"},
    "features": {"numeric": ["age"], "categorical": ["sex"]},
}
SAME = {"kind": "table", "case": "stay", "subject": "patient", "time": "at", "duplicates": {"same": "whole_row"}}


def task_at(**place: Any) -> TableTask:
    task, problems = check_task({**TASK, "source": {**SAME, **place}})
    assert problems == []
    assert isinstance(task, TableTask)
    return task


def cleaned(scoring: bool = False, **place: Any) -> dict[str, Any]:
    """What becomes of the rows of a source."""
    found = clean(session(), task_at(**place), scoring=scoring)
    try:
        counts = asdict(found.counts)
        aside = found.quarantine.select("rule", "reason", "raw").orderBy("rule")
        columns = [name for name in TASK["columns"] if name in found.records.columns]
        records = values(found.records.select(*columns).orderBy("stay"))
        return {"counts": counts, "records": records, "aside": values(aside), "fingerprint": found.fingerprint}
    finally:
        found.release()


def in_postgresql(server: Server) -> dict[str, Any]:
    database = {"url": server.url, "user_variable": "PG_USER", "password_variable": "PG_PASSWORD", "partitions": 4}
    return {"format": "jdbc", "table": "stays", "database": database}


def create(server: Server) -> None:
    """The stays in PostgreSQL, a column in letters of another case."""
    server.run(f"""
        DROP TABLE IF EXISTS stays CASCADE;
        CREATE TABLE stays (stay bigint, patient integer, "AGE" numeric(5,1), sex text, at timestamp, back boolean);
        INSERT INTO stays {STAYS}""")


def in_all_places(server: Server, folder: str) -> list[dict[str, Any]]:
    kinds = "stay bigint, patient int, age decimal(5,1), sex string, at timestamp_ntz, back boolean"
    typed = ", ".join(f"CAST({name} AS {kind}) {name}" for name, kind in (one.split() for one in kinds.split(", ")))
    rows = session().sql(f"SELECT {typed} FROM ({STAYS}) t(stay, patient, age, sex, at, back)").coalesce(1)
    rows.write.parquet(f"{folder}/parquet")
    rows.write.format("delta").save(f"{folder}/delta")
    session().sql("CREATE DATABASE hospital")
    rows.write.format("parquet").saveAsTable("hospital.stays")
    create(server)
    places = [
        {"format": "parquet", "path": f"{folder}/parquet"},
        in_postgresql(server),
        {"format": "delta", "path": f"{folder}/delta"},
        {"format": "catalog", "path": "hospital", "table": "stays"},
    ]
    found = [cleaned(**place) for place in places]
    assert session()._jsparkSession.sharedState().cacheManager().isEmpty()  # else the next run would see these rows
    return found


@pytest.mark.integration
def test_a_table_is_judged_alike_whatever_holds_it(away: Away, server: Server, tmp_path: Path) -> None:
    parquet, *others = away(in_all_places, server, str(tmp_path))
    assert parquet["records"] == [
        ("1", "10", "50.5", "F", "2020-03-08 02:30:00", "true"),
        ("3", "11", None, None, "2020-03-10 00:00:00", None),
        ("4", "99", "7.0", "M", None, "false"),
    ]
    assert parquet["counts"]["rows_in"] == 5
    assert parquet["counts"]["quarantined"] == {"age: range": 1}
    assert parquet["counts"]["duplicates"] == 1
    assert [rule for rule, _, _ in parquet["aside"]] == ["age: range", "duplicate"]
    for other in others:
        assert {**other, "fingerprint": ""} == {**parquet, "fingerprint": ""}
    assert len({other["fingerprint"] for other in others}) == 1


def told_of(server: Server, folder: str) -> dict[str, Any]:
    create(server)
    place = in_postgresql(server)
    before = cleaned(**place)["fingerprint"]
    server.run('UPDATE stays SET "AGE" = 8 WHERE stay = 4')
    says: dict[str, Any] = {"prints": (before, cleaned(**place)["fingerprint"])}
    server.run("ALTER TABLE stays DROP COLUMN back")
    says["scored"] = cleaned(scoring=True, **place)["records"]
    says["absent"] = told(InputError, lambda: cleaned(**place))
    server.run('ALTER TABLE stays ADD COLUMN back boolean; ALTER TABLE stays RENAME "AGE" TO agee')
    says["renamed"] = told(InputError, lambda: cleaned(**place))
    server.run("ALTER TABLE stays RENAME agee TO age")
    server.run("CREATE VIEW broken AS SELECT stay / (stay - 3) AS stay, patient, age, sex, at, back FROM stays")
    says["broken"] = told(InputError, lambda: cleaned(**{**place, "table": "broken"}))
    says["table"] = told(InputError, lambda: cleaned(**{**place, "table": "stay"}))
    says["delta"] = told(InputError, lambda: cleaned(format="delta", path=f"{folder}/none"))
    workers = lambda: clean(session(), task_at(**place), reader="workers")  # noqa: E731
    says["workers"] = told(TaskError, workers)
    return says


@pytest.mark.integration
def test_what_a_table_of_a_database_lacks_is_told_by_name(away: Away, server: Server, tmp_path: Path) -> None:
    says = away(told_of, server, str(tmp_path))
    assert [row[0] for row in says["scored"]] == ["1", "3", "4"]
    assert f"{server.url} stays: column 'back' is missing." in says["absent"]
    assert "column 'age' is missing. Did you mean 'agee'?" in says["renamed"]
    assert "column 'agee' is not in the task. Did you mean 'age'?" in says["renamed"]
    assert says["prints"][0] != says["prints"][1]
    assert "broken: its rows cannot be read: the database ended the session or refused them" in says["broken"]
    assert "expected a table 'stay', received" in says["table"]
    assert "Did you mean 'stays'?" in says["table"]
    assert "expected the folder of a Delta table, found none there" in says["delta"]
    assert "workers cannot do it here: they read csv, and the source is jdbc" in says["workers"]
