"""Commands that end before their end: by Ctrl-C, SIGTERM, kill -9, or with Java; what they leave, and what is said."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from processes import family
from support.places import ROOT
from support.roads import stays, write
from support.tasks import task_file

pytestmark = pytest.mark.integration

SETTINGS = {"MEDSPARK_MASTER": "local[2]", "MEDSPARK_DRIVER_MEMORY": "1g"}


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Path:
    """A task whose source takes some seconds to clean."""
    folder = tmp_path_factory.mktemp("long")
    return task_file(folder, write(folder / "stays.csv", stays(120_000)))


def begin(task, store, reader="spark", **more) -> subprocess.Popen:
    command = [sys.executable, "-m", "medspark.cli", "clean", str(task), "--store", str(store), "--reader", reader]
    environment = {**os.environ, **SETTINGS, **more}
    if reader == "workers":
        (store / "local").mkdir()
        environment["MEDSPARK_LOCAL_DIR"] = str(store / "local")
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


MIDDLE = {"spark": "stays/records/*/_temporary/*/*", "workers": "local/**/raw-*/rows/*"}


def wait_for_the_middle(run, store, reader="spark") -> list[psutil.Process]:
    """Until rows are being written; all processes of the run then."""
    while not list(store.glob(MIDDLE[reader])):
        assert run.poll() is None, run.stdout.read()
        time.sleep(0.02)
    return family(run.pid)


def send(processes, number) -> None:
    """A signal to each of them; a worker may end with the one before it."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def is_java(process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.name() == "java"
    return False


def receipts(store) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((store / "stays" / "runs").glob("*.json"))]


def versions(store) -> list[str]:
    return sorted(path.name for path in (store / "stays").glob("*/*") if path.is_dir() and path.parent.name != "runs")


@pytest.mark.parametrize(
    ("number", "code", "everyone", "reader"),
    [
        (signal.SIGTERM, 143, False, "spark"),
        (signal.SIGINT, 130, True, "spark"),
        (signal.SIGTERM, 143, True, "spark"),
        (signal.SIGINT, 130, False, "workers"),
    ],
)
def test_a_signal_completes_the_receipt_and_leaves_no_java_and_nothing_half(
    task, tmp_path, number, code, everyone, reader
):
    run = begin(task, tmp_path, reader)
    processes = wait_for_the_middle(run, tmp_path, reader)
    send(processes if everyone else processes[:1], number)
    said, _ = run.communicate(timeout=200)
    assert run.returncode == code, said
    (receipt,) = receipts(tmp_path)
    assert (receipt["status"], receipt["exit_code"]) == ("interrupted", code)
    assert signal.Signals(number).name in receipt["error"]
    assert receipt["finished_at"] is not None
    assert "Traceback" not in said
    assert psutil.wait_procs(processes, 5)[1] == []
    assert versions(tmp_path) == []


@pytest.mark.parametrize("moment", ["before java", "java is there", "a second later"])
def test_a_signal_while_spark_starts_leaves_a_complete_receipt_and_no_java(task, tmp_path, moment):
    run = begin(task, tmp_path)
    while not receipts(tmp_path):
        assert run.poll() is None, run.stdout.read()
        time.sleep(0.02)
    while moment != "before java" and not any(map(is_java, family(run.pid))):
        time.sleep(0.02)
    time.sleep(1 if moment == "a second later" else 0)
    processes = family(run.pid)
    send(processes[:1], signal.SIGTERM)
    said, _ = run.communicate(timeout=200)
    (receipt,) = receipts(tmp_path)
    assert (run.returncode, receipt["status"], receipt["exit_code"]) == (143, "interrupted", 143), said
    assert "stopped by SIGTERM; the receipt is complete" in said
    assert psutil.wait_procs(processes, 5)[1] == []


def test_without_java_a_run_leaves_a_receipt_that_says_so(tmp_path):
    source = task_file(tmp_path, write(tmp_path / "stays.csv", stays(5)))
    run = begin(source, tmp_path, JAVA_HOME=str(tmp_path))
    said, _ = run.communicate(timeout=200)
    (receipt,) = receipts(tmp_path)
    assert (run.returncode, receipt["status"], receipt["exit_code"]) == (1, "failed", 1), said
    assert receipt["error"].startswith("medspark needs Java 17 or newer to run Spark, and finds none.")


def test_after_kill_9_the_next_run_names_the_one_that_broke_off_and_cleans_up_after_it(task, tmp_path):
    run = begin(task, tmp_path)
    processes = wait_for_the_middle(run, tmp_path)
    send(processes, signal.SIGKILL)
    run.wait()
    (receipt,) = receipts(tmp_path)
    assert (receipt["status"], receipt["exit_code"]) == ("running", None)
    again = begin(task, tmp_path)
    said, _ = again.communicate(timeout=400)
    assert again.returncode == 0, said
    assert f"run {receipt['run_id']} (clean, begun {receipt['started_at']}) broke off before its end" in said
    first, second = receipts(tmp_path)
    assert (first["status"], first["run_id"]) == ("broken off", receipt["run_id"])
    assert (second["status"], second["broken_off"]) == ("done", [receipt["run_id"]])
    assert versions(tmp_path) == [second["run_id"]] * 2  # of records and quarantine


def test_a_java_that_dies_is_a_failed_run_with_a_receipt(task, tmp_path):
    run = begin(task, tmp_path)
    processes = wait_for_the_middle(run, tmp_path)
    send([next(filter(is_java, processes))], signal.SIGKILL)
    said, _ = run.communicate(timeout=200)
    assert run.returncode == 1, said
    (receipt,) = receipts(tmp_path)
    assert (receipt["status"], receipt["exit_code"]) == ("failed", 1)
    assert versions(tmp_path) == []
    assert psutil.wait_procs(processes, 5)[1] == []


@pytest.mark.parametrize("place", ["a-file/store", "/proc/store"])
def test_a_store_that_cannot_be_written_is_one_sentence_and_exit_code_7(tmp_path, place):
    (tmp_path / "a-file").write_text("no folder")
    source = task_file(tmp_path, write(tmp_path / "stays.csv", stays(5)))
    run = begin(source, tmp_path / place)
    said, _ = run.communicate(timeout=200)
    assert run.returncode == 7, said
    assert "cannot be written: expected a folder that this user may write to" in said
    assert "Traceback" not in said
