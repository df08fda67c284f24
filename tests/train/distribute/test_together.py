"""Two workers that learn together end with the weights of one that learns alone."""

import os
import signal
from contextlib import suppress
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import psutil
import pytest
from train.test_checkpoints import ALL, checkpoint_of, fitted, same
from train.test_distil import STATISTICS, learned_files, task_with, two_horizons, two_partly_known, written

from medspark.bundles.bundle import load_bundle
from medspark.encode.statistics import from_json
from medspark.errors import InputError
from medspark.evaluate.truth import reading_of, truth_of
from medspark.store.tables import table_path
from medspark.train import trees
from medspark.train.batches import read_labels, split_files
from medspark.train.checkpoints import Checkpoints
from medspark.train.distribute.barrier import learn_by_members, learning_of, require_workers
from medspark.train.fit import fit_network, learn_from
from medspark.train.update import Given, go_on

TOGETHER = "2 workers learned the network together, and ended with the same weights"
TWO = {**ALL, "training": {**ALL["training"], "workers": 2}}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return written(tmp_path_factory.mktemp("distribute") / "tensors", cases=800)


def members_of(context, task):
    """Who learns, which is no single process."""
    found = learning_of(context, task.training)
    assert found.func is learn_by_members
    return found


def together(context, table, task, checkpoint=None, progress=lambda _: None):
    train, valid = split_files(table, "train"), split_files(table, "valid")
    who = members_of(context, task)
    return fit_network(train, valid, STATISTICS, task, progress, checkpoint=checkpoint, learn=who)


def furthest(one, other):
    """The length of the difference of two networks' weights beside that of the weights, of the array furthest off."""
    pairs = zip(one.members.get_weights(), other.members.get_weights(), strict=True)
    return max(np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-12) for a, b in pairs)


def alike(alone, found):
    assert furthest(alone, found) < 1e-5
    for one, other in zip(alone.history, found.history, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.slow
def test_two_workers_end_with_the_weights_of_one(context, table, capsys, monkeypatch):
    monkeypatch.setattr(trees, "LEAST_CASES", 100)  # what trees teach is in every worker's share of a batch
    told = []
    found = together(context, table, task_with(**TWO), progress=told.append)
    alike(fitted(table, task_with(**ALL)), found)
    assert capsys.readouterr().out.splitlines() == [TOGETHER]
    assert [one.epoch for one in told if one.ended] == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outcome", "targets"),
    [
        ({"several": {"a": "age > 80", "b": "dose > 2"}}, two_partly_known),
        ({"event": "back", "days": "age", "horizons_days": [10, 30]}, two_horizons),
    ],
    ids=["several", "horizons"],
)
def test_unknown_targets_weights_and_a_last_batch_of_one_case_count_as_for_one_worker(
    context, tmp_path, outcome, targets
):
    table = written(tmp_path / "tensors", cases=800, targets=targets)
    raw = {"outcome": {"name": "made up", **outcome}, "features": {"categorical": ["ward"]}}
    raw |= {"network": {"members": 3, "hidden": [8], "kind": "plain"}, "report": {"bootstrap": 5}}
    learn = {"epochs": 2, "l2": 0.01, "class_weight": "balanced", "optimizer": "adam", "schedule": "constant"}
    learn["batch_size"] = known_cases(table, task_with(**raw)) - 1
    found = together(context, table, task_with(**raw, training={**learn, "workers": 2}))
    alike(fitted(table, task_with(**raw, training=learn)), found)


def known_cases(table, task):
    files = learned_files(table)
    reading = reading_of(task.outcome, read_labels(files, reading_of(task.outcome)))
    return int(truth_of(read_labels(files, reading), reading).weight.any(axis=1).sum())


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_vectors_of_categories_and_codes_are_learned_as_by_one_worker(context, road, optimizer):
    bundle, store = load_bundle(road["bundle"]), str(road["folder"] / "store")
    table, statistics = table_path(context, store, "tensors"), from_json(bundle.read_text("statistics.json"))
    train, valid = split_files(table, "train"), split_files(table, "valid")
    assert {"categories", "codes"} <= {one.part for one in statistics.inputs()}

    def learned(workers):
        training = {"epochs": 3, "batch_size": 64, "clip_norm": 0.5, "optimizer": optimizer, "workers": workers}
        task = task_with(network={"members": 3}, training=training)
        who = learn_from if workers == 1 else members_of(context, task)
        return fit_network(train, valid, statistics, task, lambda _: None, learn=who)

    alike(learned(1), learned(2))


