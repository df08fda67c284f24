"""Ids and bins that no training case has keep vectors of zeros, and those of others learn from zeros."""

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medspark.encode.kinds.base import FIRST_ID, UNKNOWN_ID
from medspark.encode.kinds.events import SequenceStatistics
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics
from medspark.encode.statistics import Statistics
from medspark.task.training import Network, Training
from medspark.train.fit import optimizer_of
from medspark.train.losses import loss_of
from medspark.train.networks.build import build_network, serving_network

NAMES = ("a", "b", "c", "d")
SHARED = {"counts": (9,) * 4, "rare": 0, "missing_share": 0}
NOTHING = Statistics(cases=1, numeric=(), categorical=(), codes=())
READ = {
    "categories": {"categorical": (CategoricalStatistics(column="sex", levels=NAMES, **SHARED),)},
    "codes_dx": {"codes": (CodesStatistics(name="dx", columns=("one", "two"), codes=NAMES, **SHARED),)},
    "tokens_past": {
        "sequences": (
            SequenceStatistics(
                column="past", codes=NAMES, last=5, mean=(0,) * 4, scale=(1,) * 4, knots=((),) * 4, ends=True, **SHARED
            ),
        )
    },
}
SEEN = {"categories": [2, 3, 4], "codes_dx": [2, 3, 4], "tokens_past": [2, 3, 4], "bins_past": [0, 2, 3, 4, 13]}
"""Of each input the ids that training has: never 1, of a rare one, nor the last; of bins never those of two ends."""


def made(statistics, cases=3000):
    """Tensors of seen ids, and an outcome that is commoner with the first code."""
    rng = np.random.default_rng(1)
    tensors = {}
    for one in statistics.inputs():
        drawn = rng.choice(SEEN[one.name], (cases, one.width)) if one.name in SEEN else rng.random((cases, one.width))
        tensors[one.name] = drawn.astype(one.dtype)
    first = (next(iter(tensors.values())) == FIRST_ID).any(axis=1)
    return tensors, rng.random(cases) < np.where(first, 0.7, 0.2)


def learned(name, settings):
    statistics = NOTHING.model_copy(update=READ[name])
    tensors, label = made(statistics)
    keras.utils.set_random_seed(0)
    members = build_network(statistics, settings, 0.0, 1, tensors)
    members.compile(optimizer_of(Training(), 470), loss_of(Training(), "binary", np.ones(1), None), jit_compile=False)
    truth = np.stack([label, np.ones(len(label)), np.full(len(label), -1)], axis=1).astype(np.float32)[:, None]
    members.fit(tensors, truth, batch_size=64, epochs=10, verbose=0)
    return members, tensors, label


def vectors_of(members):
    """Of each layer of vectors (ids, numbers), those in encoders too."""
    layers = members._flatten_layers(include_self=False)
    return [layer.embeddings.numpy() for layer in layers if isinstance(layer, keras.layers.Embedding)]


WAYS = [
    *((name, {"kind": "plain", "members": 1}) for name in READ),
    *(pytest.param(name, {"members": 2}, marks=pytest.mark.slow) for name in READ),
    *(
        pytest.param("tokens_past", {"sequence": kind, "members": 1}, marks=pytest.mark.slow)
        for kind in ("gru", "lstm", "transformer")
    ),
]


@pytest.mark.parametrize(("name", "settings"), WAYS)
def test_an_id_without_a_training_case_has_a_vector_of_zeros_and_the_others_learn(name, settings):
    members, tensors, label = learned(name, Network(hidden=[16], dropout=0.0, **settings))
    found = vectors_of(members)
    assert found
    for vectors in found:
        seen = SEEN["bins_past"] if name == "tokens_past" and len(vectors) > len(NAMES) + FIRST_ID else SEEN[name]
        never = np.delete(vectors, seen, axis=0)
        assert len(never) > 1
        assert not never.any(), "no training case has these"
        assert all(vectors[one].any() for one in seen)
    logit = serving_network(members).predict(tensors, verbose=0)[:, 0]
    first = np.isin(next(iter(tensors.values())), FIRST_ID).any(axis=1)
    assert roc_auc_score(label, logit) > roc_auc_score(label, first) - 0.03


@pytest.mark.slow
def test_two_codes_that_training_never_had_score_alike_whatever_the_seed():
    members, tensors, _ = learned("tokens_past", Network(kind="plain", members=1, hidden=[16], dropout=0.0))
    unknown, last = ({**tensors, "tokens_past": np.full_like(tensors["tokens_past"], code)} for code in (UNKNOWN_ID, 5))
    network = serving_network(members)
    assert np.array_equal(network.predict(unknown, verbose=0), network.predict(last, verbose=0))
