"""A fit that dies goes on, and ends with the weights that it would have had, bit for bit."""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from train.test_distil import STATISTICS, learned_files, task_with, written

from medspark.train import boosted, checkpoints, trees
from medspark.train import loop as module
from medspark.train.batches import split_files
from medspark.train.checkpoints import Checkpoint, Checkpoints, Kept, digest_of
from medspark.train.distil import distil, write_soft_labels
from medspark.train.fit import fit_network
from medspark.train.networks.student import student_settings
from medspark.train.update import Given, go_on

pytestmark = pytest.mark.slow

ALL = {
    "network": {"members": 3, "hidden": [8]},
    "training": {"epochs": 4, "batch_size": 128, "ema": 0.95, "clip_norm": 1.0, "warmup": 10, "stop_on": "auroc"},
}
"""Dropout, AdamW's moments, a schedule, an average of weights: all that a step leaves to the next one."""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return written(tmp_path_factory.mktemp("checkpoints") / "tensors", cases=800)


def fitted(table, task, checkpoint=None):
    train, valid = split_files(table, "train"), split_files(table, "valid")
    return fit_network(train, valid, STATISTICS, task, lambda _: None, checkpoint=checkpoint)


def checkpoint_of(table, task, folder, said=None, every_seconds=0.0):
    kept = Checkpoints(folder, (said if said is not None else []).append, every_seconds)
    return kept.of("network", task, STATISTICS, learned_files(table))


def dies_at(monkeypatch, step):
    """Let the process die, as far as training can tell, after so many steps."""
    steps = iter(range(1, 10_000))

    def tell(self, model, state, ended):
        if not ended and next(steps) == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(module._Teller, "tell", tell)


def same(one, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(one.members.get_weights(), other.members.get_weights(), strict=True)
    ) and one.history == other.history  # fmt: skip


def test_whatever_the_step_at_which_training_dies_it_ends_with_the_same_weights(table, tmp_path, monkeypatch):
    task = task_with(**ALL)
    undisturbed = fitted(table, task)
    assert len(undisturbed.history) == 4
    for step in (1, 8, 9, 29):  # 1000 cases are eight steps an epoch
        said = []
        with monkeypatch.context() as patched:
            dies_at(patched, step)
            with pytest.raises(KeyboardInterrupt):
                fitted(table, task, checkpoint_of(table, task, tmp_path / str(step)))
        again = fitted(table, task, checkpoint_of(table, task, tmp_path / str(step), said))
        epoch, of_it = divmod(step - 2, 8)  # the step at which it died is not kept
        where = f"the network goes on in epoch {epoch + 1} after step {of_it + 1}"
        assert said == ([where] if step > 1 else []), step
        assert same(again, undisturbed), step


