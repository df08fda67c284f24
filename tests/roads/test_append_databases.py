"""Tables of PostgreSQL by their times of writing, and Delta tables by their change data feeds, grow as files do."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from support.databases import opened, process_with_packages, session
from support.errors import told
from support.events import rows_of
from support.extracts import WRITTEN, as_sql, extract_task, micros_of, random_extracts
from support.growing import lab
from support.postgres import binaries, started
from support.roads import new_run

from medspark.errors import InputError
from medspark.sources.databases.source import Past
from medspark.stages.append import append_stage
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.store.facts import RecordsFacts, read_facts
from medspark.store.tables import read_table, table_path

pytestmark = pytest.mark.integration

CHANGES = {"deleted": None, "written": None}
"""Of a table with a change data feed, which says both."""


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    with process_with_packages(tmp_path_factory.mktemp("session")) as call:
        yield call


def cases_of(store, task):
    features_stage(new_run(session(), store), task)
    return sorted(map(repr, rows_of(read_table(session(), str(store), "cases").toArrow())))


def at_night(folder, source, row, night):
    """A night of a store, the first or one more: what became of the rows that were read, and how many they were."""
    task = extract_task(source, **row)
    run = new_run(session(), f"{folder}/grown")
    if night == 0:
        clean_stage(run, task)
        return {}
    append_stage(run, task)
    return {
        **run.receipt.counts["append"].get("rows", {}),
        "read": run.receipt.counts.get("clean", {}).get("rows_in", 0),
    }


def both(folder, source, row):
    """The cases of the store that grew, and of one that reads the source whole."""
    task = extract_task(source, **row)
    clean_stage(new_run(session(), f"{folder}/whole"), task)
    return cases_of(f"{folder}/grown", task), cases_of(f"{folder}/whole", task)


def sent(url):
    """How many rows of the last night and of those without a time PostgreSQL sends."""
    night = WRITTEN + timedelta(hours=20)
    with opened(url) as tables:
        return tables.read("labs", past=Past("written", int(night.timestamp()) * 1_000_000)).count()


def test_rows_of_postgresql_past_their_time_of_writing_give_the_cases_of_a_whole_clean(away, tmp_path):
    if binaries() is None:
        pytest.skip("no PostgreSQL server")
    with started(binaries()) as server:
        server.run(
            "SET timezone = 'UTC'; CREATE TABLE labs (row_id bigint, subject_id bigint, time timestamptz, code text, "
            "number double precision, gone boolean, written timestamptz)"
        )
        database = {"url": server.url, "user_variable": "PG_USER", "password_variable": "PG_PASSWORD", "partitions": 2}
        source = {"format": "jdbc", "database": database, "increment": {"by": "column", "late_hours": 6}}
        for night, rows in enumerate(random_extracts(seed=5, nights=2)):
            values = ", ".join(f"({as_sql(row)})" for row in rows)
            server.run(f"SET timezone = 'UTC'; DELETE FROM labs; INSERT INTO labs VALUES {values}")
            found = away(at_night, str(tmp_path), source, {}, night)
            if night:
                assert found["new"] + found["corrected"] > 5
                assert found["read"] < len(rows)
        assert away(sent, server.url) < len(rows)
        grown, whole = away(both, str(tmp_path), source, {})
        server.run("SET timezone = 'UTC'; ALTER TABLE labs ALTER COLUMN written TYPE timestamp")
        assert away(sent, server.url) < len(rows)
        found = away(at_night, str(tmp_path), source, {}, 2)
        assert {name for name, rows in found.items() if rows} == {"seen_before"}  # the same times, without a zone
    assert len(whole) > 3
    assert grown == whole


def write_changes(folder, rows, night):
    """The rows that stand, by a commit that inserts, updates and deletes what differs from the table."""
    stand = [row for row in rows if not row["gone"]]
    kept = [(row["row_id"], row["subject_id"], micros_of(row), row["code"], row["number"]) for row in stand]
    types = "row_id bigint, subject_id bigint, time timestamp, code string, number double"
    frame = session().createDataFrame(kept, types)
    if night == 0:
        frame.write.format("delta").option("delta.enableChangeDataFeed", "true").save(f"{folder}/labs")
        return
    frame.createOrReplaceTempView("stand")
    session().sql(
        f"MERGE INTO delta.`{folder}/labs` AS old USING stand ON old.row_id = stand.row_id "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT * WHEN NOT MATCHED BY SOURCE THEN DELETE"
    )


def commit_nothing(folder):
    """As OPTIMIZE does, a commit that changes no row."""
    session().sql(f"ALTER TABLE delta.`{folder}/labs` SET TBLPROPERTIES ('kept' = 'well')")


def read_up_to(store):
    context = session().sparkContext
    return read_facts(context, table_path(context, store, "records"), RecordsFacts).read_to.marks["labs"]


def delete_rows(folder):
    session().sql(f"DELETE FROM delta.`{folder}/labs` WHERE row_id <= 6")


def test_changes_of_a_delta_table_give_the_cases_of_a_whole_clean(away, tmp_path):
    source = {"format": "delta", "path": str(tmp_path / "delta"), "increment": {"by": "changes"}}
    for night, rows in enumerate(random_extracts(seed=10, nights=2)):
        moved = [{**row, "subject_id": 99} if night == 1 and row["row_id"] < 4 else row for row in rows]
        away(write_changes, str(tmp_path / "delta"), moved, night)
        found = away(at_night, str(tmp_path), source, CHANGES, night)
        assert night == 0 or found["new"] > 0 < found["corrected"]
    assert found["deleted"] > 2  # of the table, and of the patients that rows moved from
    assert away(at_night, str(tmp_path), source, CHANGES, 2) == {"read": 0}
    before = away(read_up_to, f"{tmp_path}/grown")
    away(commit_nothing, str(tmp_path / "delta"))
    assert not any(away(at_night, str(tmp_path), source, CHANGES, 2).values())
    assert away(read_up_to, f"{tmp_path}/grown") == before + 1
    away(delete_rows, str(tmp_path / "delta"))
    found = away(at_night, str(tmp_path), source, CHANGES, 2)
    assert {name for name, rows in found.items() if rows} == {"deleted", "read"}
    grown, whole = away(both, str(tmp_path), source, CHANGES)
    assert len(whole) > 3
    assert grown == whole


def without_feed(folder):
    rows = [(1, 7, micros_of(lab(1, 7, 10, "INDEX")), "INDEX", None)]
    frame = session().createDataFrame(
        rows, "row_id bigint, subject_id bigint, time timestamp, code string, number double"
    )
    frame.write.format("delta").save(f"{folder}/delta/labs")
    source = {"format": "delta", "path": f"{folder}/delta", "increment": {"by": "changes"}}
    at_night(folder, source, CHANGES, 0)
    frame.write.format("delta").mode("append").save(f"{folder}/delta/labs")
    said = [told(InputError, lambda: at_night(folder, source, CHANGES, 1))]
    clean_stage(new_run(session(), f"{folder}/grown"), extract_task(source, **CHANGES))
    for commits in (2, 1):
        shutil.rmtree(f"{folder}/delta/labs")
        for _ in range(commits):
            frame.write.format("delta").mode("append").save(f"{folder}/delta/labs")
        said.append(told(InputError, lambda: at_night(folder, source, CHANGES, 1)))
    return said


def vacuumed(folder):
    """What is said of a feed of which the newest commit's file is gone."""
    rows = [(at, 7, micros_of(lab(at, 7, 10, "INDEX")), "INDEX", None) for at in range(3)]
    types = "row_id bigint, subject_id bigint, time timestamp, code string, number double"
    source = {"format": "delta", "path": f"{folder}/delta", "increment": {"by": "changes"}}
    for night, row in enumerate(rows):
        frame = session().createDataFrame([row], types).coalesce(1)
        before = {*Path(f"{folder}/delta/labs").glob("*.parquet")}
        feed = {"delta.enableChangeDataFeed": "true"}
        frame.write.format("delta").options(**feed).mode("append").save(f"{folder}/delta/labs")
        if night == 0:
            at_night(folder, source, CHANGES, 0)
    (newest,) = {*Path(f"{folder}/delta/labs").glob("*.parquet")} - before
    newest.unlink()
    return told(InputError, lambda: at_night(folder, source, CHANGES, 1))


def test_a_change_data_feed_of_which_files_are_gone_is_named(away, tmp_path):
    said = away(vacuumed, str(tmp_path))
    assert "delta/labs: expected a change data feed from version 1 on, received none, or not all of it (" in said
    assert "let VACUUM keep what is not read yet" in said


def test_a_table_without_a_change_data_feed_or_one_made_anew_is_named(away, tmp_path):
    without, as_many, anew = away(without_feed, str(tmp_path))
    assert "delta/labs: expected a change data feed from version 1 on, received none" in without
    assert "Set delta.enableChangeDataFeed" in without
    assert "expected the table 'labs' with the 2 commits that the store has read, received one of 1" in anew
    assert "expected the tables whose changes the store has read, received others of the names labs" in as_many
