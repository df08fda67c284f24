"""Processes killed in the middle of a scoring run, as a machine that fails kills them: the scores stay the same.

Each run scores 200 small files of tensors, one after the other, so that there is a middle.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
import pytest
from processes import WORKER, family, runs
from support.places import ROOT
from support.roads import new_run, receipt_in

from medspark.bundles.bundle import load_bundle
from medspark.score.serve import statistics_digest
from medspark.stages.encode import encode_stage
from medspark.store.facts import TensorsFacts, write_facts
from medspark.store.tables import publish

pytestmark = pytest.mark.integration

FILES = 200


@pytest.fixture(scope="module")
def tensors(spark, road, tmp_path_factory) -> Path:
    """A store with the tensors of the stays many times over, each time under other case ids, a file each."""
    folder = tmp_path_factory.mktemp("killed")
    bundle = load_bundle(road["bundle"])
    encode_stage(new_run(spark, folder / "once"), bundle, str(road["source"]))
    once = pq.read_table(next((folder / "once" / "tensors").glob("*/")))
    place = folder / "many" / "tensors" / "made"
    place.mkdir(parents=True)
    ids = once.schema.get_field_index("case_id")
    for at in range(FILES):
        cases = pa.array(range(at * 10_000, at * 10_000 + once.num_rows), once.schema.field(ids).type)
        pq.write_table(once.set_column(ids, "case_id", cases), place / f"part-{at:03}.parquet")
    facts = TensorsFacts(statistics_digest(bundle), FILES * once.num_rows, "made")
    write_facts(spark.sparkContext, str(place), facts)
    publish(spark.sparkContext, str(folder / "many"), ["tensors"], "made")
    return folder / "many"


def begin(road, tensors: Path, store: Path, reader: str, master: str) -> subprocess.Popen:
    """Start scoring. Files are read one by one by Spark too."""
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    command = [submit, "--properties-file", "conf/spark/local.conf", "--master", master, "--driver-memory", "1g"]
    command += ["--conf", "spark.executor.memory=512m", "--conf", "spark.sql.files.maxPartitionBytes=1m"]
    command += ["jobs/score.py", road["bundle"], "--tensors", tensors, "--to", store, "--reader", reader, "--json"]
    store.mkdir(parents=True, exist_ok=True)
    settings = {"PYSPARK_PYTHON": sys.executable, "MEDSPARK_SPARK_LOG": f"{store}/spark.log"}
    with (store / "said").open("w") as said:
        return subprocess.Popen(
            [*map(str, command)], cwd=ROOT, env={**os.environ, **settings}, stdout=said, stderr=subprocess.STDOUT
        )


def finished(run: subprocess.Popen, store: Path) -> dict:
    """The receipt of a run, at its end."""
    assert run.wait(300) == 0, (store / "said").read_text()[-4000:]
    return receipt_in((store / "said").read_text())


def written(store: Path) -> list[Path]:
    return list((store / "scores").glob("*/part-*.parquet"))


def wait_for_the_middle(run: subprocess.Popen, store: Path) -> None:
    while len(written(store)) < FILES // 20:
        assert run.poll() is None, (store / "said").read_text()[-4000:]
        time.sleep(0.01)


def workers(run: subprocess.Popen) -> list[psutil.Process]:
    """Spark's Python workers, which their daemon starts."""
    return [process for process in family(run.pid) if runs(process, WORKER) and runs(process.parent(), WORKER)]


def executors(run: subprocess.Popen) -> list[psutil.Process]:
    return [p for p in family(run.pid) if runs(p, "org.apache.spark.executor.CoarseGrainedExecutorBackend")]


def content(store: Path) -> dict[int, tuple]:
    """Each case's score to the last bit; every case once."""
    table = pq.read_table(written(store), columns=["case_id", "probability", "risk_band"])
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    found = {case: rest for case, *rest in rows}
    assert len(found) == table.num_rows
    return found


@pytest.fixture(scope="module")
def undisturbed(road, tensors, tmp_path_factory) -> dict[int, tuple]:
    store = tmp_path_factory.mktemp("undisturbed")
    finished(begin(road, tensors, store, "workers", "local[2,4]"), store)
    return content(store)


@pytest.mark.parametrize("reader", ["workers", "spark"])
def test_a_python_worker_that_is_killed_changes_nothing(road, tensors, undisturbed, tmp_path, reader):
    run = begin(road, tensors, tmp_path, reader, "local[2,4]")
    wait_for_the_middle(run, tmp_path)
    workers(run)[0].send_signal(signal.SIGKILL)
    before = len(written(tmp_path))
    finished(run, tmp_path)
    assert before < FILES
    assert content(tmp_path) == undisturbed


@pytest.mark.parametrize("reader", ["workers", "spark"])
def test_an_executor_that_is_killed_changes_nothing(road, tensors, undisturbed, tmp_path, reader):
    run = begin(road, tensors, tmp_path, reader, "local-cluster[2,1,1024]")
    wait_for_the_middle(run, tmp_path)
    started = executors(run)
    started[0].send_signal(signal.SIGKILL)
    before = len(written(tmp_path))
    finished(run, tmp_path)
    assert before < FILES
    assert len(started) == 2
    assert content(tmp_path) == undisturbed


def test_a_driver_that_is_killed_leaves_what_was_scored_to_the_next_run(road, tensors, undisturbed, tmp_path):
    run = begin(road, tensors, tmp_path, "workers", "local[2,4]")
    wait_for_the_middle(run, tmp_path)
    everyone = family(run.pid)
    for process in everyone:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(everyone, 30)
    run.wait()
    kept = {path: path.stat().st_mtime_ns for path in written(tmp_path)}
    assert 0 < len(kept) < FILES
    receipt = finished(begin(road, tensors, tmp_path, "workers", "local[2,4]"), tmp_path)
    assert receipt["counts"]["score"]["scored_before"] == sum(pq.read_metadata(path).num_rows for path in kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert content(tmp_path) == undisturbed
