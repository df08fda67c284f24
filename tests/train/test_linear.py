"""Linear paths that are drawn towards logistic regressions: the same network, whose logits are the mean of both."""

import numpy as np
import pandas as pd
import pytest
from train.test_distil import STATISTICS as OF_TABLE
from train.test_distil import task_with, taught, written

from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.evaluate.censoring import Truth
from medspark.task.training import Network
from medspark.train import linear as module
from medspark.train.linear import Cases, design_of, draw_to_lines, fit_lines
from medspark.train.networks.build import build_network
from medspark.train.update import Given, go_on

pytestmark = pytest.mark.slow

NUMBER = NumericStatistics(
    column="x0", scaling="none", center=0, scale=1, knots=(0,) * 13, impute=0, missing_indicator=False, mean=0, sd=1,
    missing_share=0,
)  # fmt: skip
STATISTICS = Statistics(
    cases=1,
    numeric=(NUMBER, NUMBER.model_copy(update={"column": "x1"})),
    categorical=tuple(
        CategoricalStatistics(column=name, levels=("a", "b"), counts=(9, 9), rare=0, missing_share=0)
        for name in ("ward", "sex")
    ),
    codes=(
        CodesStatistics(
            name="drugs", columns=("d1", "d2", "d3"), codes=("a", "b"), counts=(9, 9), rare=0, missing_share=0
        ),
    ),
    genes=(
        GeneStatistics(
            column="dna", name="dna", length=6, keep="start", reverse_complement=True, longer=0, odd=0, missing_share=0
        ),
    ),
)
MEMBERS = 3


def cases(count, seed, targets):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 2)).astype(np.float32)
    letters = rng.integers(1, 16, (count, 6)).astype(np.int32)
    tensors = {"numeric": numbers, "gene_dna": letters, "reverse_dna": letters[:, ::-1].copy()}
    tensors["categories"] = rng.integers([2, 6], [4, 8], (count, 2)).astype(np.int32)
    tensors["codes_drugs"] = rng.integers(0, 4, (count, 3)).astype(np.int32)
    assert {one.name for one in STATISTICS.inputs()} == {*tensors}
    one = rng.random(count) < 1 / (1 + np.exp(-2 * numbers[:, 0]))
    label = (
        np.eye(targets)[one.astype(int) + (numbers[:, 1] > 1) * (targets > 2)] if targets > 1 else one[:, None] * 1.0
    )
    return Cases(tensors, Truth(label, np.ones_like(label)), rng.integers(0, MEMBERS, count))


def network(seen, kind, targets):
    settings = Network(members=MEMBERS, hidden=[4], dropout=0.0)
    members = build_network(STATISTICS, settings, 0.0, 1, seen.tensors, kind, np.zeros(targets))
    rng = np.random.default_rng(5)
    members.set_weights([rng.normal(scale=0.3, size=weight.shape) for weight in members.get_weights()])
    return members


def held_out(logits, fold):
    return logits[np.arange(len(fold)), fold]


@pytest.mark.parametrize(("kind", "targets"), [("binary", 1), ("classes", 2), ("classes", 3)])
def test_the_logits_are_the_mean_of_the_networks_and_the_regressions(kind, targets):
    seen, unseen = cases(300, 1, targets), cases(50, 2, targets)
    members = network(seen, kind, targets)
    before = np.asarray(members(unseen.tensors))
    lines = fit_lines(design_of(seen.tensors, STATISTICS.inputs()), seen, kind, MEMBERS)
    share = draw_to_lines(
        members, STATISTICS.inputs(), seen, held_out(np.asarray(members(seen.tensors)), seen.fold), kind
    )
    line = np.einsum("nc,cmk->nmk", design_of(unseen.tensors, STATISTICS.inputs()), lines.weight) + lines.level
    assert 0.5 < share < 1, "weights by chance say nothing"
    assert np.asarray(members(unseen.tensors)) == pytest.approx((1 - share) * before + share * line, abs=1e-4)


def test_no_regression_learns_from_the_fold_that_its_member_left_out(monkeypatch):
    monkeypatch.setattr(module, "PENALTIES", (0.1,))
    seen = cases(300, 1, 1)
    turned = seen._replace(
        truth=Truth(np.where(seen.fold[:, None] == 1, 1 - seen.truth.label, seen.truth.label), seen.truth.weight)
    )
    one, other = (
        fit_lines(design_of(seen.tensors, STATISTICS.inputs()), found, "binary", MEMBERS) for found in (seen, turned)
    )
    assert np.array_equal(one.weight[:, 1], other.weight[:, 1])
    assert not np.allclose(one.weight[:, 0], other.weight[:, 0])


def test_a_class_that_no_case_has_keeps_the_network_as_it_is():
    seen = cases(300, 1, 3)
    label = np.eye(4)[seen.truth.label.argmax(axis=1)]
    seen = seen._replace(truth=Truth(label, np.ones_like(label)))
    members = network(seen, "classes", 4)
    before = members.get_weights()
    assert draw_to_lines(members, STATISTICS.inputs(), seen, np.zeros((300, 4)), "classes") == 0.0
    assert all(map(np.array_equal, before, members.get_weights()))


def test_where_a_fold_has_all_cases_with_the_outcome_nothing_changes():
    seen = cases(300, 1, 1)
    seen = seen._replace(truth=seen.truth._replace(label=(seen.fold == 2).astype(float)[:, None]))
    members = network(seen, "binary", 1)
    before = members.get_weights()
    assert draw_to_lines(members, STATISTICS.inputs(), seen, np.zeros((300, 1)), "binary") == 0.0
    assert all(map(np.array_equal, before, members.get_weights()))


def test_a_network_is_drawn_but_where_its_logits_are_of_no_risks(tmp_path):
    table, network = written(tmp_path, cases=300), {"members": 3, "hidden": [4]}
    lines = {
        weights: taught(table, task_with(network=network, training={"epochs": 1, "class_weight": weights})).lines
        for weights in ("none", "balanced")
    }
    assert 0 < lines["none"] < 1
    assert lines["balanced"] == 0


def test_an_update_goes_on_with_the_lines_that_are_there_and_draws_none_again(tmp_path):
    table = written(tmp_path / "tensors", cases=400)
    changes = {"network": {"members": 3, "hidden": [8]}, "updating": {"rate": 1e-9}}
    task = task_with(**changes, training={"epochs": 1, "batch_size": 128})
    champion = taught(table, task)
    assert champion.lines > 0.3
    before = champion.members.get_weights()
    go_on(champion, OF_TABLE, task, Given(str(table), None, pd.DataFrame()), "weights", lambda _: None)
    for old, new in zip(before, champion.members.get_weights(), strict=True):
        assert np.allclose(old, new, atol=1e-6)
