"""The same rows scored with the same bundle on clusters of several kinds: each gives the same scores, bit for bit.

Each runs the line at the head of its settings file in conf/spark, with its words in capitals filled in. Two workers on
a cluster learn the network that one learns here.
"""

import hashlib
import json
import os
import re
import shlex
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.clusters import HERE, HOME, JARS, Hadoop, NotHereError, bare_environment, hadoop, standalone
from support.places import ROOT
from support.roads import new_run, walk
from support.tasks import stays_at
from support.workers import risks_in, together, train

from medspark.bundles.bundle import CALIBRATION, STATISTICS, load_bundle
from medspark.deploy.pack import pack
from medspark.stages.encode import encode_stage
from medspark.stages.open_bundle import open_bundle
from medspark.stages.score import score_tensors_stage
from medspark.store.files import copy_to_local, list_paths, read_text
from medspark.store.tables import table_path

pytestmark = pytest.mark.integration

SMALL = {"spark.driver.memory": "1g", "spark.executor.memory": "512m", "spark.executor.cores": "1"}
"""The memory of these clusters."""


def documented(kind: str, /, settings: dict[str, str], **words: object) -> list[str]:
    """The line that conf/spark/KIND.conf gives, its words in capitals replaced, with settings for a small machine."""
    (line,) = re.findall(r"^# +(spark-submit .+)$", (ROOT / "conf" / "spark" / f"{kind}.conf").read_text(), re.M)
    for word, value in words.items():
        assert word in line, f"{kind}.conf: {word}"
        line = re.sub(rf"\b{word}\b", str(value), line)
    first, *rest = shlex.split(line)
    assert not re.search(r"\b[A-Z]{4,}\b", re.sub(r"\S*/\S*", "", line)), line
    extra = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    return [str(HOME / "bin" / first), *extra, *rest]


def submit(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    venv = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "SPARK_LOCAL_IP": HERE}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **venv, **environment}, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done


def digest(spark: SparkSession, store: str, folder: Path) -> str:
    """A digest of what a store's scores say of each case, to the last bit of its probability; no time and no run."""
    copy = folder / "scores"
    folder.mkdir(exist_ok=True)
    copy_to_local(spark.sparkContext, table_path(spark.sparkContext, store, "scores"), copy)
    rows = pq.read_table(copy, columns=["case_id", "probability", "risk_band"]).to_pylist()
    assert len(rows) > 1000
    found = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row["case_id"]):
        found.update(f"{row['case_id']} {struct.pack('>d', row['probability']).hex()} {row['risk_band']}\n".encode())
    return found.hexdigest()


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> Path:
    """What `medspark pack` makes of this environment."""
    place = tmp_path_factory.mktemp("packed") / "environment.tar.gz"
    pack(place)
    return place


@pytest.fixture(scope="session")
def expected(spark, road, tmp_path_factory) -> str:
    """The digest of the scores that one thread of one machine gives."""
    folder = tmp_path_factory.mktemp("local")
    words = {"BUNDLE": road["bundle"], "SOURCE": road["source"], "STORE": folder / "store"}
    settings = {"spark.driver.memory": "1g"}
    line = documented("local", settings, **words)
    submit(
        [line[0], "--master", "local[1]", *line[1:]], PYSPARK_PYTHON=sys.executable, MEDSPARK_SPARK_LOG=f"{folder}/log"
    )
    return digest(spark, str(folder / "store"), folder)


@pytest.fixture(scope="session")
def master(tmp_path_factory) -> Iterator[str]:
    try:
        running = standalone(tmp_path_factory.mktemp("standalone"))
        address = running.__enter__()
    except NotHereError as error:
        pytest.skip(str(error))
    yield address
    running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Hadoop]:
    try:
        running = hadoop(tmp_path_factory.mktemp("hadoop"))
        found = running.__enter__()
    except NotHereError as error:
        pytest.skip(str(error))
    yield found
    running.__exit__(None, None, None)


