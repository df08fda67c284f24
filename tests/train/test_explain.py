"""What explains a network of each kind: whether LiteRT can, how well it adds up, and from where it starts."""

import json

import numpy as np
import pytest
from support.explained import TABLE, drawn, made, tensors_of, without
from support.tasks import stays_task

from medspark.score.worker.explanations.facts import explained_logit
from medspark.train.explain import baseline_cases


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    tensors = tensors_of(400)
    network = drawn(TABLE, tensors)
    return made(tmp_path_factory.mktemp("table"), network, TABLE, tensors, stays_task())


def logit_of(one, tensors):
    return explained_logit(one.served.calibration, one.engine()(tensors))


def test_litert_explains_a_table_as_tensorflow_does(table):
    assert table.facts.why_tensorflow is None
    assert table.facts.difference < 1e-5
    assert table.facts.errors[table.facts.nodes] <= table.facts.tolerance
    assert table.facts.tolerance == pytest.approx(1e-3 * table.facts.logit_range)


def test_the_baseline_is_the_medians_the_commonest_levels_and_no_code(table):
    tensors = tensors_of(400)
    baseline = baseline_cases(tensors, TABLE.inputs())
    assert baseline["numeric"][0].tolist() == [np.sort(column)[199] for column in tensors["numeric"].T]
    assert baseline["categories"].tolist() == [[np.bincount(tensors["categories"][:, 0]).argmax()]]
    assert baseline["codes_diagnoses"].tolist() == [[0, 0]]
    assert table.facts.baseline_logit == pytest.approx(logit_of(table, baseline)[0])


def test_contributions_and_the_baselines_logit_add_up_to_each_cases_logit(table):
    tensors = tensors_of(1000, seed=1)
    logit = logit_of(table, tensors)
    found = table.explain(tensors, logit)
    off = np.abs(table.facts.baseline_logit + found.items.sum(axis=1) - logit)
    assert np.array_equal(found.adds_up, off <= table.facts.tolerance)
    assert found.adds_up.all()
    assert found.items.shape == (1000, 6)  # age, creatinine with its mark, ignored, sex, two codes


def test_what_is_the_baselines_contributes_nothing(table):
    baseline = baseline_cases(tensors_of(400), TABLE.inputs())
    found = table.explain(baseline, logit_of(table, baseline))
    assert np.abs(found.items).max() < 1e-8


def test_a_number_that_the_network_never_reads_contributes_exactly_nothing(tmp_path):
    tensors = tensors_of(300)
    network = without(drawn(TABLE, tensors, kind="plain", members=1), "numeric", 2)
    one = made(tmp_path, network, TABLE, tensors, stays_task())
    for method in ("gradients", "shap", "lime"):
        if method != "gradients":
            pytest.importorskip(method)
        some = {name: array[:5] for name, array in tensors.items()}
        items = one.explain(some, logit_of(one, some), method).items
        assert (items[:, 2] == 0).all(), method
        assert (items[:, 0] != 0).all()


def test_the_one_number_that_decides_alone_is_first_by_every_method(tmp_path):
    """Other numbers, levels and codes are never read."""
    tensors = tensors_of(300)
    network = drawn(TABLE, tensors, kind="plain", members=1)
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            first = np.arange(layer.kernel.shape[0]) == 0
            layer.kernel.assign(layer.kernel.numpy() * first[:, None])
    one = made(tmp_path, network, TABLE, tensors, stays_task())
    some = {name: array[:5] for name, array in tensors.items()}
    for method in ("gradients", "shap", "lime"):
        if method != "gradients":
            pytest.importorskip(method)
        items = one.explain(some, logit_of(one, some), method).items
        assert (items[:, 0] != 0).all(), method
        assert (items[:, 1:] == 0).all(), method


def test_a_row_has_the_same_contributions_alone_and_among_others(table):
    tensors = tensors_of(600, seed=2)
    logit = logit_of(table, tensors)
    together = table.explain(tensors, logit).items
    for row in (0, 255, 256, 599):
        alone = {name: array[[row]] for name, array in tensors.items()}
        assert table.explain(alone, logit[[row]]).items[0].tolist() == together[row].tolist()


def test_tensorflow_explains_from_the_bundles_own_network_where_litert_cannot(table):
    tensors = tensors_of(50, seed=3)
    logit = logit_of(table, tensors)
    asked = table.asked._replace(kind="tensorflow", network="model.keras", digest=digest(table.folder / "model.keras"))
    found = table._replace(asked=asked).explain(tensors, logit)
    assert found.items == pytest.approx(table.explain(tensors, logit).items, abs=1e-5)


def digest(path):
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_network_without_hidden_layers_worth_it_is_explained_by_its_weights(tmp_path):
    """Of a sum of numbers each contributes its weight times how far it is from the median."""
    import keras

    from medspark.train.networks.parts import marked

    inputs = {one.name: keras.Input((one.width,), dtype=one.dtype, name=one.name) for one in TABLE.inputs()[:1]}
    numbers = keras.layers.Dense(1, use_bias=False)(marked(inputs["numeric"], "numeric", 0))
    network = keras.Model(inputs, numbers)
    weights = np.array([[1.0], [-2.0], [0.5], [3.0]], np.float32)
    network.layers[-1].kernel.assign(weights)
    statistics = TABLE.model_copy(update={"categorical": (), "codes": ()})
    tensors = {"numeric": tensors_of(200)["numeric"]}
    one = made(tmp_path, network, statistics, tensors, stays_task())
    found = one.explain(tensors, logit_of(one, tensors)).items
    shift = tensors["numeric"] - baseline_cases(tensors, statistics.inputs())["numeric"]
    expected = shift * weights[:, 0]
    expected = np.stack([expected[:, 0], expected[:, 1] + expected[:, 3], expected[:, 2]], axis=1)
    assert found == pytest.approx(expected, abs=1e-5)
    assert one.facts.nodes == 4  # the fewest that are tried


def test_the_facts_are_json_and_say_units(tmp_path, table):
    facts = json.loads((table.folder / "explain.json").read_text())
    assert facts["target"] == "outcome"
    assert set(facts["baseline"]) <= {"numeric", "categories"}
