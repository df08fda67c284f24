"""What nobody needs is named, and removed where that is asked for; what medspark did not make, or may need, stays."""

import json

import numpy as np
import pytest
from support.nightly import new_run
from support.roads import telling_run

from medspark.errors import BusyError, InputError
from medspark.runs.lock import holding
from medspark.sinks.files import FilesSink
from medspark.stages import tidy
from medspark.stages.tidy import tidy_stage
from medspark.store import tables
from medspark.store.ledger import append_entry
from medspark.store.versions import read_versions
from medspark.train import checkpoints
from medspark.train.checkpoints import Checkpoint, Kept

DEAD, OLD, NEW = "20261101T060000Z-dead", "20200101T060000Z-0001", "20261126T060000Z-0002"


def put(place, text="{}"):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


@pytest.fixture
def lying(context, tmp_path, monkeypatch):
    """A store and a sink: what is to go, and what stays, by their paths below."""
    store = tmp_path / "store"
    tables.begin(context, str(store), ("scores",), "left", "b1")
    put(store / "scores" / "left" / "part-0.parquet", "rows")
    for maker, versions in (("b1", ("v1", "v2", "v3")), ("b2", ("w1",))):
        for version in versions:
            tables.begin(context, str(store), ("scores",), version, maker)
            put(store / "scores" / version / "part-0.parquet", "rows")
            monkeypatch.setattr(tables, "outdated", lambda *_: [])  # as by a run that died before it deleted
            tables.publish(context, str(store), ("scores",), version, maker)
    tables.begin(context, str(store), ("scores",), "begun", "b2")
    put(store / "scores" / "begun" / "part-0.parquet", "rows")
    for run_id in (DEAD, OLD, NEW):
        put(store / "runs" / f"{run_id}.json", json.dumps({"run_id": run_id, "status": "done"}))
        put(store / "runs" / f"{run_id}.log")
        put(store / "monitoring" / "nights" / f"{run_id}.json")
    put(store / "LOCK.20261101T060000Z-dead", "2026-11-01T06:00:00+00:00")
    put(store / ".scratch" / DEAD / "folds-1" / "part-0.parquet")
    for name, library in (("train-small/network", "0.0.1"), ("train-small/student", checkpoints.version("medspark"))):
        monkeypatch.setattr(checkpoints, "version", lambda _, library=library: library)
        Checkpoint(store / "checkpoints" / f"{name}.npz", "d", 30, print).write(Kept({}, {"w": [np.zeros(2)]}))
    sink = FilesSink(context, "csv", str(tmp_path / "csv"), f"csv:{tmp_path}/csv")
    facts = {"outcome": "published", "deployment": "stays", "sinks": {sink.place: "published"}, "keep_days": 365}
    append_entry(context, str(store), "now", facts)
    staged = tmp_path / sink.staging("stays").removeprefix(f"{tmp_path}/") / "n1.r1" / "part-0.csv"
    put(staged)
    strangers = ("scores/theirs/part", ".scratch/mine/part", "checkpoints/mine.npz", "runs/notes.json", "LOCK.mine")
    for name in strangers:
        put(store / name)
    put(tmp_path / "csv" / ".medspark-staging-of-others" / "part-0.csv")
    gone = {
        *("scores/v1/part-0.parquet", "scores/left/part-0.parquet", f"LOCK.{DEAD}"),
        f".scratch/{DEAD}/folds-1/part-0.parquet",
        "checkpoints/train-small/network.npz",
        *(f"runs/{OLD}.json", f"runs/{OLD}.log", f"monitoring/nights/{OLD}.json"),
    }
    return tmp_path, {f"store/{name}" for name in gone} | {staged.relative_to(tmp_path).as_posix()}


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_nobody_needs_is_named_and_by_yes_removed_and_nothing_else(spark, lying):
    folder, gone = lying
    before = files_in(folder)
    run, heard = telling_run(spark, folder / "store")
    found = tidy_stage(run, remove=False)
    assert files_in(folder) == before
    kinds = ["version", "version", "scratch", "lock", "checkpoint", "staging", "night", "log", "receipt"]
    assert [left.kind for left in found] == kinds
    assert "scores/left: begun by a run that did not publish it, and its maker has published another since" in heard()
    assert "made by medspark 0.0.1" in heard()
    assert "would be removed: say --yes" in heard()
    tidy_stage(new_run(spark, str(folder / "store")), remove=True)
    assert before - files_in(folder) == gone
    assert files_in(folder) <= before
    left = [version.version for version in read_versions(spark.sparkContext, str(folder / "store"))["scores"].versions]
    assert left == ["v2", "v3", "w1", "begun"]  # the next run goes on with what is begun
    assert tidy_stage(new_run(spark, str(folder / "store")), remove=False) == []


def test_nothing_is_named_or_touched_while_a_run_is_at_work(spark, lying):
    folder, _ = lying
    other = new_run(spark, str(folder / "store"))

    def files():
        return {name for name in files_in(folder) if other.receipt.run_id not in name}  # its lock is renewed

    with holding(other):
        before = files()
        for remove in (False, True):
            with pytest.raises(BusyError, match=f"is in use: run {other.receipt.run_id}"):
                tidy_stage(new_run(spark, str(folder / "store")), remove)
        assert files() == before


def test_what_a_run_took_up_between_the_look_and_the_lock_stays(spark, lying, monkeypatch):
    folder, gone = lying
    looks = [list(tidy.left_in(new_run(spark, str(folder / "store")))), []]
    monkeypatch.setattr(tidy, "left_in", lambda _: looks.pop(0))
    tidy_stage(new_run(spark, str(folder / "store")), remove=True)
    assert {name for name in gone if (folder / name).is_file()} == {name for name in gone if ".scratch" not in name}


def test_a_folder_that_is_no_store_is_refused(spark, tmp_path):
    with pytest.raises(InputError, match="expected a store of medspark, received a folder without CURRENT"):
        tidy_stage(new_run(spark, str(tmp_path)), remove=True)