def test_a_fit_that_is_taught_goes_on_too(table, tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "LEAST_CASES", 100)
    task = task_with(**ALL)
    undisturbed = fitted(table, task)
    with monkeypatch.context() as patched:
        dies_at(patched, 9)
        with pytest.raises(KeyboardInterrupt):
            fitted(table, task, checkpoint_of(table, task, tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(boosted, "fit_teachers", None)  # what they said is kept
        assert same(undisturbed, fitted(table, task, checkpoint_of(table, task, tmp_path)))
    monkeypatch.setattr(trees, "LEAST_CASES", 2_000)
    assert not same(undisturbed, fitted(table, task))


def test_a_fit_that_had_ended_is_not_done_again(table, tmp_path, monkeypatch):
    task = task_with(**ALL)
    first = fitted(table, task, checkpoint_of(table, task, tmp_path, every_seconds=1000.0))
    monkeypatch.setattr(module, "_epoch", None)
    said = []
    assert same(fitted(table, task, checkpoint_of(table, task, tmp_path, said)), first)
    assert said == ["the network had learned"]


def test_an_epoch_whose_loss_is_no_number_is_not_the_best():
    lessons = module.Lessons("network", None, None, None, lambda row: row["valid_loss"], 1)
    state = module.State(history=[{"valid_loss": loss} for loss in (0.5, 0.4, np.nan, 0.45)])
    assert module._best_of(state, lessons) == 1


@pytest.mark.parametrize("other", ["task", "seed", "data"])
def test_a_checkpoint_of_another_task_seed_or_data_is_not_taken(other, table, tmp_path):
    task = task_with(**ALL)
    mine = checkpoint_of(table, task, tmp_path)
    mine.write(Kept({"epoch": 3}, {"weights": [np.zeros(2)]}))
    assert mine.read() is not None
    if other == "data":
        table = written(tmp_path / "tensors", cases=800, flip="train 7")
    changes = {"task": {"learning_rate": 0.1}, "seed": {"seed": 1}}.get(other, {})
    task = task_with(**ALL | {"training": ALL["training"] | changes})
    said = []
    theirs = checkpoint_of(table, task, tmp_path, said)
    assert theirs.read() is None
    assert said == ["network.npz: a checkpoint of another task, seed or data, not taken"]
    assert fitted(table, task, theirs).history == fitted(table, task).history


@pytest.mark.parametrize("other", ["RULE", "LIBRARIES"])
def test_how_trees_teach_and_the_library_that_grows_them_tell_fits_apart(other, table, tmp_path, monkeypatch):
    mine = checkpoint_of(table, task_with(**ALL), tmp_path)
    without = {"RULE": {}, "LIBRARIES": tuple(one for one in checkpoints.LIBRARIES if one != "scikit-learn")}
    monkeypatch.setattr(checkpoints, other, without[other])
    assert checkpoint_of(table, task_with(**ALL), tmp_path).digest != mine.digest


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:200], lambda whole: b"", lambda whole: whole.replace(b"\1\1", b"\1\0")]
)
def test_a_damaged_checkpoint_is_named_and_not_taken(damage, tmp_path):
    said = []
    checkpoint = Checkpoint(tmp_path / "network.npz", "mine", 0.0, said.append)
    checkpoint.write(Kept({"epoch": 3}, {"weights": [np.full(1000, 257, np.int16)]}))
    checkpoint.place.write_bytes(damage(checkpoint.place.read_bytes()))
    assert checkpoint.read() is None
    assert said == ["network.npz: a damaged checkpoint, not taken"]


def test_what_was_kept_comes_back_with_its_types_and_no_half_file_stays(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a" / "network.npz", "mine", 0.0, print)
    assert checkpoint.read() is None
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "network.new").write_text("half of what a process wrote that died")
    arrays = {"weights": [np.float32(0.1) * np.ones((2, 1), np.float32), np.array(3)], "best": []}
    checkpoint.write(Kept({"epoch": 3}, arrays))
    found = checkpoint.read()
    assert found.about == {"epoch": 3}
    assert found.arrays["best"] == []
    assert [one.dtype for one in found.arrays["weights"]] == [np.float32, np.int64]
    assert np.array_equal(found.arrays["weights"][0], arrays["weights"][0])
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["network.npz"]
    assert (tmp_path / "a" / "network.npz").stat().st_mode & 0o077 == 0


def test_a_checkpoint_is_due_after_its_seconds(tmp_path):
    checkpoint = Checkpoint(tmp_path / "network.npz", "mine", 1000.0, print)
    checkpoint.write(Kept({}, {}))
    assert not checkpoint.is_due()
    assert replace(checkpoint, every_seconds=0.0).is_due()


def test_a_student_goes_on_too(table, tmp_path, monkeypatch):
    task = task_with(network={"members": 3, "hidden": [8], "student": "small"}, training={"epochs": 2})
    teacher = fitted(table, task)
    settings = student_settings(STATISTICS, task.network, "binary", 1)
    (tmp_path / "soft").mkdir()
    files = write_soft_labels(teacher, learned_files(table), STATISTICS, tmp_path / "soft")
    monkeypatch.setattr("medspark.train.distil.STEPS", 30)
    monkeypatch.setattr("medspark.train.steps.LEAST_EPOCHS", 2)
    learn = partial(distil, teacher, files, STATISTICS, task, settings, lambda _: None)
    checkpoint = Checkpoints(tmp_path / "kept", every_seconds=0.0).of("student", task, STATISTICS, files)
    with monkeypatch.context() as patched:
        dies_at(patched, 12)
        with pytest.raises(KeyboardInterrupt):
            learn(checkpoint)
    assert same(learn(checkpoint), learn())


