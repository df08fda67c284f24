"""A network of 50 million weights, 200 MB, down the whole road: trained, bundled, sent to executors, scored with."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pyspark
import pytest
from processes import peak_of_workers
from support.places import ROOT
from support.roads import receipt_in, scores_of, stays, walk, write
from support.tasks import stays_at

from medspark.bundles.bundle import LITERT, load_bundle
from medspark.score.worker.engine import ROWS

pytestmark = pytest.mark.integration

MB = 2**20
WITHOUT_NETWORK = 250 * MB
"""What a worker takes beside its network: Python, numpy, pyarrow, LiteRT and some batches."""
HIDDEN = [8192, 6144]


@pytest.fixture(scope="module")
def large(spark, tmp_path_factory):
    """The bundle and its source."""
    folder = tmp_path_factory.mktemp("large")
    source = write(folder / "stays.csv", stays(300))
    training = {"epochs": 1, "batch_size": 128, "learning_rate": 1e-4}
    task = stays_at(source, network={"hidden": HIDDEN, "members": 1}, training=training)
    bundle, _ = walk(spark, folder / "store", task)
    return bundle, source


def scored(bundle, source, store, master):
    """Score under spark-submit; the receipt and the most memory that a Python worker had."""
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    command = [submit, "--properties-file", "conf/spark/local.conf", "--master", master, "--driver-memory", "1g"]
    command += ["--conf", "spark.executor.memory=512m", "jobs/score.py", bundle, "--source", source, "--to", store]
    store.mkdir()
    settings = {"PYSPARK_PYTHON": sys.executable, "MEDSPARK_SPARK_LOG": f"{store}/spark.log"}
    most, end = 0, time.monotonic() + 300
    with (store / "said").open("w") as said:
        run = subprocess.Popen(
            [*map(str, command), "--json"], cwd=ROOT, env=os.environ | settings, stdout=said, stderr=subprocess.STDOUT
        )
        while run.poll() is None:
            most = max(most, peak_of_workers(run.pid))
            time.sleep(0.05)
            if time.monotonic() > end:
                run.kill()
    text = (store / "said").read_text()
    assert run.returncode == 0, text[-3000:]
    return receipt_in(text), most


def test_a_network_of_50_million_weights_is_scored_by_executors_as_by_one_thread(spark, large, tmp_path):
    bundle, source = large
    engine = load_bundle(bundle).read_json("metrics.json")["engine"]
    assert engine["parameters"] > 50_000_000
    size = (bundle / LITERT).stat().st_size
    assert size > 200_000_000
    alone, _ = scored(bundle, source, tmp_path / "alone", "local[1]")
    receipt, memory = scored(bundle, source, tmp_path / "executors", "local-cluster[2,1,1024]")
    assert alone["counts"]["score"]["engine"] == receipt["counts"]["score"]["engine"] == "litert"
    assert scores_of(spark, tmp_path / "executors") == scores_of(spark, tmp_path / "alone")  # bit for bit
    assert receipt["counts"]["score"]["loads"] <= 2  # once in each worker
    of_one_call = 2 * ROWS * sum(HIDDEN) * 4  # the layers' sums and what they pass on, as 32-bit floats
    # twice the network: the file's pages, which workers share, and LiteRT's own copy
    assert 0 < memory < WITHOUT_NETWORK + 2 * size + of_one_call
