"""Each kind of input and of outcome is explained: by LiteRT, and what it says adds up and knows what was planted."""

import numpy as np
import pytest
from support.explained import TABLE, drawn, made, tensors_of
from support.tasks import stays_task

from medspark.encode.kinds.events import GridStatistics, SequenceStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.statistics import Statistics
from medspark.score.worker.calibration import Calibration, TargetCalibrations
from medspark.score.worker.explanations.facts import explained_logit
from medspark.score.worker.explanations.layout import layout_of
from medspark.task.outcome import Targets
from medspark.task.training import ImageNetwork, Network
from medspark.train.networks.build import build_network, serving_network

pytestmark = pytest.mark.slow

NOTHING = {"cases": 100, "numeric": (), "categorical": (), "codes": ()}
EVENTS = 6


def sequence():
    return SequenceStatistics(
        column="past", codes=("a", "b", "c"), counts=(9, 9, 9), rare=0, missing_share=0, last=EVENTS,
        mean=(0,) * 3, scale=(1,) * 3, knots=((),) * 3,
    )  # fmt: skip


def grid():
    return GridStatistics(
        column="vitals", codes=("hr", "bp"), counts=(9, 9), rare=0, missing_share=0, steps=4, mean=(80, 120),
        scale=(10, 20), carried=True,
    )  # fmt: skip


def gene(reverse=False):
    return GeneStatistics(
        column="dna", name="dna", length=12, keep="start", reverse_complement=reverse, longer=0, odd=0, missing_share=0
    )


def image(several="first"):
    columns = ("xray",) if several == "first" else ("front", "side")
    return ImageStatistics(
        name="xray", columns=columns, height=8, width=8, channels=1, several=several, missing_share=0
    )


def events(cases, seed=0):
    """Histories of 0 to EVENTS events, the newest last."""
    rng = np.random.default_rng(seed)
    there = np.arange(EVENTS)[::-1] < rng.integers(0, EVENTS + 1, (cases, 1))
    numbers = {name: rng.random((cases, EVENTS)).astype(np.float32) * there for name in ("times", "numbers", "gaps")}
    ids = {"tokens_past": rng.integers(1, 5, (cases, EVENTS)), "bins_past": rng.integers(0, 3, (cases, EVENTS))}
    return {f"{name}_past": array for name, array in numbers.items()} | {
        name: (array * there).astype(np.int32) for name, array in ids.items()
    }


def grids(cases, seed=0):
    rng = np.random.default_rng(seed)
    observed = (rng.random((cases, 4, 2)) < 0.4).astype(np.float32)
    carried, since, last = np.zeros((cases, 4, 2)), np.ones((cases, 4, 2)), np.full((cases, 2), 9.0)
    now = np.zeros((cases, 2))
    for step in range(4):
        now = np.where(observed[:, step] > 0, rng.normal(size=(cases, 2)), now)
        last = np.where(observed[:, step] > 0, 0, last + 1)
        carried[:, step], since[:, step] = now, np.minimum(last / 4, 1)
    both = np.stack([carried, observed], axis=2).reshape(cases, -1)
    return {"grid_vitals": both.astype(np.float32), "since_vitals": since.reshape(cases, -1).astype(np.float32)}


def genes(cases, seed=0, reverse=False):
    rng = np.random.default_rng(seed)
    there = np.arange(12) < rng.integers(0, 13, (cases, 1))
    strand = (rng.choice([1, 2, 4, 8, 15], (cases, 12)) * there).astype(np.int32)
    return {"gene_dna": strand} | ({"reverse_dna": strand[:, ::-1].copy()} if reverse else {})


def images(cases, seed=0, count=1):
    rng = np.random.default_rng(seed)
    seen = (rng.random((cases, count)) < 0.8).astype(np.float32)
    pixels = rng.integers(0, 256, (cases, count, 64)) * seen[:, :, None]
    return {"pixels_xray": pixels.reshape(cases, -1).astype(np.uint8), "seen_xray": seen}


