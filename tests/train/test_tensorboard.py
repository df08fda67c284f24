"""What TensorBoard is given of a fit."""

import tensorflow as tf

from medspark.runs.progress import Told
from medspark.train.tensorboard import event_files


def told(fit, epoch, loss, ended=True):
    return Told(fit, epoch, 3, 8, 8, 1000.0, 5.0, loss, {"valid_loss": loss + 1, "valid_auroc": 0.75}, ended)


def scalars(folder):
    """Of each fit what was written: name, epoch and value."""
    found = {}
    for file in sorted(folder.glob("*/*")):
        events = [tf.compat.v1.Event.FromString(raw.numpy()) for raw in tf.data.TFRecordDataset(str(file))]
        rows = [(v.tag, event.step, float(tf.make_ndarray(v.tensor))) for event in events for v in event.summary.value]
        found[file.parent.name] = rows
    return found


def test_each_epochs_losses_are_written_a_folder_a_fit_and_told_on(tmp_path):
    heard = []
    with event_files(tmp_path / "logs", heard.append) as progress:
        progress(told("network", 1, 0.5, ended=False))
        for fit, epoch, loss in (("network", 1, 0.5), ("network", 2, 0.25), ("student", 1, 2.0), ("network", 1, 4.0)):
            progress(told(fit, epoch, loss))
    assert len(heard) == 5
    found = scalars(tmp_path / "logs")
    assert sorted(found) == ["network", "network-2", "student"]
    assert found["student"] == [
        ("loss", 1, 2.0), ("examples_per_second", 1, 1000.0), ("valid_loss", 1, 3.0), ("valid_auroc", 1, 0.75),
    ]  # fmt: skip
    assert [row for row in found["network"] if row[0] == "loss"] == [("loss", 1, 0.5), ("loss", 2, 0.25)]
    assert found["network-2"][0] == ("loss", 1, 4.0)


def test_without_a_folder_nothing_is_written(tmp_path):
    heard = []
    with event_files(None, heard.append) as progress:
        progress(told("network", 1, 0.5))
    assert len(heard) == 1
