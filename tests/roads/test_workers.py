"""`medspark train` with two workers on executors of their own: the bundle that one worker makes, within rounding."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
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


@pytest.fixture(scope="module")
def cases(tmp_path_factory, spark):
    """A store with cases, as `clean` and `features` leave them."""
    folder = tmp_path_factory.mktemp("workers")
    path = task_file(folder, write(folder / "stays.csv", stays(1500)), network={"members": 3})
    run = new_run(spark, folder / "store" / "stays")
    features_stage(run, clean_stage(run, load_task(path)))
    return folder


def train(cases, folder, master, workers, **settings):
    """The command on a copy of the cases' store; what it said.

    Args:
        settings: HADOOP_CONF_DIR, of YARN.
    """
    folder.mkdir()
    shutil.copytree(cases / "store", folder / "store")
    training = TRAINING if workers == 1 else TRAINING | {"workers": workers}
    path = task_file(folder, cases / "stays.csv", network={"members": 3}, training=training)
    command = [sys.executable, "-m", "medspark.cli", "train", str(path), "--store", f"file://{folder}/store"]
    settings |= {"MEDSPARK_MASTER": master, "MEDSPARK_DRIVER_MEMORY": "1g", "SPARK_LOCAL_IP": HERE}
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text("\n".join(f"{key} {value}" for key, value in CLUSTER.items()))
    settings["SPARK_CONF_DIR"] = str(folder / "conf")
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True)


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
    return risks_in(spark, folder)


def test_executors_of_their_own_train_the_bundle_of_one_worker(spark, cases, alone, tmp_path):
    done = train(cases, tmp_path / "together", "local-cluster[2,1,1024]", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert TOGETHER in done.stdout + done.stderr
    risks, manifest = risks_in(spark, tmp_path / "together")
    assert np.allclose(risks, alone[0], rtol=1e-4)
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
