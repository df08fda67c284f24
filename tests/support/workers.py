"""`medspark train` with workers on executors of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from medspark.store.tables import table_path
from support.clusters import HERE, JARS
from support.places import ROOT
from support.tasks import STAYS, task_file

CLUSTER = {
    # as if medspark were installed on the cluster's machines
    "spark.executorEnv.PYTHONPATH": ROOT,
    "spark.executorEnv.SPARK_LOCAL_IP": HERE,
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.executor.instances": "2",
    "spark.yarn.jars": f"local:{JARS}/*",
}
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


def together(workers: int) -> str:
    """What a run says of workers that learned together."""
    return f"{workers} workers learned the network together, and ended with the same weights"


def begin(
    cases: Path, source: Path, folder: Path, master: str, workers: int, members: int = 2, **settings: str
) -> subprocess.Popen:
    """The command on a copy of the made-up stays' store, begun; its store is `folder / "store" / "stays"`.

    Args:
        cases: a store with cases.
        members: of the network; each of three leaves out a fold.
        settings: HADOOP_CONF_DIR, of YARN.
    """
    folder.mkdir()
    shutil.copytree(cases, folder / "store" / "stays")
    training = STAYS["training"] if workers == 1 else STAYS["training"] | {"workers": workers}
    path = task_file(folder, source, training=training, network={"members": members})
    command = [sys.executable, "-c", f"{OFTEN}\nfrom medspark.cli.main import app; app()"]
    command += ["train", str(path), "--store", f"file://{folder}/store"]
    settings |= {"MEDSPARK_MASTER": master, "MEDSPARK_DRIVER_MEMORY": "1g", "SPARK_LOCAL_IP": HERE}
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text("\n".join(f"{key} {value}" for key, value in CLUSTER.items()))
    settings["SPARK_CONF_DIR"] = str(folder / "conf")
    done: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, **done)


def train(*asked, **settings: str) -> SimpleNamespace:
    """The command to its end; its exit code and what it said."""
    run = begin(*asked, **settings)
    said, _ = run.communicate(timeout=600)
    return SimpleNamespace(returncode=run.returncode, said=said)


def risks_in(spark: SparkSession, store: Path) -> np.ndarray:
    """Each case's probability."""
    place = table_path(spark.sparkContext, str(store), "predictions").removeprefix("file:")
    rows = pq.read_table(place, columns=["case_id", "probability"]).sort_by("case_id").to_pydict()
    assert len(rows["case_id"]) > 1000
    return np.array(rows["probability"])