def scored_in_client_mode(spark, road, environment, master, folder) -> str:
    words = {"BUNDLE": road["bundle"], "SOURCE": road["source"], "STORE": folder / "store"}
    line = documented("standalone", SMALL, MASTER=master, ENVIRONMENT=environment, **words)
    submit(line, MEDSPARK_SPARK_LOG=f"{folder}/log")
    return digest(spark, str(folder / "store"), folder)


def test_executors_of_their_own_give_the_same_scores(spark, road, environment, expected, tmp_path):
    assert scored_in_client_mode(spark, road, environment, "local-cluster[2,1,1024]", tmp_path) == expected


def test_a_standalone_cluster_gives_the_same_scores(spark, road, environment, expected, master, tmp_path):
    assert scored_in_client_mode(spark, road, environment, master, tmp_path) == expected


def learned_together(spark, road, folder, master, **settings):
    """Two workers of a cluster learn what `road` learned alone."""
    done = train(road["folder"] / "store", road["source"], folder / "together", master, 2, **settings)
    assert done.returncode == 0, done.said
    assert together(2) in done.said
    risks = risks_in(spark, folder / "together" / "store" / "stays")
    assert np.allclose(risks, risks_in(spark, road["folder"] / "store"), rtol=1e-4)


def test_a_standalone_cluster_trains_the_bundle_of_one_worker(spark, road, master, tmp_path):
    learned_together(spark, road, tmp_path, master)


def put(spark: SparkSession, source: Path, place: str) -> str:
    """Copy a file or folder of this machine to another file system, as `hdfs dfs -put` does; its address there."""
    path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path
    system = path(place).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    system.copyFromLocalFile(False, True, path(f"file://{source}"), path(place))
    return place


def on_yarn(cluster: Hadoop, environment: str, **words: str) -> list[str]:
    settings = SMALL | {
        "spark.executor.memoryOverhead": "512m",
        "spark.driver.memoryOverhead": "512m",
        "spark.executor.instances": "2",
        # Spark as it is installed here, rather than 400 MB that are sent to this same machine
        "spark.yarn.jars": f"local:{JARS}/*",
        # Else Spark takes another of this machine's addresses
        "spark.yarn.appMasterEnv.SPARK_LOCAL_IP": HERE,
        "spark.executorEnv.SPARK_LOCAL_IP": HERE,
    }
    return documented("yarn", settings, ENVIRONMENT=environment, **words)


@pytest.fixture(scope="session")
def shared_environment(spark, environment, cluster) -> str:
    """The same on HDFS, where each machine fetches it once."""
    return put(spark, environment, f"{cluster.files}/medspark/environment.tar.gz")


def test_yarn_gives_the_same_scores_where_everything_is_on_hdfs(
    spark, road, shared_environment, expected, cluster, tmp_path
):
    words = {
        "BUNDLE": put(spark, road["bundle"], f"{cluster.files}/medspark/{road['bundle'].name}"),
        "SOURCE": put(spark, road["source"], f"{cluster.files}/medspark/stays.csv"),
        "STORE": f"{cluster.files}/medspark/tonight",
    }
    try:
        submit(on_yarn(cluster, shared_environment, **words), HADOOP_CONF_DIR=str(cluster.conf))
    except AssertionError as error:
        raise AssertionError(f"{error}\n{cluster.said()}") from None
    assert digest(spark, words["STORE"], tmp_path) == expected
    (written,) = list_receipts(spark, words["STORE"])
    receipt = json.loads(read_text(spark.sparkContext, written))
    assert receipt["arguments"]["bundle"] == words["BUNDLE"]
    assert "tensorflow" not in receipt["versions"]
    assert receipt["counts"]["score"]["writer"] == {"kind": "workers", "because": "they reach it"}


def test_yarn_trains_the_bundle_of_one_worker(spark, road, cluster, tmp_path):
    learned_together(spark, road, tmp_path, "yarn", HADOOP_CONF_DIR=str(cluster.conf))


