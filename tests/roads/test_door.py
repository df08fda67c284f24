"""The contract at the door: each thing that is not as expected has its sentence, stops or warns, and reads nothing."""

import os
import time

import pytest
from support.roads import new_run
from support.tasks import stays_at

from medspark.deploy.deployment import Deployment
from medspark.errors import InputError
from medspark.stages.door import pass_door
from medspark.store.ledger import append_entry

HOUR = 3600


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "stays-1.csv").write_text("x" * 100)
    return source


def passed(spark, folder, **door):
    given = {"deployment": "stays", "bundle": "b", "store": str(folder.parent / "store")}
    sinks = [{"kind": "csv", "path": "/out"}]
    deployment = Deployment(**given, source=str(folder), sinks=sinks, door=door)
    run = new_run(spark, deployment.store)
    pass_door(run, deployment, stays_at(folder))
    return run.receipt.counts["door"]


def refused(spark, folder, **door):
    with pytest.raises(InputError) as error:
        passed(spark, folder, **door)
    return str(error.value)


def test_sound_files_pass_and_are_counted(spark, folder):
    door = {"files": {"names": ["stays-*.csv"]}, "fresh": {"hours": 1}, "volume": {}}
    assert passed(spark, folder, **door) == {"files": 1, "bytes": 100, "warned": []}


def test_an_absent_file_is_named(spark, folder):
    assert "expected beds.csv, received 1 files without" in refused(spark, folder, files={"names": ["beds.csv"]})
    warned = passed(spark, folder, files={"names": ["beds.csv"], "otherwise": "warn"})["warned"]
    assert warned == ["expected beds.csv, received 1 files without"]


def test_a_stale_source_is_named(spark, folder):
    past = time.time() - 30 * HOUR
    os.utime(folder / "stays-1.csv", (past, past))
    assert "expected a file of the last 26 hours, the newest is 30.0 hours old" in refused(
        spark, folder, fresh={"hours": 26}
    )


def test_an_empty_file_an_empty_folder_and_hidden_files_are_named(spark, folder):
    (folder / "_late.csv").write_text("x")
    (folder / "_SUCCESS").write_text("")
    warned = ["nobody reads _late.csv: names that begin with _ or a point are hidden"]
    assert passed(spark, folder)["warned"] == warned
    (folder / "stays-2.csv").write_text("")
    assert "received stays-2.csv without a byte" in refused(spark, folder)
    (folder / "stays-1.csv").unlink()
    (folder / "stays-2.csv").unlink()
    assert "expected files, received none" in refused(spark, folder, hidden="stop")


@pytest.mark.parametrize(("size", "stops"), [(49, True), (50, False), (200, False), (201, True)])
def test_the_volume_is_compared_with_the_median_of_the_last_nights(spark, folder, size, stops):
    store = str(folder.parent / "store")
    for night, size_then in enumerate((100, 90, 5000, 110, 100)):
        facts = {"outcome": "published", "as_of": str(night), "door": {"bytes": size_then}}
        append_entry(spark.sparkContext, store, "now", facts)
    append_entry(spark.sparkContext, store, "now", {"outcome": "refused", "as_of": "9", "door": {"bytes": 1}})
    (folder / "stays-1.csv").write_text("x" * size)
    if stops:
        assert "expected 0.5 to 2 times the 100 bytes of the last 5 nights" in refused(spark, folder, volume={})
    else:
        passed(spark, folder, volume={})


def test_two_nights_are_no_usual_volume(spark, folder):
    for night in range(2):
        facts = {"outcome": "published", "as_of": str(night), "door": {"bytes": 10_000_000}}
        append_entry(spark.sparkContext, str(folder.parent / "store"), "now", facts)
    passed(spark, folder, volume={})
