"""A command that learns, killed at a step, and the same command again: the bundle is the one that nobody disturbed.

MEDSPARK_KILLS says how often, once unless it does; only where it does are `tune` and `update` killed too.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support.places import ROOT
from support.roads import new_run, stays, write
from support.tasks import task_file

from medspark.bundles.bundle import MANIFEST, METRICS
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.task.load import load_task

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("MEDSPARK_KILLS", "1"))
SETTINGS = {"MEDSPARK_MASTER": "local[2]", "MEDSPARK_DRIVER_MEMORY": "1g", "PYTHONUNBUFFERED": "1"}
OFTEN = """
import time
from medspark.train.checkpoints import Checkpoint
Checkpoint.is_due = lambda self: time.monotonic() - self.written_at > 0.2
"""
"""Else a training of seconds leaves its first checkpoint when it ends."""
MADE_AT = {"card.json", "card.xml", "report.html", "model.keras"}
"""Files of a bundle that say when it was made, Keras' own too; `model.tflite` has the weights and is compared."""
LEARNING = {"network": {"members": 3}, "training": {"epochs": 40, "batch_size": 32}}
TUNING = {"trials": 4, "members": 1, "space": {"network.dropout": [0.0, 0.1, 0.3], "training.ema": [0.9, 0.99]}}
"""As many trials as are drawn before what was tried says anything: later ones hang on which have ended."""


def prepared(folder, spark, **changes):
    """A task whose store has cases, as `clean` and `features` leave them."""
    path = task_file(folder, write(folder / "stays.csv", stays(1500)), **LEARNING | changes)
    run = new_run(spark, folder / "store" / "stays")
    features_stage(run, clean_stage(run, load_task(path)))
    return path


def to_train(folder, spark, _):
    return ["train", prepared(folder, spark)]


def to_tune(folder, spark, _):
    training = {"epochs": 8, "batch_size": 32}
    return ["tune", prepared(folder, spark, tuning=TUNING, training=training)]


def to_update(folder, _, road):
    shutil.copytree(road["folder"] / "store", folder / "store" / "stays")
    later = [f"{10_000 + at},{line.split(',', 1)[1]}" for at, line in enumerate(stays(1500, 1))]
    task = task_file(folder, road["source"], **LEARNING | {"updating": {"rate": 1.0, "before": 0.5, "auroc": 0.5}})
    return ["update", road["bundle"], task, "--with", write(folder / "later.csv", later)]


def begin(command, store):
    process = [sys.executable, "-c", f"{OFTEN}\nfrom medspark.cli.main import app; app()"]
    process += [*map(str, command), "--store", str(store)]
    return subprocess.Popen(
        process, cwd=ROOT, env={**os.environ, **SETTINGS}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def written(store):
    """When checkpoints and journals were last written to."""
    files = [*store.glob("stays/checkpoints/**/*.npz"), *store.glob("stays/tuning/*.log")]
    files = [file for file in files if not file.stem.endswith("-taught")]  # before the first step
    found = set()
    for file in files:
        try:
            found.add((file.name, file.stat().st_mtime_ns))
        except FileNotFoundError:  # renamed, or gone, at this moment
            continue
    return found


def kill_at_a_step(run, store, steps, delay):
    """Kill a command once it has written so many times and a little later; what it said, None of one that had ended."""
    seen = written(store)
    until = len(seen) + steps
    while len(seen) < until:
        if run.poll() is not None:
            return None
        seen |= written(store)
        time.sleep(0.001)
    time.sleep(delay)
    if run.poll() is not None:
        return None
    os.killpg(run.pid, signal.SIGKILL)
    return run.communicate()[0]


def made_in(store, before):
    """The digests of a store's new bundle's files, those apart that say when it was made, and its metrics."""
    (bundle,) = (place for place in (store / "stays" / "bundles").iterdir() if place.name not in before)
    metrics = json.loads((bundle / METRICS).read_text())
    for trial in metrics.get("tuning", {}).get("tried", []):
        del trial["seconds"]
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    return {name: digest for name, digest in files.items() if name not in {*MADE_AT, METRICS}}, metrics


@pytest.mark.parametrize(
    "prepare",
    [
        to_train,
        *(
            pytest.param(one, marks=pytest.mark.skipif(KILLS < 2, reason="MEDSPARK_KILLS"))
            for one in (to_tune, to_update)
        ),
    ],
)
def test_kill_9_at_any_step_and_the_same_command_again_give_the_bundle_of_an_undisturbed_run(
    spark, road, tmp_path, prepare
):
    command, rng, heard = prepare(tmp_path, spark, road), random.Random(KILLS), []
    before = {place.name for place in tmp_path.glob("store/stays/bundles/*")}
    for name in ("whole", "killed"):
        shutil.copytree(tmp_path / "store", tmp_path / name)
    whole = begin(command, tmp_path / "whole")
    said, _ = whole.communicate(timeout=600)
    assert whole.returncode == 0, said
    for _ in range(KILLS):
        run = begin(command, tmp_path / "killed")
        said = kill_at_a_step(run, tmp_path / "killed", rng.randint(1, 3), rng.uniform(0, 0.3))
        if said is None:
            break
        heard.append(said)
        assert {place.name for place in tmp_path.glob("killed/stays/bundles/*")} == before
    kills = len(heard)
    if kills == KILLS:
        run = begin(command, tmp_path / "killed")
    said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, said
    assert kills >= min(KILLS, 10), "it ended before it was killed"
    assert "the network goes on in epoch" in "".join([*heard, said]) or prepare is to_tune
    assert not (tmp_path / "killed/stays/checkpoints").exists(), "it goes when there is a bundle"
    print(f"{prepare.__name__}: {kills} kills")
    assert made_in(tmp_path / "killed", before) == made_in(tmp_path / "whole", before)