@pytest.mark.slow
def test_an_update_of_the_head_by_two_workers_is_that_of_one(context, table, tmp_path):
    said = []

    def updated(task, who, checkpoints=None):
        champion = fitted(table, task_with(**ALL))
        given = Given(str(table), None, pd.DataFrame(), checkpoints, who)
        return champion._replace(history=go_on(champion, STATISTICS, task, given, "head", lambda _: None))

    two, checkpoints = task_with(**TWO), Checkpoints(tmp_path, said.append, every_seconds=0.0)
    found = updated(two, members_of(context, two), checkpoints)
    assert said == [TOGETHER]
    alike(updated(task_with(**ALL), learn_from), found)
    assert [row["epoch"] for row in found.history] == [0, 1, 2, 3, 4]
    assert [one.name for one in tmp_path.iterdir()] == ["network.npz"]


def members_at_work():
    """The Python workers of this process that are connected with each other."""
    found = {}
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "pyspark.daemon" in one.cmdline():
                found[one.pid] = [(end.laddr, end.raddr) for end in one.net_connections("tcp") if end.raddr]
    here = {near: pid for pid, ends in found.items() for near, _ in ends}
    return sorted({pid for pid, ends in found.items() for _, far in ends if here.get(far, pid) != pid})


@pytest.mark.integration
@pytest.mark.parametrize("which", [0, -1], ids=["one member", "the other"])
def test_a_member_that_is_killed_in_an_epoch_changes_nothing(context, table, tmp_path, which):
    longer = {**TWO, "training": {**TWO["training"], "epochs": 30}}
    task, said, killed = task_with(**longer), [], []
    undisturbed = together(context, table, task)

    def kill_one(told):
        if told.epoch == 3 and not killed:
            killed.append(members_at_work()[which])
            os.kill(killed[0], signal.SIGKILL)

    checkpoint = checkpoint_of(table, task, tmp_path, said)
    found = together(context, table, task, checkpoint, kill_one)
    assert killed
    assert said[0] == "a worker was lost: training begins again from its last checkpoint"
    assert said[1].startswith("the network goes on in epoch ")
    assert said[2:] == [TOGETHER]
    assert same(found, undisturbed)


def cluster(slots, master="local[2]", **settings):
    """A Spark with room for so many tasks."""
    java = SimpleNamespace(
        maxNumConcurrentTasks=lambda _: slots.pop(0) if len(slots) > 1 else slots[0],
        resourceProfileManager=lambda: SimpleNamespace(defaultResourceProfile=lambda: None),
    )
    conf = SimpleNamespace(get=lambda key, default=None: settings.get(key.rsplit(".", 2)[1], default))
    return SimpleNamespace(_jsc=SimpleNamespace(sc=lambda: java), master=master, getConf=lambda: conf)


def test_room_for_fewer_workers_is_one_clear_error_before_anything_starts(context):
    require_workers(context, 1)
    require_workers(context, 2)
    with pytest.raises(InputError, match="expected room for 3 tasks at once, received 2"):
        require_workers(context, 3)


def test_a_network_that_learns_otherwise_by_shares_is_one_clear_error_before_anything_starts(context):
    task, start = task_with(**TWO), keras.Input((3,))
    network = keras.Model(start, keras.layers.BatchNormalization(name="normal")(start))
    with pytest.raises(InputError, match=r"received normal \(BatchNormalization\)"):
        members_of(context, task)(network, None, task.outcome.targets, task.training, print, None)


def test_executors_of_a_cluster_may_come_a_little_later(monkeypatch):
    require_workers(cluster([0, 1, 2], "spark://host:7077"), 2)
    monkeypatch.setattr("medspark.train.distribute.barrier.WAIT_SECONDS", 0.1)
    with pytest.raises(InputError, match="received 1"):
        require_workers(cluster([0, 1], "local-cluster[2,1,1024]"), 2)


def test_executors_that_spark_may_take_away_are_refused():
    require_workers(cluster([2], dynamicAllocation="true"), 1)
    with pytest.raises(InputError, match=r"received spark.dynamicAllocation.enabled=true"):
        require_workers(cluster([2], dynamicAllocation="true"), 2)


def test_a_machine_that_does_not_see_the_tensors_is_named_in_words():
    from medspark.train.distribute.member import require_files

    require_files([None, None])
    with pytest.raises(InputError, match="the tensors in /store/tensors, received 1 of 2 that do not"):
        require_files([None, "/store/tensors"])


def test_one_worker_is_this_process(context):
    assert learning_of(context, task_with(**ALL).training) is learn_from
    assert "workers" not in task_with(**ALL).training.model_dump()
    assert task_with(**TWO).training.model_dump()["workers"] == 2
