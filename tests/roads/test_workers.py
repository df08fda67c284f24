"""`medspark train` with two workers on executors of their own: the bundle that one worker makes, within rounding."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import keras
import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from support.clusters import HERE, JARS, NotHereError, hadoop, standalone
from support.places import ROOT
from support.roads import new_run, stays, write
from support.tasks import task_file

from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.store.tables import table_path
from medspark.task.load import load_task

pytestmark = pytest.mark.integration

CLUSTER = {
    # as if medspark were installed on the cluster's machines
    "spark.executorEnv.PYTHONPATH": ROOT,
    "spark.executorEnv.SPARK_LOCAL_IP": HERE,
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.executor.instances": "2",
    "spark.yarn.jars": f"local:{JARS}/*",
}
TOGETHER = "2 workers learned the network together, and ended with the same weights"
TRAINING = {"epochs": 3, "batch_size": 64, "learning_rate": 0.01}
OFTEN = """
from medspark.train.checkpoints import Checkpoints
checkpoint_of = Checkpoints.of
def often(*asked):
    found = checkpoint_of(*asked)
    found.every_seconds = 0.05
    return found
Checkpoints.of = often
"""
"""Else a training of seconds leaves its first checkpoint when it ends."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory, spark):
    """A store with cases, as `clean` and `features` leave them."""
    folder = tmp_path_factory.mktemp("workers")
    path = task_file(folder, write(folder / "stays.csv", stays(1500)), network={"members": 3})
    run = new_run(spark, folder / "store" / "stays")
    features_stage(run, clean_stage(run, load_task(path)))
    return folder


def begin(cases, folder, master, workers, **settings):
    """The command on a copy of the cases' store.

    Args:
        settings: HADOOP_CONF_DIR, of YARN.
    """
    folder.mkdir()
    shutil.copytree(cases / "store", folder / "store")
    training = TRAINING if workers == 1 else TRAINING | {"workers": workers}
    path = task_file(folder, cases / "stays.csv", network={"members": 3}, training=training)
    command = [sys.executable, "-c", f"{OFTEN}\nfrom medspark.cli.main import app; app()"]
    command += ["train", str(path), "--store", f"file://{folder}/store"]
    settings |= {"MEDSPARK_MASTER": master, "MEDSPARK_DRIVER_MEMORY": "1g", "SPARK_LOCAL_IP": HERE}
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text("\n".join(f"{key} {value}" for key, value in CLUSTER.items()))
    settings["SPARK_CONF_DIR"] = str(folder / "conf")
    done = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, **done)


def train(*asked, **settings):
    """The command to its end; its exit code and what it said."""
    run = begin(*asked, **settings)
    said, _ = run.communicate(timeout=600)
    return SimpleNamespace(returncode=run.returncode, stdout=said, stderr="")


def risks_in(spark, folder):
    """Each case's probability, and the bundle's task."""
    store = folder / "store" / "stays"
    (bundle,) = (store / "bundles").iterdir()
    place = table_path(spark.sparkContext, str(store), "predictions").removeprefix("file:")
    rows = pq.read_table(place, columns=["case_id", "probability"]).sort_by("case_id").to_pydict()
    assert len(rows["case_id"]) > 1000
    return np.array(rows["probability"]), json.loads((bundle / "manifest.json").read_text())


@pytest.fixture(scope="module")
def alone(spark, cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "local"
    done = train(cases, folder, "local[2]", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert TOGETHER.removeprefix("2 ") not in done.stdout + done.stderr
    return *risks_in(spark, folder), folder


def executors(run):
    """The processes of a command's executors, the oldest first."""
    found = {}
    for one in psutil.Process(run.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in one.cmdline():
                found[one] = one.create_time()
    return sorted(found, key=found.__getitem__)


def weights_in(folder):
    """Of a store's one bundle, the network's arrays."""
    (bundle,) = (folder / "store" / "stays" / "bundles").iterdir()
    return keras.saving.load_model(bundle / "model.keras", compile=False).get_weights()


def test_four_executors_of_which_one_is_lost_train_the_bundle_of_one_worker(spark, cases, alone, tmp_path):
    run = begin(cases, tmp_path / "together", "local-cluster[4,1,1024]", 4)
    kept = tmp_path / "together/store/stays/checkpoints/train-small/network.npz"
    while not kept.exists():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.001)
    started = executors(run)
    started[-1].kill()
    said, _ = run.communicate(timeout=600)
    assert (run.returncode, len(started)) == (0, 4), said
    assert "a worker was lost: training begins again from its last checkpoint" in said
    assert TOGETHER.replace("2", "4") in said
    risks, manifest = risks_in(spark, tmp_path / "together")
    assert np.allclose(risks, alone[0], rtol=1e-4)
    for one, other in zip(weights_in(alone[2]), weights_in(tmp_path / "together"), strict=True):
        assert np.linalg.norm(one - other) <= 1e-5 * max(np.linalg.norm(one), 1e-12)
    assert (alone[1]["peak_mb"] is not None, manifest["peak_mb"]) == (True, None)


def test_a_standalone_cluster_trains_the_bundle_of_one_worker(spark, cases, alone, tmp_path):
    (tmp_path / "cluster").mkdir()
    try:
        with standalone(tmp_path / "cluster") as master:
            done = train(cases, tmp_path / "together", master, 2)
    except NotHereError as error:
        pytest.skip(str(error))
    assert done.returncode == 0, done.stdout + done.stderr
    assert TOGETHER in done.stdout + done.stderr
    assert np.allclose(risks_in(spark, tmp_path / "together")[0], alone[0], rtol=1e-4)


def test_yarn_trains_the_bundle_of_one_worker(spark, cases, alone, tmp_path):
    (tmp_path / "cluster").mkdir()
    try:
        with hadoop(tmp_path / "cluster") as cluster:
            done = train(cases, tmp_path / "together", "yarn", 2, HADOOP_CONF_DIR=str(cluster.conf))
            said = cluster.said()
    except NotHereError as error:
        pytest.skip(str(error))
    assert done.returncode == 0, done.stdout + done.stderr + said
    assert TOGETHER in done.stdout + done.stderr
    assert np.allclose(risks_in(spark, tmp_path / "together")[0], alone[0], rtol=1e-4)


def test_fewer_slots_than_workers_are_an_error_before_anything_is_encoded(cases, tmp_path):
    done = train(cases, tmp_path / "few", "local[2]", 3)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "training.workers: expected room for 3 tasks at once, received 2" in done.stdout + done.stderr
    assert not (tmp_path / "few" / "store" / "stays" / "tensors").exists()
