"""Each setting of training does what it says."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from train.test_distil import STATISTICS, task_with, written

from medspark.errors import InputError
from medspark.task.training import Network, Training
from medspark.train.average import Average
from medspark.train.batches import split_files
from medspark.train.fit import by_metric, fit_network, optimizer_of
from medspark.train.losses import loss_of, positive_weights
from medspark.train.networks.build import build_network

YES, NO = (np.array([[[label, 1.0, -1.0]]], np.float32) for label in (1.0, 0.0))
"""A case as the loss reads it: label, weight, fold."""
CLASS_1 = np.array([[[0.0, 1.0, 0.0, 1.0, 1.0, 1.0, -1.0]]], np.float32)


def loss(truth, logits, kind="binary", weights=(1.0,), **settings):
    found = loss_of(Training(**settings), kind, np.array(weights), None)
    return float(found(truth, keras.ops.convert_to_tensor(np.array([[logits]], np.float32)))[0])


def rates(steps, **settings):
    """The learning rate of each step."""
    rate = optimizer_of(Training(learning_rate=1.0, **settings), steps)._learning_rate
    return [float(rate(step)) for step in range(steps)] if callable(rate) else [float(rate)] * steps


def test_the_rate_warms_up_from_a_tenth_and_falls_by_a_cosine_to_0():
    found = rates(1000, warmup=100)
    assert found[0] == pytest.approx(0.1)
    assert found[50] == pytest.approx(0.55)
    assert found[100] == pytest.approx(1.0)
    assert found[550] == pytest.approx(0.5, abs=1e-3)
    assert found[999] == pytest.approx(0.0, abs=1e-4)
    assert found[100:] == sorted(found[100:], reverse=True)


def test_a_constant_rate_stays_and_may_warm_up():
    assert set(rates(10, schedule="constant")) == {1.0}
    found = rates(10, schedule="constant", warmup=4)
    assert found == pytest.approx([0.1, 0.325, 0.55, 0.775, *[1.0] * 6])


def test_the_default_schedule_is_what_it_was():
    assert rates(1000)[50] == pytest.approx(1.0)
    assert rates(40)[10] == pytest.approx(1.0)


def test_a_warm_up_as_long_as_training_is_refused():
    with pytest.raises(InputError, match="expected fewer than the 30 steps of training, received 30"):
        optimizer_of(Training(warmup=30), 30)


def moved(gradients, **settings):
    """How far weights of 1 go in one step at these gradients, at the rate 1."""
    optimizer = optimizer_of(Training(learning_rate=1.0, schedule="constant", **settings), 10)
    weights = [keras.Variable(np.ones(1, np.float32), name=name) for name in ("kernel", "bias")[: len(gradients)]]
    optimizer.apply([tf.constant([one], tf.float32) for one in gradients], weights)
    return [float(weight.numpy()[0]) - 1.0 for weight in weights]


def test_a_steps_gradient_is_no_longer_than_clip_norm_all_weights_together():
    longer = moved([30.0, 40.0], optimizer="sgd", clip_norm=1.0)
    assert longer == pytest.approx([-0.6 * 1.9, -0.8 * 1.9]), "Nesterov's momentum adds nine tenths to the first step"
    assert moved([0.3, 0.4], optimizer="sgd", clip_norm=1.0) == pytest.approx([-0.3 * 1.9, -0.4 * 1.9])
    assert moved([30.0, 40.0], optimizer="sgd") == pytest.approx([-30 * 1.9, -40 * 1.9])


def test_weight_decay_shrinks_kernels_and_no_bias_apart_from_the_gradient():
    with_it = moved([0.0, 0.0], weight_decay=0.1)
    assert with_it == pytest.approx([-0.1, 0.0])
    assert moved([0.0, 0.0], weight_decay=0.0) == pytest.approx([0.0, 0.0])


def test_l2_adds_to_the_loss_the_squares_of_the_hidden_layers_weights():
    sample = {"numeric": np.zeros((5, 4), np.float32)}
    for kind in ("tabular", "plain"):
        network = Network(kind=kind, members=1, hidden=(3,), dropout=0.0)
        model = build_network(STATISTICS, network, 0.01, 0, sample)
        penalised = [w for layer in model.layers if getattr(layer, "kernel_regularizer", None) for w in [layer.kernel]]
        squares = sum(float((np.asarray(kernel) ** 2).sum()) for kernel in penalised)
        assert squares > 0
        assert sum(map(float, model.losses)) == pytest.approx(0.01 * squares, rel=1e-5)
        assert build_network(STATISTICS, network, 0.0, 0, sample).losses == []


def test_dropout_blanks_hidden_numbers_in_training_alone():
    sample = {"numeric": np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)}
    for dropout in (0.0, 0.5):
        model = build_network(STATISTICS, Network(members=1, hidden=(8,), dropout=dropout), 0.0, 0, sample)
        one, other = (np.asarray(model(sample, training=True)) for _ in range(2))
        assert np.array_equal(one, other) == (dropout == 0.0)
        assert np.array_equal(model(sample, training=False), model(sample, training=False))


def test_label_smoothing_spreads_a_share_of_the_label_evenly():
    smoothed = 0.9 * loss(YES, [2.0]) + 0.1 * (loss(YES, [2.0]) + loss(NO, [2.0])) / 2
    assert loss(YES, [2.0], label_smoothing=0.1) == pytest.approx(smoothed)
    said = [0.0, 1.0, 2.0]
    each = np.log(np.exp(said).sum()) - np.array(said)
    found = loss(CLASS_1, said, "classes", (1.0, 1.0, 1.0), label_smoothing=0.3)
    assert found == pytest.approx(0.7 * each[1] + 0.3 * each.mean())


def test_a_smoothed_loss_is_least_at_the_smoothed_label():
    losses = {logit: loss(YES, [logit], label_smoothing=0.2) for logit in (1.5, float(np.log(9)), 3.0)}
    assert min(losses, key=losses.get) == pytest.approx(np.log(9)), "a risk of 0.9"


def test_smoothing_leaves_what_a_case_weighs():
    weighed = loss(NO, [0.0], weights=(5.0,), label_smoothing=0.2)
    assert weighed == pytest.approx(np.log(2)), "a case without the outcome weighs 1"
    assert loss(YES, [0.0], weights=(5.0,), label_smoothing=0.2) == pytest.approx(5 * np.log(2))


def test_balanced_class_weights_let_both_outcomes_weigh_the_same():
    weights = positive_weights(Training(class_weight="balanced"), "binary", np.array([0.2]))
    assert 0.2 * loss(YES, [0.0], weights=weights) == pytest.approx(0.8 * loss(NO, [0.0], weights=weights))
    of_classes = positive_weights(Training(class_weight="balanced"), "classes", np.array([0.5, 0.25, 0.25]))
    assert of_classes * [0.5, 0.25, 0.25] == pytest.approx([1 / 3] * 3)


def test_focal_loss_is_cross_entropy_less_where_the_network_is_sure_already():
    for logit in (-2.0, 0.0, 3.0):
        risk = 1 / (1 + np.exp(-logit))
        assert loss(YES, [logit], loss="focal") == pytest.approx((1 - risk) ** 2 * loss(YES, [logit]), rel=1e-4)


def test_the_average_of_weights_is_exponential_and_forgets_where_it_began():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    average, expected, weights = Average(model, 0.5), None, (3.0, 1.0, 4.0, 1.0, 5.0)
    expected = float(model.get_weights()[0][0, 0])
    for step, weight in enumerate(weights, start=1):
        model.set_weights([np.array([[weight]], np.float32)])
        average.update()
        stays = min(0.5, (1 + step) / (10 + step))
        expected = stays * expected + (1 - stays) * weight
    raw = average.take(model)
    assert model.get_weights()[0][0, 0] == pytest.approx(expected)
    average.give_back(model, raw)
    assert model.get_weights()[0][0, 0] == 5.0


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return written(tmp_path_factory.mktemp("regularisation") / "tensors", cases=800)


def fitted(table, **training):
    task = task_with(network={"members": 3, "hidden": [8]}, training={"epochs": 6, "batch_size": 128, **training})
    train, valid = split_files(table, "train"), split_files(table, "valid")
    return fit_network(train, valid, STATISTICS, task, lambda _: None)


def test_the_epoch_that_is_kept_is_the_best_by_the_stated_metric(table):
    found = fitted(table, stop_on="auroc", learning_rate=0.3, patience=2)
    aurocs = [row["valid_auroc"] for row in found.history]
    best = int(np.argmax(aurocs))
    assert len(aurocs) <= best + 3, "it stops after two epochs without a better one"
    assert len(aurocs) in (6, best + 3)
    assert all(0.5 < auroc < 1 for auroc in aurocs)
    assert min(found.history, key=by_metric("auroc"))["epoch"] == best + 1
    shorter = fitted(table, stop_on="brier", epochs=1, batch_size=128)
    assert list(shorter.history[0]) == ["epoch", "loss", "valid_loss", "valid_brier"]


def test_the_average_is_what_is_watched_and_kept(table):
    plain, averaged = fitted(table, schedule="constant"), fitted(table, schedule="constant", ema=0.98)
    assert [row["loss"] for row in averaged.history] == [row["loss"] for row in plain.history], "learning is the same"
    assert averaged.history[1]["valid_loss"] != plain.history[1]["valid_loss"]
    assert not np.array_equal(plain.members.get_weights()[0], averaged.members.get_weights()[0])


def test_a_network_that_is_not_told_otherwise_is_of_the_same_task_as_before():
    said = Training().model_dump_json()
    assert not [key for key in ("warmup", "clip_norm", "label_smoothing", "ema", "stop_on") if key in said]