KINDS = {
    "attention": ({"sequences": (sequence(),)}, events, {}),
    "gru": ({"sequences": (sequence(),)}, events, {"sequence": "gru"}),
    "lstm": ({"sequences": (sequence(),)}, events, {"sequence": "lstm"}),
    "transformer": ({"sequences": (sequence(),)}, events, {"sequence": "transformer"}),
    "grid": ({"grids": (grid(),)}, grids, {}),
    "gene": ({"genes": (gene(),)}, genes, {}),
    "both strands": ({"genes": (gene(True),)}, lambda n, seed=0: genes(n, seed, True), {}),
    "image": ({"images": (image(),)}, images, {}),
    "several images": ({"images": (image("mean"),)}, lambda n, seed=0: images(n, seed, 2), {}),
    "plain": ({}, lambda n, seed=0: {}, {"kind": "plain"}),
    "tabular": ({}, lambda n, seed=0: {}, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_explained_by_litert_and_adds_up(kind, tmp_path):
    features, draw, settings = KINDS[kind]
    whole = TABLE.model_dump() | {name: tuple(one.model_dump() for one in each) for name, each in features.items()}
    statistics = Statistics.model_validate(whole)
    network_of = {"images": ImageNetwork(filters=[4, 8], shift=0)} | settings
    noise = "image" in kind  # layers that normalise pixels of drawn noise bend the path at many places
    cases = 80 if noise else 300
    tensors = tensors_of(cases) | draw(cases)
    one = made(tmp_path, drawn(statistics, tensors, scale=0.5, **network_of), statistics, tensors, stays_task())
    assert one.facts.why_tensorflow is None
    assert one.facts.difference < 1e-5
    assert one.facts.errors[one.facts.nodes] <= (0.05 * one.facts.logit_range if noise else one.facts.tolerance)
    new = tensors_of(100, 1) | draw(100, 1)
    logit = explained_logit(one.served.calibration, one.engine()(new))
    found = one.explain(new, logit)
    off = np.abs(one.facts.baseline_logit + found.items.sum(axis=1) - logit)
    assert np.array_equal(found.adds_up, off <= one.facts.tolerance)
    assert found.adds_up.mean() > (0.05 if noise else 0.95)
    assert found.items.shape == (100, layout_of(statistics).items)
    assert np.abs(found.items[:, 6:]).max(initial=0.0) > 0 or not features


def test_padding_contributes_exactly_nothing(tmp_path):
    features, draw, _ = KINDS["attention"]
    statistics = Statistics(**NOTHING, **features)
    tensors = draw(300)
    one = made(tmp_path, drawn(statistics, tensors), statistics, tensors, stays_task())
    found = one.explain(tensors, explained_logit(one.served.calibration, one.engine()(tensors)))
    assert (found.items[tensors["tokens_past"] == 0] == 0).all()
    assert (found.items[tensors["tokens_past"] != 0] != 0).mean() > 0.99


def test_a_code_that_was_never_measured_contributes_exactly_nothing_to_a_grid(tmp_path):
    features, draw, _ = KINDS["grid"]
    statistics = Statistics(**NOTHING, **features)
    tensors = draw(300)
    one = made(tmp_path, drawn(statistics, tensors), statistics, tensors, stays_task())
    found = one.explain(tensors, explained_logit(one.served.calibration, one.engine()(tensors)))
    never = (tensors["since_vitals"].reshape(300, 4, 2) == 1).reshape(300, 8)
    assert (found.items[never] == 0).all()


CLASSES = TargetCalibrations(
    Targets("classes", ("a", "b", "c"), 1), tuple(Calibration("platt", 1.2, shift) for shift in (0.0, 0.3, -0.2))
)
SEVERAL = TargetCalibrations(Targets("several", ("a", "b"), 1), (Calibration("none"), Calibration("none")))
HORIZONS = TargetCalibrations(
    Targets("horizons", ("30d", "90d", "365d"), 2), tuple(Calibration("none") for _ in range(3))
)


@pytest.mark.parametrize("calibration", [CLASSES, SEVERAL, HORIZONS], ids=["classes", "several", "horizons"])
def test_of_several_targets_the_headline_is_explained(calibration, tmp_path):
    tensors = tensors_of(300)
    targets = calibration.targets
    network = serving_network(
        build_network(TABLE, Network(members=2, hidden=(8,)), 0.0, 0, tensors, targets.kind, [0.1] * len(targets.names))
    )
    rng = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(weight + rng.normal(size=weight.shape).astype(np.float32) * 0.3)
    one = made(tmp_path, network, TABLE, tensors, stays_task(), calibration)
    assert one.facts.why_tensorflow is None
    assert one.facts.target == targets.names[targets.headline]
    found = one.explain(tensors, explained_logit(calibration, one.engine()(tensors)))
    assert found.adds_up.all()


def test_of_classes_the_log_odds_are_those_of_the_probability():
    from medspark.evaluate.logistic import logit
    from medspark.score.worker.calibration import apply_calibrations

    logits = np.random.default_rng(0).normal(size=(50, 3))
    expected = logit(apply_calibrations(CLASSES, logits)[:, 1])
    assert explained_logit(CLASSES, logits) == pytest.approx(expected)


def test_a_network_that_litert_cannot_explain_is_explained_by_tensorflow_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("medspark.train.explain._converted", lambda *_: b"no network")
    tensors = tensors_of(100)
    one = made(tmp_path, drawn(TABLE, tensors), TABLE, tensors, stays_task())
    assert one.asked.kind == "tensorflow"
    assert one.facts.why_tensorflow.startswith("its gradient cannot be converted")
    assert not (tmp_path / "explain.tflite").exists()
    found = one.explain(tensors, explained_logit(one.served.calibration, one.engine()(tensors)))
    assert found.adds_up.all()
