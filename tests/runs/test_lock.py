"""One writer of a store at a time: who holds it, when a lock is stale, and that two at once make one whole result."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from support.roads import new_run

from medspark.errors import BusyError, StoreError
from medspark.runs import lock
from medspark.runs.lock import holding, require_held
from medspark.runs.process import _started, is_dead, this_process
from medspark.runs.tables import making, publish_tables
from medspark.store.tables import current_version, read_table, write_version

ANOTHER_MACHINE = replace(this_process(), host="ward-7", machine="ward-7 boot")


def put_lock(store, process, *, beat=None, run_id="20261122T060000Z-77b0"):
    """The lock of another run, renewed so many seconds ago."""
    store.mkdir(exist_ok=True)
    since = "2026-11-22T06:00:00+00:00"
    owner = {"run_id": run_id, "command": "score", "since": since, "process": asdict(process)}
    (store / "LOCK").write_text(json.dumps(owner))
    if beat is not None:
        (store / f"LOCK.{run_id}").write_text((datetime.now(UTC) - timedelta(seconds=beat)).isoformat())


def dead_process():
    """Who a process was that has ended."""
    show = "print(json.dumps(dataclasses.asdict(this_process())))"
    script = f"import json, dataclasses; from medspark.runs.process import this_process; {show}"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return type(this_process())(**json.loads(said))


def test_the_second_run_is_told_who_holds_the_store_and_since_when(spark, tmp_path):
    first, second = new_run(spark, tmp_path), new_run(spark, tmp_path)
    told = rf"is in use: run {first.receipt.run_id} \(medspark test\) on host .*, process {os.getpid()}, since 20"
    with holding(first), pytest.raises(BusyError, match=told) as refused, holding(second):
        pass
    assert refused.value.exit_code == 5
    with holding(second):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_holds_the_lock_may_ask_for_it_again(spark, tmp_path):
    run = new_run(spark, tmp_path)
    with holding(run):
        with holding(run):
            require_held(run)
        require_held(run)


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over_at_once(spark, tmp_path):
    put_lock(tmp_path, dead_process(), beat=0)
    with holding(new_run(spark, tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_later_process_with_the_number_of_a_dead_one_is_another(spark, tmp_path):
    put_lock(tmp_path, replace(this_process(), started="1"), beat=0)
    with holding(new_run(spark, tmp_path)):
        pass


@pytest.mark.parametrize(("beat", "is_stale"), [(0, False), (lock.STALE - 60, False), (lock.STALE + 60, True)])
def test_the_lock_of_another_machine_is_stale_by_its_heartbeat_alone(spark, tmp_path, beat, is_stale):
    put_lock(tmp_path, ANOTHER_MACHINE, beat=beat)
    if is_stale:
        with holding(new_run(spark, tmp_path)):
            pass
        return
    with pytest.raises(BusyError, match="on host ward-7"), holding(new_run(spark, tmp_path)):
        pass


def grow_old(file):
    long_ago = time.time() - lock.STALE - 60
    os.utime(file, (long_ago, long_ago))


DAMAGED = ["", '{"run_id": "2026', "5", "[]", "null", '{"run_id": "x/../../other"}', '{"run_id": ".."}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_lock_that_is_empty_or_damaged_is_taken_over_once_it_is_old(spark, tmp_path, content):
    (tmp_path / "LOCK").write_text(content)
    with pytest.raises(BusyError, match="LOCK is empty or damaged"), holding(new_run(spark, tmp_path)):
        pass
    grow_old(tmp_path / "LOCK")
    with holding(new_run(spark, tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_run_is_a_path_deletes_nothing_outside_of_the_store(spark, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("kept")
    put_lock(tmp_path / "store", ANOTHER_MACHINE, run_id="x/../../other")
    long_ago = time.time() - lock.STALE - 60
    os.utime(tmp_path / "store" / "LOCK", (long_ago, long_ago))
    with holding(new_run(spark, tmp_path / "store")):
        pass
    assert (tmp_path / "other" / "precious").read_text() == "kept"
    assert list((tmp_path / "store").iterdir()) == []


def test_a_folder_by_a_heartbeats_name_is_not_deleted(spark, tmp_path):
    put_lock(tmp_path, dead_process())
    beat = tmp_path / "LOCK.20261122T060000Z-77b0"
    beat.mkdir()
    (beat / "precious").write_text("kept")
    with holding(new_run(spark, tmp_path)):
        pass
    assert (beat / "precious").read_text() == "kept"


@pytest.mark.parametrize(
    ("since", "is_stale"),
    [
        ("2026-11-22T06:00:00", True),  # without a zone: UTC
        (5, False),
        ("then", False),
        ("9999-12-31T00:00:00+00:00", False),
    ],
)
def test_a_time_of_no_zone_is_utc_and_for_one_that_is_none_the_files_own_stands(spark, tmp_path, since, is_stale):
    owner = {"run_id": "20261122T060000Z-77b0", "command": "score", "since": since, "process": 5}
    (tmp_path / "LOCK").write_text(json.dumps(owner))
    if not is_stale:
        with pytest.raises(BusyError, match="run 20261122T060000Z-77b0"), holding(new_run(spark, tmp_path)):
            pass
        grow_old(tmp_path / "LOCK")
    with holding(new_run(spark, tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_owner_renews_its_lock(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    run = new_run(spark, tmp_path)
    with holding(run):
        beat = tmp_path / f"LOCK.{run.receipt.run_id}"
        seen = set()
        while len(seen) < 3:
            if beat.exists():
                seen.add(beat.stat().st_mtime_ns)


def test_a_stale_lock_is_taken_over_by_one_of_many(spark, tmp_path):
    gone = dead_process()
    for round_ in range(20):
        store = tmp_path / str(round_)
        put_lock(store, gone, beat=0)
        held, most, refused, everyone = [], [], [], threading.Barrier(4)

        def take(store=store, held=held, most=most, refused=refused, everyone=everyone):
            run = new_run(spark, store)
            everyone.wait()
            try:
                with holding(run):
                    held.append(run)
                    most.append(len(held))
                    time.sleep(0.02)
                    require_held(run)
                    held.remove(run)
            except BusyError:
                refused.append(run)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(most) == {1}  # somebody had it, and never two
        assert len(most) + len(refused) == 4
        assert list(store.iterdir()) == []


def write(spark, run, version, value):
    """A version of two tables that belong together, published."""
    with holding(run), making(run, ("rejected", "scores"), version):
        for table in ("rejected", "scores"):
            write_version(spark.createDataFrame([(value,)] * 20, "value int").coalesce(2), run.store, table, version)
        publish_tables(run, ("rejected", "scores"), version)


@pytest.mark.parametrize("same", [True, False], ids=["same-source", "other-source"])
def test_of_two_runs_at_once_one_wins_and_the_tables_are_whole_20_times(spark, tmp_path, same):
    for round_ in range(20):
        store, results, both = tmp_path / str(round_), {}, threading.Barrier(2)

        def work(at, store=store, results=results, both=both):
            run = new_run(spark, store)
            both.wait()
            try:
                write(spark, run, "v" if same else f"v{at}", 7 if same else at)
                results[at] = "published"
            except BusyError as error:
                results[at] = "refused" if "is in use: run" in str(error) else str(error)

        threads = [threading.Thread(target=work, args=(at,)) for at in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert "published" in results.values()
        assert set(results.values()) <= {"published", "refused"}
        current = {current_version(spark.sparkContext, str(store), table) for table in ("rejected", "scores")}
        assert len(current) == 1
        winners = {7} if same else {at for at, result in results.items() if result == "published"}
        for table in ("rejected", "scores"):
            values = [row["value"] for row in read_table(spark, str(store), table).collect()]
            assert values in [[value] * 20 for value in winners]
        assert not list(store.glob("LOCK*"))


def publish_after(spark, run, happens):
    """A version published after something happened to the store that it is written to."""
    with holding(run), making(run, ("scores",), "v1"):
        write_version(spark.range(5).toDF("value"), run.store, "scores", "v1")
        happens()
        publish_tables(run, ("scores",), "v1")


def test_a_store_deleted_in_mid_run_is_an_error_and_stays_deleted(spark, tmp_path):
    store = tmp_path / "store"
    with pytest.raises(StoreError, match="was deleted, or its file LOCK, while this run was at work"):
        publish_after(spark, new_run(spark, store), lambda: shutil.rmtree(store))
    assert not store.exists()


def test_a_run_whose_store_was_taken_over_publishes_nothing(spark, tmp_path):
    with pytest.raises(BusyError, match="It took the store over from this run"):
        publish_after(spark, new_run(spark, tmp_path), lambda: put_lock(tmp_path, ANOTHER_MACHINE, beat=0))
    assert current_version(spark.sparkContext, str(tmp_path), "scores") is None
    assert json.loads((tmp_path / "LOCK").read_text())["process"]["host"] == "ward-7"  # and left to its owner


def test_a_process_that_was_killed_is_dead_though_its_parent_has_not_asked_how_it_ended():
    with subprocess.Popen(["sleep", "60"]) as child:
        process = replace(this_process(), pid=child.pid, started=_started(child.pid))
        assert is_dead(process) is False
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(process) is True
