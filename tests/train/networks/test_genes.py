"""The network of a gene: symmetric to the bit where both strands are read, finite without letters, and it learns."""

import keras
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import encode
from medspark.score.worker.engine import litert_engine
from medspark.task.training import Network
from medspark.train.baselines import fit_baselines
from medspark.train.export import export_litert, keras_logits
from medspark.train.networks.build import build_network, serving_network

pytestmark = pytest.mark.slow
COMPLEMENT = str.maketrans("ACGTRYN", "TGCAYRN")
LENGTH = 30


def statistics(both=False, keep="start"):
    gene = GeneStatistics(
        column="dna",
        name="g",
        length=LENGTH,
        keep=keep,
        reverse_complement=both,
        longer=0,
        odd=0,
        missing_share=0.0,
    )
    return Statistics(cases=1, numeric=(), categorical=(), codes=(), genes=(gene,))


def tensors(texts, both=False, keep="start"):
    return encode(pa.record_batch([pa.array(texts, pa.string())], ["dna"]), statistics(both, keep))


def sequences(count, seed=0, letters="ACGTRYN", least=0, most=2 * LENGTH):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(letters), rng.integers(least, most + 1))) for _ in range(count)]


def reverse_complements(texts):
    return [text and text.translate(COMPLEMENT)[::-1] for text in texts]


EDGES = [None, "", "A", "N" * LENGTH, "A" * LENGTH, "ACGT" * 500]
"""Missing, empty, one letter, unknown, one letter only, longer than there is room for."""


def drawn(both, kind="tabular", keep="start", members=2):
    """A network whose weights are all drawn: what starts at 0 would say nothing."""
    network = Network(kind=kind, hidden=[8, 4], members=members)
    members = build_network(statistics(both, keep), network, 0.0, 1, tensors(["ACGT", "GG"], both, keep))
    rng = np.random.default_rng(5)
    members.set_weights([rng.normal(scale=0.3, size=weight.shape) for weight in members.get_weights()])
    return serving_network(members)


@pytest.mark.parametrize("kind", ["tabular", "plain"])
def test_litert_serves_what_keras_does_whatever_the_batch_and_without_a_letter(tmp_path, kind):
    network, texts = drawn(both=True, kind=kind), [*EDGES, *sequences(1100)]
    given = tensors(texts, both=True)
    assert export_litert(network, tmp_path / "network.tflite", given).difference < 1e-5
    engine = litert_engine(tmp_path / "network.tflite")
    whole = engine(given)
    assert np.isfinite(whole).all()
    assert np.abs(whole - keras_logits(network, given)).max() < 1e-5
    for at in (0, 1, 5, 1023, 1024, 1105):
        assert engine({name: array[at : at + 1] for name, array in given.items()})[0] == whole[at]


@pytest.mark.parametrize("keep", ["start", "middle", "end"])
def test_a_sequence_and_its_reverse_complement_get_one_logit_to_the_bit(tmp_path, keep):
    network, texts = drawn(both=True, keep=keep), [*EDGES, *sequences(300, least=1)]
    one, other = tensors(texts, True, keep), tensors(reverse_complements(texts), True, keep)
    assert keras_logits(network, one).tolist() == keras_logits(network, other).tolist()
    assert export_litert(network, tmp_path / "network.tflite", one).difference is not None
    engine = litert_engine(tmp_path / "network.tflite")
    assert engine(one).tolist() == engine(other).tolist()
    assert len(np.unique(engine(one))) > 290, "and others get others"


def test_of_one_strand_alone_the_reverse_complement_is_another_sequence():
    texts = sequences(50, least=10)
    one, other = (keras_logits(drawn(both=False), tensors(given)) for given in (texts, reverse_complements(texts)))
    assert np.abs(one - other).min() > 0


@pytest.mark.parametrize("kind", ["tabular", "plain"])
def test_every_weight_learns_from_the_loss_and_none_from_a_batch_without_letters_is_nan(kind):
    network = build_network(
        statistics(True), Network(kind=kind, hidden=[8], members=3), 0.0, 1, tensors(["ACGT", None], True)
    )
    network.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    label = np.arange(200) % 2
    truth = np.repeat(label[:, None], 3, axis=1).astype(np.float32)
    before = [weight.numpy().copy() for weight in network.trainable_weights]
    network.fit(tensors(sequences(200), True), truth, batch_size=50, epochs=2, verbose=0)
    for was, now in zip(before, network.trainable_weights, strict=True):
        assert not np.array_equal(was, now.numpy()), now.path
    network.fit(tensors([None] * 200, True), truth, batch_size=50, epochs=1, verbose=0)
    assert all(np.isfinite(weight.numpy()).all() for weight in network.weights)


# ---------------------------------------------------------------- what is learned


MOTIF = "TTGACATC"


def planted(count, seed, either_strand=False):
    """Random sequences of 30, half of them with a motif anywhere, and whether they have it."""
    rng = np.random.default_rng(seed)
    texts = sequences(count, seed, "ACGT", LENGTH, LENGTH)
    label = rng.random(count) < 0.5
    for at in np.flatnonzero(label):
        place = rng.integers(0, LENGTH - len(MOTIF))
        texts[at] = texts[at][:place] + MOTIF + texts[at][place + len(MOTIF) :]
        if either_strand and rng.random() < 0.5:
            texts[at] = texts[at].translate(COMPLEMENT)[::-1]
    return texts, label


def learned(texts, label, both, epochs=8):
    keras.utils.set_random_seed(1)
    given = tensors(texts, both)
    network = build_network(statistics(both), Network(hidden=[16], members=1), 0.0, 1, given)
    network.compile(keras.optimizers.AdamW(0.005), keras.losses.BinaryCrossentropy(from_logits=True))
    network.fit(given, label.astype(np.float32)[:, None], batch_size=64, epochs=epochs, verbose=0)
    return serving_network(network)


@pytest.mark.parametrize("both", [False, True])
def test_a_planted_motif_is_found_wherever_it_stands_and_on_either_strand_where_both_are_read(both):
    network = learned(*planted(3000, 1, either_strand=both), both)
    texts, label = planted(1000, 2, either_strand=both)
    assert roc_auc_score(label, keras_logits(network, tensors(texts, both))) > 0.97


def test_of_shuffled_labels_nothing_is_learned():
    texts, label = planted(3000, 1)
    shuffled = np.random.default_rng(3).permutation(label)
    network = learned(texts[:1000], shuffled[:1000], both=False)
    unseen, truth = texts[1000:], shuffled[1000:]
    standard_error = np.sqrt((len(truth) + 1) / (12 * truth.sum() * (~truth).sum()))
    assert abs(roc_auc_score(truth, keras_logits(network, tensors(unseen))) - 0.5) < 3 * standard_error


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_baselines_read_the_letter_at_each_place(name):
    texts = sequences(3000, 4, "ACGT", LENGTH, LENGTH)
    label = np.array([text[7] == "G" or text[20] == "T" for text in texts])
    baseline = fit_baselines(tensors(texts, True), label, statistics(True).inputs(), seed=0)[name]
    assert "genes as the letter at each place, of one strand" in baseline.description
    unseen = sequences(500, 5, "ACGT", LENGTH, LENGTH)
    truth = [text[7] == "G" or text[20] == "T" for text in unseen]
    assert roc_auc_score(truth, baseline(tensors(unseen, True))) > 0.95
    moved = [text[1:] + text[0] for text in unseen]
    assert roc_auc_score(truth, baseline(tensors(moved, True))) < 0.7, "a letter elsewhere is another one"
