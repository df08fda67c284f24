"""Receipts: opened beside whatever lies among those of other runs."""

import json
from dataclasses import asdict, replace

import pytest
from support.roads import new_run

from medspark.errors import InputError
from medspark.runs.process import this_process
from medspark.runs.run import as_own_run, name_broken_off, open_receipt

GONE = {"run_id": "20251127T060000Z-77b0", "command": "score", "started_at": "2025-11-27T06:00:00+00:00"}
RUNNING = {**GONE, "status": "running", "process": {**asdict(replace(this_process(), started="1")), "later": 1}}
UNSOUND = [
    b"",
    b"[]",
    b"5",
    b"\0\0\0\0",
    b"caf\xe9",
    b'{"status": "running"}',
    b'{"status": "running", "process": 5}',
    json.dumps({**RUNNING, "process": {**RUNNING["process"], "pid": "x"}}).encode(),
    json.dumps({"status": "running", "process": RUNNING["process"]}).encode(),
    json.dumps(RUNNING).encode()[:-9],
]


@pytest.mark.parametrize("unsound", UNSOUND)
def test_a_file_that_is_no_sound_receipt_is_left_as_it_is_and_stops_no_run(spark, tmp_path, unsound):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "20251126T060000Z-1f3a.json").write_bytes(unsound)
    (tmp_path / "runs" / f"{GONE['run_id']}.json").write_text(json.dumps(RUNNING))
    run = new_run(spark, tmp_path)
    open_receipt(run)
    name_broken_off(run, "20251126T060000Z-1f3a")
    assert run.receipt.broken_off == [GONE["run_id"]]
    assert (tmp_path / "runs" / "20251126T060000Z-1f3a.json").read_bytes() == unsound
    assert json.loads((tmp_path / "runs" / f"{run.receipt.run_id}.json").read_text())["status"] == "running"


def test_a_process_whose_number_no_machine_has_is_dead(spark, tmp_path):
    (tmp_path / "runs").mkdir()
    path = tmp_path / "runs" / f"{GONE['run_id']}.json"
    path.write_text(json.dumps({**RUNNING, "process": {**RUNNING["process"], "pid": 10**30}}))
    open_receipt(new_run(spark, tmp_path))
    assert json.loads(path.read_text())["status"] == "broken off"


def test_a_folder_named_like_a_receipt_stops_no_run(spark, tmp_path):
    (tmp_path / "runs" / "20251126T060000Z-1f3a.json").mkdir(parents=True)
    open_receipt(new_run(spark, tmp_path))


def test_a_run_within_another_has_a_store_a_receipt_and_a_lock_of_its_own(spark, tmp_path):
    run = new_run(spark, tmp_path / "store")
    run.receipt.arguments["seed"] = 5
    run.holds_lock, run.before_publishing, run.published = True, [print], {"v1"}

    def work(own):
        assert (own.holds_lock, own.before_publishing, own.published) == (False, [], set())
        raise InputError("no file")

    own = as_own_run(run, str(tmp_path / "own"), "night", {"as_of": "today"}, lambda own: own.published.add("v2"))
    assert run.published == {"v1"}
    with pytest.raises(InputError):
        as_own_run(run, str(tmp_path / "own"), "clean", {}, work)
    found = [json.loads(path.read_text()) for path in (tmp_path / "own" / "runs").glob("*.json")]
    assert {one["command"]: one["exit_code"] for one in found} == {"night": 0, "clean": 3}
    assert own.receipt.arguments == {"seed": 5, "as_of": "today"}
