"""A network of a number, a sequence of codes, an image and a gene, each of which has a part of the signal."""

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medspark.encode.kinds.events import SequenceStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.score.worker.engine import litert_engine
from medspark.task.training import ImageNetwork, Network, Training
from medspark.train.export import export_litert, keras_logits
from medspark.train.losses import loss_of
from medspark.train.networks.build import build_network, serving_network

pytestmark = pytest.mark.slow

SIDE, LETTERS, EVENTS = 12, 24, 6
STATISTICS = Statistics(
    cases=1,
    numeric=(
        NumericStatistics(
            column="age", scaling="none", center=0, scale=1, knots=(0,) * 13, impute=0, missing_indicator=False,
            mean=0, sd=1, missing_share=0,
        ),
    ),
    categorical=(),
    codes=(),
    sequences=(
        SequenceStatistics(
            column="past", codes=("a", "b", "c"), counts=(9, 9, 9), rare=0, missing_share=0, last=EVENTS,
            mean=(0,) * 3, scale=(1,) * 3, knots=((),) * 3,
        ),
    ),
    genes=(
        GeneStatistics(
            column="dna", name="dna", length=LETTERS, keep="start", reverse_complement=False, longer=0, odd=0,
            missing_share=0,
        ),
    ),
    images=(
        ImageStatistics(
            name="xray", columns=("xray",), height=SIDE, width=SIDE, channels=1, several="first", missing_share=0
        ),
    ),
)  # fmt: skip
OF = {
    "number": ["numeric"],
    "sequence": ["tokens_past", "times_past", "numbers_past", "bins_past", "gaps_past"],
    "gene": ["gene_dna"],
    "image": ["pixels_xray", "seen_xray"],
}
"""The inputs of each kind."""
WEIGHT = 1.5
MOTIF = (1, 2, 4, 8, 8, 4)


def made(cases, seed):
    """Tensors whose four signs, -1 or 1 each, make the outcome, and the true log odds that each adds, (n, 4)."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], (cases, 4))
    tensors = {one.name: np.zeros((cases, one.width), one.dtype) for one in STATISTICS.inputs()}
    tensors["numeric"][:, 0] = signs[:, 0]
    tokens = rng.integers(3, 5, (cases, EVENTS))
    tokens[np.arange(cases), rng.integers(0, EVENTS, cases)] = np.where(signs[:, 1] > 0, 2, 3)
    tensors["tokens_past"][:] = tokens
    genes = rng.choice([1, 2, 4, 8], (cases, LETTERS))
    for at in np.flatnonzero(signs[:, 2] > 0):
        start = rng.integers(0, LETTERS - len(MOTIF))
        genes[at, start : start + len(MOTIF)] = MOTIF
    tensors["gene_dna"][:] = genes
    pixels = rng.integers(0, 80, (cases, SIDE, SIDE))
    for at in np.flatnonzero(signs[:, 3] > 0):
        top, left = rng.integers(0, SIDE - 4, 2)
        pixels[at, top : top + 4, left : left + 4] += 150
    tensors["pixels_xray"][:] = pixels.reshape(cases, -1)
    tensors["seen_xray"][:] = 1
    odds = WEIGHT * signs
    return tensors, rng.random(cases) < 1 / (1 + np.exp(-odds.sum(axis=1))), odds


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    tensors, label, _ = made(6000, 1)
    settings = Network(members=2, hidden=[32], dropout=0.0, images=ImageNetwork(filters=[8, 16], shift=0))
    members = build_network(STATISTICS, settings, 0.0, 1, tensors)
    loss = loss_of(Training(), "binary", np.ones(1), None)
    members.compile(keras.optimizers.AdamW(0.003), loss, jit_compile=False)
    truth = np.stack([label, np.ones(6000), np.full(6000, -1)], axis=1).astype(np.float32)[:, None]
    members.fit(tensors, truth, batch_size=64, epochs=8, verbose=0)
    return serving_network(members)


def without(tensors, kind):
    """The tensors as those of cases that lack a kind wholly."""
    return {name: np.zeros_like(array) if name in OF[kind] else array for name, array in tensors.items()}


def test_the_signal_is_learned_from_all_four(network):
    tensors, label, odds = made(3000, 2)
    found = roc_auc_score(label, keras_logits(network, tensors)[:, 0])
    assert found > roc_auc_score(label, odds.sum(axis=1)) - 0.03


@pytest.mark.parametrize("kind", [*OF])
def test_without_one_kind_what_the_others_say_is_left(network, kind):
    tensors, label, odds = made(3000, 2)
    known = roc_auc_score(label, np.delete(odds, [*OF].index(kind), axis=1).sum(axis=1))
    rest = without(tensors, kind)
    shuffled = {**tensors, **{name: tensors[name][::-1] for name in OF[kind]}}
    assert np.isfinite(keras_logits(network, rest)).all()
    assert abs(roc_auc_score(label, keras_logits(network, shuffled)[:, 0]) - shuffled_auroc(label, odds, kind)) < 0.04
    assert roc_auc_score(label, keras_logits(network, rest)[:, 0]) == pytest.approx(known, abs=0.04)


def shuffled_auroc(label, odds, kind):
    """What the true odds reach where one kind is another case's."""
    changed = odds.copy()
    changed[:, [*OF].index(kind)] = changed[::-1, [*OF].index(kind)]
    return roc_auc_score(label, changed.sum(axis=1))


def test_litert_serves_it_alike_whatever_is_missing(network, tmp_path):
    tensors, _, _ = made(300, 3)
    assert export_litert(network, tmp_path / "model.tflite", tensors).difference < 1e-5
    engine = litert_engine(tmp_path / "model.tflite")
    for kind in OF:
        rest = without(tensors, kind)
        assert np.abs(engine(rest) - keras_logits(network, rest)).max() < 1e-5
    nothing = {name: np.zeros_like(array) for name, array in tensors.items()}
    assert np.isfinite(engine(nothing)).all()
