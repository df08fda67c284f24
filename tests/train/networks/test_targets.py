"""Networks of more than yes or no: what their logits keep to, what they learn, and how they are served."""

import keras
import numpy as np
import pytest

from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.evaluate.censoring import Truth
from medspark.score.worker.engine import litert_engine, tensorflow_engine
from medspark.task.training import Network, Training
from medspark.train.batches import Folds
from medspark.train.export import export_litert, keras_logits
from medspark.train.losses import cross_entropy, levels_of, loss_of, positive_weights, shares_of
from medspark.train.networks.build import build_network, serving_network


def number(column):
    return NumericStatistics(
        column=column, scaling="none", center=0, scale=1, knots=(0,) * 13, impute=0, missing_indicator=False, mean=0,
        sd=1, missing_share=0,
    )  # fmt: skip


STATISTICS = Statistics(cases=9, numeric=(number("a"), number("b")), categorical=(), codes=())
CASES = {"numeric": np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)}
UNKNOWN = np.nan


def network_of(outcome, level, **settings):
    return build_network(STATISTICS, Network(**settings), 0.0, 1, CASES, outcome, level)


def drawn_anew(network, seed=5):
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(scale=0.5, size=weight.shape) for weight in network.get_weights()])
    return network


@pytest.mark.parametrize("settings", [{}, {"kind": "plain", "members": 3}])
@pytest.mark.parametrize("kind", ["classes", "several", "horizons"])
def test_a_network_of_three_targets_is_served_by_litert_as_keras_has_it(kind, settings, tmp_path):
    network = serving_network(drawn_anew(network_of(kind, (-2.0, -1.0, 0.0), **settings)))
    difference = export_litert(network, tmp_path / "model.tflite", CASES).difference
    assert difference is not None
    assert difference < 1e-5
    network.save(tmp_path / "model.keras")
    engines = (litert_engine(tmp_path / "model.tflite"), tensorflow_engine(tmp_path / "model.keras"))
    for engine in engines:
        assert engine(CASES).shape == (2000, 3)
        assert np.abs(engine(CASES) - keras_logits(network, CASES)).max() < 1e-5
        assert np.array_equal(engine({"numeric": CASES["numeric"][7:8]})[0], engine(CASES)[7]), "whatever the batch"


@pytest.mark.parametrize("settings", [{}, {"kind": "plain", "members": 3}])
def test_the_risk_of_a_longer_horizon_is_never_below_that_of_a_shorter_one(settings):
    members = drawn_anew(network_of("horizons", (-2.0, -1.0, -1.0), **settings))
    assert (np.diff(members.predict(CASES, verbose=0), axis=2) >= 0).all()


def test_members_begin_with_what_they_would_say_of_everybody():
    nobody = {"numeric": np.zeros((1, 2), np.float32)}
    level = levels_of("horizons", np.array([0.1, 0.2, 0.5]))
    network = network_of("horizons", level)
    found = network.predict(nobody, verbose=0)[0]
    assert found.mean(axis=0) == pytest.approx([np.log(1 / 9), np.log(1 / 4), 0.0], abs=0.2)


def test_an_unknown_target_adds_nothing_to_the_loss_and_nothing_to_its_gradient():
    loss = loss_of(Training(), "several", np.ones(2), None)
    logits = keras.ops.convert_to_tensor(np.array([[[0.0, 3.0]]], np.float32))
    known = np.array([[[1.0, 0.0, 1.0, 0.0, -1.0]]], np.float32)  # labels, weights, fold
    assert float(loss(known, logits)[0]) == pytest.approx(np.log(2) / 2)
    other = keras.ops.convert_to_tensor(np.array([[[0.0, -50.0]]], np.float32))
    assert float(loss(known, other)[0]) == float(loss(known, logits)[0])


def test_a_member_learns_nothing_of_its_own_fold():
    loss = loss_of(Training(), "classes", np.ones(2), Folds(3, 0))
    truth = np.array([[[1.0, 0.0, 1.0, 1.0, 2.0]]], np.float32)  # of fold 2
    logits = np.zeros((1, 3, 2), np.float32)
    before = float(loss(truth, keras.ops.convert_to_tensor(logits))[0])
    logits[0, 2] = [9.0, -9.0]
    assert float(loss(truth, keras.ops.convert_to_tensor(logits))[0]) == before == pytest.approx(np.log(2))


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_balanced_weights_make_each_class_weigh_alike(name):
    label = np.eye(3)[[0] * 8 + [1] * 1 + [2] * 1]
    truth = Truth(label, np.ones_like(label))
    weights = positive_weights(
        Training(class_weight="balanced"), "classes", shares_of("classes", ("a", "b", "c"), truth)
    )
    loss = loss_of(Training(loss=name), "classes", weights, None)
    given = np.concatenate([label, truth.weight, np.full((10, 1), -1)], axis=1).astype(np.float32)[:, None]
    each = np.asarray(loss(given, keras.ops.zeros((10, 1, 3))))
    assert each[:8].sum() == pytest.approx(each[8], rel=1e-5)
    assert each[8] == pytest.approx(each[9], rel=1e-5)


def test_the_watched_loss_is_the_cross_entropy_of_what_is_known():
    truth = Truth(np.array([[1.0, UNKNOWN], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0]]))
    logit = np.array([[0.0, 99.0], [np.log(3), np.log(3)]])
    expected = (np.log(2) + 0 + np.log(4) + np.log(4 / 3)) / 2
    assert cross_entropy("several", logit, truth) == pytest.approx(expected)
    one_of = Truth(np.eye(2), np.ones((2, 2)))
    assert cross_entropy("classes", np.log([[3.0, 1.0], [3.0, 1.0]]), one_of) == pytest.approx(
        np.log(4 / 3) + np.log(4)
    )
