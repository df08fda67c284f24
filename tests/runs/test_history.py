"""What a store has and what was done to it, told from its files alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.errors import InputError
from medspark.runs.history import BundleSeen, RunSeen, TableSeen, seen
from medspark.runs.process import this_process
from medspark.runs.receipt import Receipt

CLEAN = {"rows_in": 10, "records": 7, "quarantined": {"age: range": 2, "age: type": 1}}


def put(store, run_id="20261123T060000Z-1f3a", **said):
    """A receipt in a store, as a run that is done leaves it, but for what is said otherwise."""
    receipt = Receipt("run", run_id, {"task": "stays.yaml"}, started_at="2026-11-23T06:00:00+00:00")
    receipt = replace(receipt, status="done", exit_code=0, finished_at="2026-11-23T06:01:30+00:00")
    receipt = replace(receipt, **said)
    (store / "runs").mkdir(parents=True, exist_ok=True)
    (store / "runs" / f"{run_id}.json").write_text(receipt.to_json())


def versions(*published):
    return [{"version": name, "made_by": "", "published": True} for name in published]


def test_a_run_is_what_its_receipt_says(tmp_path):
    features = {"splits": {"train": {"cases": 4}, "test": {"cases": 2}}}
    put(tmp_path, counts={"clean": CLEAN, "features": features, "score": {"scored": 6}}, bundle_id="b1")
    (store,) = seen(str(tmp_path))
    assert store.runs == [
        RunSeen(
            run_id="20261123T060000Z-1f3a",
            status="done",
            command="run",
            of="b1",
            started_at="2026-11-23T06:00:00+00:00",
            seconds=90.0,
            exit_code=0,
            rows_in=10,
            set_aside=3,
            cases=6,
            scored=6,
        )
    ]


def test_runs_stand_the_newest_first_and_what_failed_says_why(tmp_path):
    put(tmp_path, "20261123T060000Z-aaaa")
    failed = {"status": "failed", "exit_code": 3, "error": "the source's columns are not the task's"}
    put(tmp_path, "20261124T060000Z-bbbb", started_at="2026-11-24T06:00:00+00:00", **failed)
    newest, older = seen(str(tmp_path))[0].runs
    assert (newest.run_id, newest.status, newest.exit_code) == ("20261124T060000Z-bbbb", "failed", 3)
    assert newest.error == "the source's columns are not the task's"
    assert (older.status, older.of) == ("done", "stays.yaml")


def test_a_run_at_work_counts_its_seconds_and_one_whose_process_is_dead_broke_off(tmp_path):
    begun = (datetime.now(UTC) - timedelta(seconds=60)).isoformat()
    alive = {"status": "running", "exit_code": None, "finished_at": None, "started_at": begun}
    put(tmp_path, "1", **alive)
    put(tmp_path, "2", **alive, process=replace(this_process(), started="another process of this number"))
    before = (tmp_path / "runs" / "2.json").read_text()
    dead, running = seen(str(tmp_path))[0].runs
    assert (dead.status, dead.seconds) == ("broken off", None)
    assert running.status == "running"
    assert 60 <= running.seconds < 600
    assert (tmp_path / "runs" / "2.json").read_text() == before


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"run_id": 7'])
def test_a_receipt_that_cannot_be_read_is_a_run_all_the_same(tmp_path, text):
    put(tmp_path, "a")
    (tmp_path / "runs" / "b.json").write_text(text)
    assert [(run.run_id, run.status) for run in seen(str(tmp_path))[0].runs] == [("a", "done"), ("b", "unreadable")]


def test_a_table_is_the_version_in_force_with_its_rows(tmp_path):
    put(tmp_path)
    for version, rows in (("v1", 3), ("v2", 5)):
        (tmp_path / "scores" / version).mkdir(parents=True)
        pq.write_table(pa.table({"risk": [0.5] * rows}), tmp_path / "scores" / version / "part-0.parquet")
    (tmp_path / "scores" / "v2" / "_facts.json").write_text("{}")
    ledger = {"scores": {"current": "v2", "versions": versions("v1", "v2")}, "cases": {"current": None, "versions": []}}
    (tmp_path / "CURRENT").write_text(json.dumps(ledger))
    size = (tmp_path / "scores" / "v2" / "part-0.parquet").stat().st_size
    assert seen(str(tmp_path))[0].tables == [TableSeen("scores", "v2", 2, "", 1, size, 5)]


def test_a_table_that_is_gone_or_damaged_has_no_number_of_rows(tmp_path):
    put(tmp_path)
    (tmp_path / "cases" / "v1").mkdir(parents=True)
    (tmp_path / "cases" / "v1" / "part-0.parquet").write_bytes(b"PAR1 and no more")
    ledger = {name: {"current": "v1", "versions": versions("v1")} for name in ("cases", "scores")}
    (tmp_path / "CURRENT").write_text(json.dumps(ledger))
    found = {table.table: (table.files, table.rows) for table in seen(str(tmp_path))[0].tables}
    assert found == {"cases": (1, None), "scores": (0, None)}


def test_a_store_from_before_the_ledger_names_its_tables_in_each(tmp_path):
    put(tmp_path)
    (tmp_path / "scores" / "v1").mkdir(parents=True)
    pq.write_table(pa.table({"risk": [0.5]}), tmp_path / "scores" / "v1" / "part-0.parquet")
    (tmp_path / "scores" / "CURRENT").write_text("v1\n")
    (table,) = seen(str(tmp_path))[0].tables
    assert (table.table, table.version, table.versions, table.rows) == ("scores", "v1", 1, 1)


def test_a_ledger_that_is_none_is_refused(tmp_path):
    put(tmp_path)
    (tmp_path / "CURRENT").write_text("v1")
    with pytest.raises(InputError, match="expected the versions of the store's tables"):
        seen(str(tmp_path))


def test_a_folder_that_is_no_bundle_is_told_and_ends_nothing(tmp_path):
    put(tmp_path)
    (tmp_path / "bundles" / "0123456789abcdef").mkdir(parents=True)
    (tmp_path / "bundles" / ".new-1").mkdir()
    (bundle,) = seen(str(tmp_path))[0].bundles
    assert bundle == BundleSeen("0123456789abcdef", problem=bundle.problem)
    assert "is no bundle: it has no manifest.json" in bundle.problem


def test_a_folder_of_stores_is_each_of_them_and_another_folder_is_refused(tmp_path):
    put(tmp_path / "stays")
    put(tmp_path / "falls")
    (tmp_path / "logs").mkdir()
    assert [store.store for store in seen(str(tmp_path))] == [f"{tmp_path}/falls", f"{tmp_path}/stays"]
    for place in (tmp_path / "logs", tmp_path / "nowhere", "hdfs://namenode:8020/store"):
        with pytest.raises(InputError, match="expected"):
            seen(str(place))
