"""`medspark train` killed at a step, and the same command again: the bundle is the one that nobody disturbed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support.places import ROOT
from support.roads import new_run, stays, write
from support.tasks import task_file

from medspark.bundles.bundle import MANIFEST
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.task.load import load_task

pytestmark = pytest.mark.integration

SETTINGS = {"MEDSPARK_MASTER": "local[2]", "MEDSPARK_DRIVER_MEMORY": "1g"}
OFTEN = """
import time
from medspark.train.checkpoints import Checkpoint
Checkpoint.is_due = lambda self: time.monotonic() - self.written_at > 0.2
"""
"""Else a training of seconds leaves its first checkpoint when it ends."""
MADE_AT = {"card.json", "card.xml", "report.html", "model.keras"}
"""Files of a bundle that say when it was made, Keras' own too; `model.tflite` has the weights and is compared."""


@pytest.fixture(scope="module")
def task(tmp_path_factory, spark):
    """A task whose store has cases, as `clean` and `features` leave them."""
    folder = tmp_path_factory.mktemp("resumed")
    changes = {"network": {"members": 3}, "training": {"epochs": 40, "batch_size": 32}}
    path = task_file(folder, write(folder / "stays.csv", stays(1500)), **changes)
    run = new_run(spark, folder / "store" / "stays")
    features_stage(run, clean_stage(run, load_task(path)))
    return path


def begin(task, store):
    command = [sys.executable, "-c", f"{OFTEN}\nfrom medspark.cli.main import app; app()"]
    command += ["train", str(task), "--store", str(store)]
    environment = {**os.environ, **SETTINGS}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def bundle_of(store):
    """The digests of a store's one bundle's files, those apart that say when it was made."""
    (bundle,) = (store / "stays" / "bundles").iterdir()
    return json.loads((bundle / MANIFEST).read_text())["files"]


def test_kill_9_in_the_middle_and_the_same_command_again_give_the_bundle_of_an_undisturbed_run(task, tmp_path):
    for name in ("whole", "killed"):
        shutil.copytree(task.parent / "store", tmp_path / name)
    whole = begin(task, tmp_path / "whole")
    said, _ = whole.communicate(timeout=600)
    assert whole.returncode == 0, said
    run, kept = begin(task, tmp_path / "killed"), tmp_path / "killed/stays/checkpoints/train-small/network.npz"
    seen = set()
    while len(seen) < 3:  # checkpoints
        assert run.poll() is None, run.communicate()[0]
        seen |= {kept.stat().st_mtime_ns} if kept.exists() else set()
        time.sleep(0.001)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert not list((tmp_path / "killed" / "stays").glob("bundles/*"))
    again = begin(task, tmp_path / "killed")
    said, _ = again.communicate(timeout=600)
    assert again.returncode == 0, said
    assert "the network goes on in epoch" in said
    assert not kept.parents[1].exists(), "what is there to go on from goes when there is a bundle"
    first, second = bundle_of(tmp_path / "whole"), bundle_of(tmp_path / "killed")
    assert {name for name in first if first[name] != second[name]} <= MADE_AT
    assert first.keys() == second.keys()
