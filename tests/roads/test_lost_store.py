"""A run that lost its store, or whose source changed, shows nothing: no table, no bundle, no evaluation."""

import os
from pathlib import Path

import pytest
from support.roads import new_run, stays, write
from support.tasks import stays_at

from medspark.bundles.bundle import load_bundle
from medspark.errors import InputError, StoreError
from medspark.stages import compare, evaluate, train, update
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.store.tables import current_version

pytestmark = pytest.mark.slow
LOST = "was deleted, or its file LOCK, while this run was at work"


def first(monkeypatch, module, name, act):
    """Do something before a function of a module is called."""
    honest = getattr(module, name)

    def call(*args, **kwargs):
        act()
        return honest(*args, **kwargs)

    monkeypatch.setattr(module, name, call)


def lose(store):
    return (Path(store) / "LOCK").unlink


def change(source):
    return lambda: os.utime(source, (1, 1))


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_no_evaluation_is_written_into_a_store_that_was_lost(spark, road, tmp_path, monkeypatch):
    first(monkeypatch, evaluate, "_report", lose(tmp_path))
    with pytest.raises(StoreError, match=LOST):
        evaluate.evaluate_stage(new_run(spark, tmp_path), load_bundle(road["bundle"]), str(road["source"]))
    assert not (tmp_path / "evaluations").exists()


def test_no_evaluation_is_written_of_a_source_that_changed(spark, road, tmp_path, monkeypatch):
    source = write(tmp_path / "stays.csv", stays(300, seed=8))
    first(monkeypatch, evaluate, "_report", change(source))
    with pytest.raises(InputError, match="stays as it is while it is read"):
        evaluate.evaluate_stage(new_run(spark, tmp_path / "store"), load_bundle(road["bundle"]), str(source))
    assert not (tmp_path / "store" / "evaluations").exists()


def test_no_comparison_is_written_into_a_store_that_was_lost(spark, road, monkeypatch):
    store, bundle = road["run"].store, load_bundle(road["bundle"])
    monkeypatch.setattr(compare, "_require_alike", lambda _: None)
    monkeypatch.setattr(compare, "_names", lambda _: ["one", "other"])
    first(monkeypatch, compare, "render_beside", lose(store))
    before = names(Path(store) / "comparisons")
    with pytest.raises(StoreError, match=LOST):
        compare.compare_stage(new_run(spark, store), [bundle, bundle])
    assert names(Path(store) / "comparisons") == before


@pytest.mark.parametrize("moment", ["write_predictions", "fill_bundle"])
def test_no_bundle_is_trained_into_a_store_that_was_lost(spark, tmp_path, monkeypatch, moment):
    store = tmp_path / "store"
    run = new_run(spark, store)
    frozen = clean_stage(run, stays_at(write(tmp_path / "stays.csv", stays(400)), training={"epochs": 1}))
    features_stage(run, frozen)
    first(monkeypatch, train, moment, lose(store))
    with pytest.raises(StoreError, match=LOST):
        train.train_stage(run, frozen)
    assert names(store / "bundles") == []
    assert current_version(spark.sparkContext, str(store), "tensors") is None


@pytest.mark.parametrize("why", ["store", "source"])
def test_no_bundle_is_updated_into_a_store_that_was_lost_or_of_a_source_that_changed(
    spark, road, tmp_path, monkeypatch, why
):
    store, source = road["run"].store, write(tmp_path / "new.csv", stays(400, seed=9))
    bundle = load_bundle(road["bundle"])
    before = names(Path(store) / "bundles"), current_version(spark.sparkContext, store, "tensors")
    first(monkeypatch, update, "fill_bundle", lose(store) if why == "store" else change(source))
    error, told = (StoreError, LOST) if why == "store" else (InputError, "stays as it is while it is read")
    with pytest.raises(error, match=told):
        update.update_stage(new_run(spark, store), bundle, stays_at(road["source"]), str(source), "calibration")
    assert (names(Path(store) / "bundles"), current_version(spark.sparkContext, store, "tensors")) == before
