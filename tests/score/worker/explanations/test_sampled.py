"""SHAP and LIME by their own libraries beside gradients, and exact Shapley values as the oracle of all three."""

import numpy as np
import pytest
from support.explained import TABLE, drawn, made, shapley, tensors_of
from support.tasks import stays_task

from medspark.score.worker.explanations.facts import baseline_of, explained_logit
from medspark.score.worker.explanations.layout import layout_of
from medspark.score.worker.explanations.sampled import game_of, owners_of

METHODS = ("gradients", "shap", "lime")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    pytest.importorskip("shap")
    pytest.importorskip("lime")
    tensors = tensors_of(400)
    return made(tmp_path_factory.mktemp("table"), drawn(TABLE, tensors, scale=0.5), TABLE, tensors, stays_task())


def case(row, seed=5):
    return {name: array[[row]] for name, array in tensors_of(20, seed).items()}


def exact(one, tensors):
    layout, inputs = layout_of(TABLE), TABLE.inputs()
    owners, every = owners_of(TABLE, layout), np.arange(layout.items)
    game = game_of(tensors, baseline_of(one.facts, inputs), owners, every, layout.items, one.engine(), one.served)
    return shapley(game, layout.items)


def logit_of(one, tensors):
    return explained_logit(one.served.calibration, one.engine()(tensors))


@pytest.mark.parametrize("row", [0, 3, 7])
def test_shap_gives_the_exact_shapley_values_where_there_are_few_items(table, row):
    tensors = case(row)
    found = table.explain(tensors, logit_of(table, tensors), "shap")
    assert found.items[0] == pytest.approx(exact(table, tensors), abs=1e-4)
    assert found.adds_up.tolist() == [True]


@pytest.mark.parametrize("row", [0, 3, 7])
def test_gradients_and_lime_are_near_the_exact_values(table, row):
    tensors = case(row)
    expected, logit = exact(table, tensors), logit_of(table, tensors)
    for method in ("gradients", "lime"):
        found = table.explain(tensors, logit, method).items[0]
        assert np.argmax(np.abs(found)) == np.argmax(np.abs(expected)), method
        assert np.corrcoef(found, expected)[0, 1] > 0.9, method


def test_seeds_are_fixed_and_neighbours_change_nothing(table):
    every = tensors_of(4, seed=6)
    logit = logit_of(table, every)
    for method in ("shap", "lime"):
        together = table.explain(every, logit, method).items
        again = table.explain({name: array[1:2] for name, array in every.items()}, logit[1:2], method).items
        assert again[0].tolist() == together[1].tolist()


def test_limes_contributions_are_not_said_to_add_up(table):
    tensors = case(1)
    assert table.explain(tensors, logit_of(table, tensors), "lime").adds_up is None
