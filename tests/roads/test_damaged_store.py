"""A store's records and cases of which a file is gone, cut short or added are refused by whoever reads them."""

import shutil
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from support.roads import new_run, stays, write
from support.tasks import stays_at

from medspark.errors import InputError
from medspark.stages.clean import clean_stage
from medspark.stages.concepts import concepts_stage
from medspark.stages.eligible import eligible
from medspark.stages.features import features_stage
from medspark.stages.meds import meds_stage
from medspark.stages.monitor import came_true
from medspark.stages.past import read_earlier
from medspark.stages.train import train_stage
from medspark.stages.tune import tune_stage
from medspark.store.manifest import require_whole, whole_path
from medspark.store.tables import table_path


@pytest.fixture(scope="module")
def table(spark, tmp_path_factory):
    """A task of stays, frozen, and a store with records and cases of them."""
    folder = tmp_path_factory.mktemp("whole")
    run = new_run(spark, folder / "store")
    frozen = clean_stage(run, stays_at(write(folder / "stays.csv", stays(300))))
    features_stage(run, frozen)
    return folder / "store", frozen


def parts(spark, store, name):
    return sorted(Path(table_path(spark.sparkContext, str(store), name)).glob("*.parquet"))


@contextmanager
def without(path):
    """A file is gone until the block ends."""
    content = path.read_bytes()
    path.unlink()
    try:
        yield
    finally:
        path.write_bytes(content)


READERS = {
    "features": ("records", features_stage),
    "score --history": ("records", lambda run, task: read_earlier(run, task, run.store)),
    "train": ("cases", train_stage),
    "tune": ("cases", tune_stage),
    "monitor --outcomes": ("cases", lambda run, task: came_true(run, [], run.store)),
}


@pytest.mark.parametrize("command", READERS)
def test_a_table_with_a_part_gone_is_refused_by_each_command_that_reads_it(spark, table, command):
    (store, task), (name, read) = table, READERS[command]
    part = parts(spark, store, name)[0]
    with without(part), pytest.raises(InputError, match=rf"{name}/.*: {part.name} is gone\. Run the stage"):
        read(new_run(spark, store), task)


EVENT_READERS = {
    "features": lambda run, road, _: features_stage(run, road["task"]),
    "concepts": lambda run, road, _: concepts_stage(run, road["task"]),
    "meds": lambda run, road, out: meds_stage(run, road["task"], str(out), 0.5),
    "score --history": lambda run, road, _: eligible(run, road["task"], None, None, run.store).__enter__(),
}


@pytest.mark.parametrize("command", EVENT_READERS)
def test_records_of_events_with_a_bucket_gone_are_refused_by_each_command(spark, relapse_road, tmp_path, command):
    part = parts(spark, relapse_road["store"], "records")[0]
    with without(part), pytest.raises(InputError, match=rf"{part.name} is gone"):
        EVENT_READERS[command](new_run(spark, relapse_road["store"]), relapse_road, tmp_path / "out")


def test_labels_of_cases_with_a_part_gone_leave_in_no_dataset(spark, relapse_road, tmp_path):
    part = parts(spark, relapse_road["store"], "cases")[0]
    with without(part), pytest.raises(InputError, match=rf"{part.name} is gone"):
        meds_stage(new_run(spark, relapse_road["store"]), relapse_road["task"], str(tmp_path / "out"), 0.5)


def cut(part):
    part.write_bytes(part.read_bytes()[:-1])


def add(part):
    shutil.copy(part, part.with_name("part-99999.parquet"))


DAMAGES = [
    (Path.unlink, r"part-00000.*\.parquet is gone"),
    (cut, r"part-00000.*\.parquet has \d+ bytes of \d+"),
    (add, r"part-99999\.parquet was added"),
    (lambda part: (part.parent / "_manifest.json").unlink(), r"_manifest\.json is not there or damaged"),
    (lambda part: (part.parent / "_manifest.json").write_text("{"), r"_manifest\.json is not there or damaged"),
    (lambda part: shutil.rmtree(part.parent), r"_manifest\.json is not there or damaged"),
]


@pytest.mark.parametrize(("damage", "told"), DAMAGES)
def test_what_is_not_as_it_was_published_is_named(spark, table, tmp_path, damage, told):
    require = partial(require_whole, spark.sparkContext, str(tmp_path / "version"))
    shutil.copytree(parts(spark, table[0], "records")[0].parent, tmp_path / "version")
    require()
    damage(sorted((tmp_path / "version").glob("*.parquet"))[0])
    with pytest.raises(InputError, match=told):
        require()


def test_a_store_from_before_there_were_manifests_is_taken_as_it_is(spark, table, tmp_path):
    shutil.copytree(table[0], tmp_path / "store")
    version = parts(spark, tmp_path / "store", "records")[0].parent
    (version / "_manifest.json").unlink()
    (tmp_path / "store" / "CURRENT").unlink()
    assert whole_path(spark.sparkContext, str(tmp_path / "store"), "records") == str(version)
