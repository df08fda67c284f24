"""`medspark train` with workers on executors of their own: the bundle that one worker makes, within rounding.

On a standalone cluster and on YARN: tests/roads/test_clusters.py.
"""

import json
import time
from contextlib import suppress

import keras
import numpy as np
import psutil
import pytest
from support.roads import stays, walk, write
from support.tasks import stays_at
from support.workers import begin, risks_in, together, train

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def alone(spark, tmp_path_factory):
    """What one worker learns: three members, each of which leaves out a fold."""
    folder = tmp_path_factory.mktemp("alone")
    source = write(folder / "stays.csv", stays(1500))
    bundle, _ = walk(spark, folder / "store", stays_at(source, network={"members": 3}))
    return {"store": folder / "store", "source": source, "bundle": bundle}


def executors(run):
    """The processes of a command's executors, the oldest first."""
    found = {}
    for one in psutil.Process(run.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in one.cmdline():
                found[one] = one.create_time()
    return sorted(found, key=found.__getitem__)


def learned_in(bundle):
    """The network's arrays, and the most memory that learning took."""
    weights = keras.saving.load_model(bundle / "model.keras", compile=False).get_weights()
    return weights, json.loads((bundle / "manifest.json").read_text())["peak_mb"]


def test_four_executors_of_which_one_is_lost_train_the_bundle_of_one_worker(spark, alone, tmp_path):
    folder = tmp_path / "together"
    run = begin(alone["store"], alone["source"], folder, "local-cluster[4,1,1024]", 4, members=3)
    store = folder / "store" / "stays"
    kept = store / "checkpoints" / "train-small" / "network.npz"
    while not kept.exists():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.001)
    started = executors(run)
    started[-1].kill()
    said, _ = run.communicate(timeout=600)
    assert (run.returncode, len(started)) == (0, 4), said
    assert "a worker was lost: training begins again from its last checkpoint" in said
    assert together(4) in said
    assert np.allclose(risks_in(spark, store), risks_in(spark, alone["store"]), rtol=1e-4)
    (bundle,) = (place for place in (store / "bundles").iterdir() if place.name != alone["bundle"].name)
    found, expected = learned_in(bundle), learned_in(alone["bundle"])
    for one, other in zip(found[0], expected[0], strict=True):
        assert np.linalg.norm(one - other) <= 1e-5 * max(np.linalg.norm(other), 1e-12)
    assert (found[1], expected[1] is not None) == (None, True)


def test_fewer_slots_than_workers_are_an_error_before_anything_is_encoded(alone, tmp_path):
    done = train(alone["store"], alone["source"], tmp_path / "few", "local[2]", 3)
    assert done.returncode == 3, done.said
    assert "training.workers: expected room for 3 tasks at once, received 2" in done.said
    tensors = [folder / "tensors" for folder in (tmp_path / "few" / "store" / "stays", alone["store"])]
    assert len({frozenset(place.name for place in folder.iterdir()) for folder in tensors}) == 1
