"""Of labels that belong to other patients no kind of input teaches anything: what training says of patients that it did
not learn from ranks them by chance. Genes: `networks/test_genes.py`."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from train.test_distil import task_with

from medspark.encode.kinds.events import GridStatistics, SequenceStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import as_list
from medspark.task.training import ImageNetwork, Network
from medspark.train.batches import split_files
from medspark.train.fit import fit_network
from medspark.train.train_network import predict_split, watched

pytestmark = pytest.mark.slow

NUMBER = NumericStatistics(
    column="age", scaling="none", center=0, scale=1, knots=(0,) * 13, impute=0, missing_indicator=False, mean=0, sd=1,
    missing_share=0,
)  # fmt: skip
EVENTS = {"column": "past", "codes": ("a", "b", "c"), "counts": (9, 9, 9), "rare": 0, "missing_share": 0}
SEQUENCE = SequenceStatistics(**EVENTS, last=4, mean=(0,) * 3, scale=(1,) * 3, knots=((),) * 3)
GRID = GridStatistics(**EVENTS, steps=4, mean=(0,) * 3, scale=(1,) * 3, carried=True)
IMAGE = ImageStatistics(name="xray", columns=("xray",), height=8, width=8, channels=1, several="first", missing_share=0)
NUMBERS = tuple(NUMBER.model_copy(update={"column": f"x{at}"}) for at in range(5))
KINDS = {
    "table": {"numeric": NUMBERS},
    "sequence": {"sequences": (SEQUENCE,)},
    "grid": {"grids": (GRID,)},
    "image": {"images": (IMAGE,)},
}
SPLITS = {"train": 500, "valid": 100, "test": 1000}


def written(folder, statistics, shuffle):
    """Noise, one case a patient, and whether its numbers, ids or pixels are large in the mean, or another patient's."""
    rng = np.random.default_rng(4)
    for split, cases in SPLITS.items():
        tensors = {one.name: drawn(rng, one, cases) for one in statistics.inputs()}
        mean = next(iter(tensors.values())).mean(axis=1)
        label = mean > np.median(mean)
        label = rng.permutation(label) if shuffle else label
        frame = pa.table({
            "case_id": [*range(cases)],
            "subject_id": [f"{split} {case}" for case in range(cases)],
            "boolean_value": label,
            "missing_share": np.zeros(cases),
        })  # fmt: skip
        for name, array in tensors.items():
            frame = frame.append_column(name, as_bytes(array) if array.dtype == np.uint8 else as_list(array))
        (folder / f"split={split}").mkdir()
        pq.write_table(frame, folder / f"split={split}" / "0.parquet")
    return str(folder)


def as_bytes(pixels):
    return pa.array([row.tobytes() for row in pixels], pa.binary())


def drawn(rng, one, cases):
    if one.name.startswith("seen"):
        return np.ones((cases, one.width), np.float32)
    if one.dtype == "float32":
        return rng.normal(size=(cases, one.width)).astype(np.float32)
    low, high = (0, 256) if one.dtype == "uint8" else (2, one.size or 9)
    return rng.integers(low, high, (cases, one.width)).astype(one.dtype)


def said(folder, kind, shuffle):
    """AUROC of test patients, and of those learned from by the member that did not; how far chance takes each."""
    statistics = Statistics(**{"cases": 1, "numeric": (), "categorical": (), "codes": (), **KINDS[kind]})
    table = written(folder, statistics, shuffle)
    task = task_with(training={"epochs": 4, "learning_rate": 0.01})
    network = Network(members=3, hidden=(16,), dropout=0.0, images=ImageNetwork(filters=(4,), shift=0))
    task = task.model_copy(update={"network": network})
    fitted = fit_network(split_files(table, "train"), split_files(table, "valid"), statistics, task, lambda *_: None)
    parts = {split: predict_split(fitted, table, split, statistics) for split in SPLITS}
    for part in (parts["test"], watched(fitted, parts)):
        label = part.truth.label[:, 0]
        chance = np.sqrt((len(label) + 1) / (12 * label.sum() * (1 - label).sum()))
        yield roc_auc_score(label, part.logit[:, 0]), chance


@pytest.mark.parametrize("kind", [*KINDS])
def test_of_shuffled_labels_nothing_is_learned(tmp_path, kind):
    for auroc, chance in said(tmp_path, kind, shuffle=True):
        assert abs(auroc - 0.5) < 3 * chance


@pytest.mark.parametrize("kind", [*KINDS])
def test_of_its_own_labels_as_much_is_learned_as_would_be_seen(tmp_path, kind):
    for auroc, chance in said(tmp_path, kind, shuffle=False):
        assert auroc > 0.5 + 3 * chance
