"""Train, score and night as real commands: stopped by a signal, under any umask, on a disk that is full."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from processes import family
from support.errors import SECRET
from support.places import ROOT
from support.roads import stays, write
from support.tasks import task_file

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SETTINGS = {"MEDSPARK_MASTER": "local[2]", "MEDSPARK_DRIVER_MEMORY": "1g"}


def command(name: str, folder: Path, road: dict[str, Any], rows: int) -> tuple[list[str], Path]:
    """The arguments of a command, and the store that it writes."""
    source, store = write(folder / "tonight.csv", stays(rows, seed=5)), folder / "store"
    if name == "score":
        return ["score", str(road["bundle"]), "--source", str(source), "--to", str(store)], store
    if name == "night":
        sinks = [{"kind": kind, "path": str(folder / kind)} for kind in ("parquet", "csv")]
        given = {"deployment": "stays", "bundle": str(road["bundle"]), "source": str(source), "store": str(store)}
        (folder / "nightly.yaml").write_text(yaml.safe_dump({**given, "sinks": sinks}))
        return ["night", str(folder / "nightly.yaml"), "--as-of", "2024-11-27T06:00"], store
    task = task_file(folder, source, training={"epochs": 3})
    for before in ("clean", "features"):
        assert begin([before, str(task), "--store", str(store)]).wait(400) == 0
    return ["train", str(task), "--store", str(store)], store / "stays"


def begin(arguments: list[str], **more: Any) -> "subprocess.Popen[str]":
    whole = [sys.executable, "-m", "medspark.cli", *arguments]
    environment = {**os.environ, **SETTINGS}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(whole, cwd=ROOT, env=environment, **pipes, **more)


def receipts(store: Path, of: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((store / "runs").glob("*.json"))]
    return [one for one in found if one["command"] == of]


@pytest.mark.parametrize("name", ["score", "night", "train"])
def test_a_signal_in_the_middle_leaves_one_complete_receipt_nothing_half_and_no_java(name, road, tmp_path):
    arguments, store = command(name, tmp_path, road, 20_000 if name == "train" else 300_000)
    before = {path for path in store.glob("*/*") if path.is_dir()}
    run = begin(arguments)
    while not list(store.glob("LOCK.*")):
        assert run.poll() is None, run.stdout.read()
        time.sleep(0.02)
    time.sleep(0.5)
    processes = family(run.pid)
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=200)
    (receipt,) = receipts(store, name)
    assert (run.returncode, receipt["status"], receipt["exit_code"]) == (143, "interrupted", 143), said
    assert "stopped by SIGTERM; the receipt is complete" in said
    assert psutil.wait_procs(processes, 10)[1] == []
    assert list(store.glob("LOCK*")) == []
    assert {path for path in store.glob("*/*") if path.is_dir()} == before
    assert list(tmp_path.glob("*/scores/as_of=*")) == []


@pytest.mark.parametrize("name", ["score", "train"])
def test_all_that_it_leaves_is_for_its_owner_only_whatever_the_umask(name, road, tmp_path):
    arguments, store = command(name, tmp_path, road, 300)
    there = set(tmp_path.rglob("*"))
    run = begin(arguments, umask=0)
    said, _ = run.communicate(timeout=500)
    assert run.returncode in (0, 4), said  # 4: a network of so few cases need pass no gate
    made = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in set(tmp_path.rglob("*")) - there}
    assert len([path for path in made if path.endswith((".parquet", ".json", ".csv"))]) >= 1
    assert {path: oct(mode) for path, mode in made.items() if mode & 0o077} == {}
    assert receipts(store, name)


def test_an_expression_that_fails_in_score_is_told_by_its_place_and_error_class(road, tmp_path):
    arguments, store = command("score", tmp_path, road, 20)
    derived = {"derived": {"number": {"type": "long", "expression": "cast(substr(diag_1, 2) as int) + 1"}}}
    task = task_file(tmp_path, write(tmp_path / "stays.csv", stays(400)), **derived)
    walked = begin(["run", str(task), "--store", str(tmp_path / "own")])
    walked.communicate(timeout=500)
    (bundle,) = (tmp_path / "own" / "stays" / "bundles").glob("[0-9a-f]*")
    lines = [*stays(20, seed=5), f"77,p77,40,F,{SECRET},i10,false,true"]
    arguments[1], arguments[3] = str(bundle), str(write(tmp_path / "bad.csv", lines))
    run = begin(arguments)
    said, _ = run.communicate(timeout=300)
    assert (run.returncode, "derived.number: fails on some row (CAST_INVALID_INPUT)." in said) == (3, True), said
    left = [path for path in store.rglob("*") if path.is_file() and path.suffix in (".json", ".log")]
    assert len(left) >= 2
    texts = [said, *(path.read_text() for path in left)]
    assert [text for text in texts if SECRET in text or re.search(r"\b4711\b", text)] == []


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a few megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own size needs a mount, which only root may make")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("reader", ["spark", "workers"])
def test_a_disk_that_is_full_is_one_sentence_and_nothing_half_is_left(small_disk, tmp_path, reader):
    task = task_file(tmp_path, write(tmp_path / "stays.csv", stays(300_000)))
    run = begin(["clean", str(task), "--store", str(small_disk), "--reader", reader])
    said, _ = run.communicate(timeout=400)
    assert run.returncode == 7, said
    assert f"no space left on the disk of {small_disk}" in said
    (receipt,) = receipts(small_disk / "stays", "clean")
    assert (receipt["status"], receipt["exit_code"]) == ("failed", 7)
    left = {path.relative_to(small_disk / "stays").parts[0] for path in small_disk.rglob("*") if path.is_file()}
    assert left == {"runs", "CURRENT"}
    known = json.loads((small_disk / "stays" / "CURRENT").read_text())
    assert {name: table["current"] for name, table in known.items()} == {"records": None, "quarantine": None}