def test_workers_read_tensors_from_hdfs_and_write_scores_there(spark, road, expected, cluster, tmp_path):
    store, bundle = f"{cluster.files}/medspark/encoded", load_bundle(road["bundle"])
    encode_stage(new_run(spark, store), bundle, str(road["source"]))
    for name, who in {"read": {"reader": "workers"}, "write": {"reader": "spark", "writer": "workers"}}.items():
        run = new_run(spark, f"{cluster.files}/medspark/workers-{name}")
        score_tensors_stage(run, bundle, store, **who)
        assert digest(spark, run.store, tmp_path / name) == expected


def test_a_store_on_hdfs_is_trained_to_the_bundle_of_one_on_this_machine(spark, road, cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSPARK_LOCAL_DIR", str(tmp_path / "local"))
    made, run = walk(spark, f"{cluster.files}/medspark/learned", stays_at(road["source"]))
    found = open_bundle(run, run.receipt.outputs["bundle"])
    assert run.receipt.outputs["bundle"] == f"{run.store}/bundles/{found.bundle_id}"
    for name in (CALIBRATION, STATISTICS):
        assert found.read_bytes(name) == load_bundle(road["bundle"]).read_bytes(name)
    said = []
    for at, store in enumerate((run.store, road["folder"] / "store")):
        copy_to_local(spark.sparkContext, table_path(spark.sparkContext, str(store), "predictions"), tmp_path / str(at))
        said.append(pq.read_table(tmp_path / str(at), columns=["case_id", "logit"]).sort_by("case_id"))
    assert said[0].equals(said[1])
    (workplace,) = (tmp_path / "local").iterdir()
    assert (workplace.stat().st_mode & 0o777, made.parent) == (0o700, workplace / "bundles")
    assert not [*workplace.glob("checkpoints"), *workplace.glob("copied/*"), *workplace.glob(".scratch")]
    assert not [path for path in list_paths(spark.sparkContext, f"{run.store}/bundles") if "/.new-" in path]


def list_receipts(spark: SparkSession, store: str) -> list[str]:
    return [path for path in list_paths(spark.sparkContext, f"{store}/runs") if path.endswith(".json")]


def test_what_is_no_bundle_on_hdfs_is_one_clear_sentence(spark, shared_environment, cluster):
    words = {"BUNDLE": f"{cluster.files}/nowhere", "SOURCE": "x", "STORE": f"{cluster.files}/medspark/failed"}
    with pytest.raises(AssertionError):
        submit(on_yarn(cluster, shared_environment, **words), HADOOP_CONF_DIR=str(cluster.conf))
    (written,) = list_receipts(spark, words["STORE"])
    receipt = json.loads(read_text(spark.sparkContext, written))
    assert (receipt["exit_code"], receipt["error"]) == (3, f"{words['BUNDLE']} is no bundle: it has no manifest.json")


def test_the_packed_environment_scores_without_tensorflow(spark, road, environment, expected, tmp_path):
    unpacked = tmp_path / "elsewhere"
    subprocess.run(["mkdir", unpacked], check=True)
    subprocess.run(["tar", "-xzf", environment, "-C", unpacked], check=True)
    py4j = next((HOME / "python" / "lib").glob("py4j-*.zip"))
    bare = {
        **bare_environment(),
        "PYTHONPATH": f"{HOME.parent / 'absent'}:{HOME / 'python' / 'lib' / 'pyspark.zip'}:{py4j}",
    }
    python = str(unpacked / "bin" / "python")
    settings = {"SPARK_HOME": str(HOME), "MEDSPARK_MASTER": "local[1]", "PYSPARK_PYTHON": python}
    command = [python, "-m", "medspark.cli", "score", road["bundle"], "--source", road["source"]]
    done = subprocess.run(
        [*command, "--to", tmp_path / "store"], env=bare | settings, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "by litert" in done.stdout
    assert digest(spark, str(tmp_path / "store"), tmp_path) == expected
    without = [python, "-c", "import tensorflow"]
    assert "No module named 'tensorflow'" in subprocess.run(without, env=bare, capture_output=True, text=True).stderr