def test_an_update_goes_on_too_and_the_weights_it_came_with_are_among_those_that_may_be_best(
    table, tmp_path, monkeypatch
):
    task = task_with(**ALL, updating={"rate": 0.5})

    def updated(checkpoints=None):
        champion = fitted(table, task)
        given = Given(str(table), None, pd.DataFrame(), checkpoints)
        return champion._replace(history=go_on(champion, STATISTICS, task, given, "weights", lambda _: None))

    checkpoints = Checkpoints(tmp_path, every_seconds=0.0)
    with monkeypatch.context() as patched:
        dies_at(patched, 4 * 8 + 12)  # in the update: the champion's four epochs are before it
        with pytest.raises(KeyboardInterrupt):
            updated(checkpoints)
    assert [one.name for one in tmp_path.iterdir()] == ["network.npz"]
    undisturbed = updated()
    assert [row["epoch"] for row in undisturbed.history] == [0, 1, 2, 3, 4]
    assert same(updated(checkpoints), undisturbed)


def test_the_digest_is_of_the_rows_whatever_the_footer_says_beside_them(tmp_path):
    rows = pa.table({"subject_id": ["a", "b"], "x": [1.0, 2.0]})
    tables = {
        "one": rows,
        "footer": rows.replace_schema_metadata({"written": "another time"}),
        "value": rows.set_column(1, "x", pa.array([1.0, 2.5])),
        "name": rows.rename_columns(["subject_id", "y"]),
        "order": rows.take([1, 0]),
    }
    digests = {}
    for name, found in tables.items():
        pq.write_table(found, tmp_path / name)
        digests[name] = digest_of(task_with(**ALL), STATISTICS, [tmp_path / name])
    assert (tmp_path / "one").read_bytes() != (tmp_path / "footer").read_bytes()
    assert digests["one"] == digests["footer"]
    assert len(set(digests.values())) == 4


def test_the_digest_is_of_the_files_order(table):
    task, files = task_with(**ALL), learned_files(table)
    assert digest_of(task, STATISTICS, files) == digest_of(task, STATISTICS, list(files))
    assert digest_of(task, STATISTICS, files) != digest_of(task, STATISTICS, files[::-1])


def test_the_state_of_dropouts_seeds_is_among_the_variables_that_are_kept():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5, seed=3)])
    model.compile("sgd", "mse")
    model.optimizer.build([])
    (seed,) = module._variables(model)["weights"]
    assert "seed" in seed.path


def test_the_digest_is_of_the_network_that_images_start_from_too(tmp_path):
    start, task, digests = tmp_path / "start.keras", task_with(**ALL), []
    images = task.network.images.model_copy(update={"weights": str(start)})
    task = task.model_copy(update={"network": task.network.model_copy(update={"images": images})})
    for content in (b"one", b"one", b"another"):
        start.write_bytes(content)
        digests.append(digest_of(task, STATISTICS, []))
    assert digests[0] == digests[1] != digests[2]


def test_a_run_that_has_ended_takes_no_other_runs_checkpoints_with_it(tmp_path):
    of_store = Checkpoints(tmp_path / "checkpoints")
    small, update = of_store.below("train-small"), of_store.below("weights-of-abc")
    for run in (small, update):
        run.of("network", task_with(**ALL), STATISTICS, []).write(Kept({}, {}))
    small.delete()
    assert [one.name for one in of_store.folder.iterdir()] == ["weights-of-abc"]
    update.delete()
    assert not of_store.folder.exists()
    small.delete()
