"""Distances as LiteRT gives them: cases of another kind are farther than nearly all that are like those of training."""

import keras
import numpy as np
import pytest

from medspark.encode.inputs import Input
from medspark.encode.kinds.events import BagStatistics, SequenceStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import CategoricalStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.score.worker.engine import litert_engine
from medspark.train.export import export_litert
from medspark.train.strangeness import strangeness

ROWS = 2000


def number(column, scaling="smooth"):
    return NumericStatistics(
        column=column,
        scaling=scaling,
        center=0.0,
        scale=1.0,
        knots=(0.0,) * 13,
        impute=0.0,
        missing_indicator=False,
        mean=0.0,
        sd=1.0,
        missing_share=0.0,
    )


def statistics(**features):
    return Statistics(**{"cases": ROWS, "numeric": (), "categorical": (), "codes": (), **features})


def distances(tmp_path, found, sample, cases):
    """Of some cases by LiteRT, (n, outputs), and what they are of."""
    tensors = {one.name: keras.Input((one.width,), dtype=one.dtype, name=one.name) for one in found.inputs()}
    far = strangeness(tensors, found, sample)
    outputs = far.outputs[0] if len(far.outputs) == 1 else keras.layers.Concatenate()(far.outputs)
    path = tmp_path / "far.tflite"
    exported = export_litert(keras.Model(tensors, outputs), path, cases)
    assert exported.because is None
    assert exported.difference is not None
    assert exported.difference < 1e-4
    return far.names, litert_engine(path)(cases)


def smooth(deviation):
    return (deviation / np.sqrt(1 + (deviation / 3) ** 2)).astype(np.float32)


def test_numbers_that_go_together_are_strange_apart_and_a_far_one_is_strange_by_itself(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3))
    x[:, 1] = x[:, 0] + 0.1 * rng.normal(size=ROWS)
    found = statistics(numeric=(number("a"), number("b"), number("c", "standard")))
    cases = {"numeric": np.concatenate([smooth(x[:, :2]), x[:, 2:]], axis=1).astype(np.float32)}
    odd = np.array([[*smooth(np.array([1.5, -1.5])), 0.0], [*smooth(np.array([80.0, 80.0])), 0.0], [0.0, 0.0, 40.0]])
    names, usual = distances(tmp_path, found, cases, cases)
    _, far = distances(tmp_path, found, cases, {"numeric": odd.astype(np.float32)})
    assert names == ("numbers",)
    assert (far[:, 0] > np.quantile(usual[:, 0], 0.999)).all()


def test_the_distance_of_few_numbers_is_mahalanobis_own(tmp_path):
    """Two numbers within a spread of 0: one direction and what is left of the other are all there is."""
    x = np.random.default_rng(1).normal(size=(ROWS, 2)).astype(np.float32)
    x[:, 1] += x[:, 0]
    found = statistics(numeric=(number("a", "standard"), number("b", "standard")))
    _, given = distances(tmp_path, found, {"numeric": x}, {"numeric": x})
    z = np.sign(x) * np.log1p(np.abs(x))
    off = z - z.mean(axis=0)
    spread = off / z.std(axis=0)
    inverse = np.linalg.inv(np.cov(spread.T))
    expected = np.einsum("ni,ij,nj->n", spread, inverse, spread)
    assert np.expm1(given[:, 0]) == pytest.approx(expected, rel=2e-2, abs=1e-3)


def test_a_rare_or_unseen_level_and_a_rare_code_surprise(tmp_path):
    rng = np.random.default_rng(0)
    sex = CategoricalStatistics(column="sex", levels=("F", "M"), counts=(1200, 798), rare=0, missing_share=0.0)
    bag = BagStatistics(column="dx", width=3, codes=("a", "b", "c"), counts=(9, 8, 7), rare=0, missing_share=0.0)
    found = statistics(categorical=(sex,), bags=(bag,))
    sample = {
        "categories": rng.choice([2, 3], (ROWS, 1), p=[0.6, 0.4]).astype(np.int32),
        "codes_dx": np.where(rng.random((ROWS, 1)) < 0.5, [[3, 2, 0]], [[2, 0, 0]]).astype(np.int32),
    }
    cases = {
        "categories": np.array([[2], [3], [1], [0]], np.int32),
        "codes_dx": np.array([[2, 0, 0], [3, 2, 0], [4, 0, 0], [0, 0, 0]], np.int32),
    }
    names, given = distances(tmp_path, found, sample, cases)
    assert names == ("categories", "codes_dx")
    share = (sample["categories"] == 2).mean()
    assert np.expm1(given[:2, 0]) == pytest.approx([-np.log(share), -np.log(1 - share)], rel=1e-2)
    assert (given[2:, 0] > given[:2, 0].max()).all()
    assert given[2, 1] > given[:2, 1].max()
    assert given[3, 1] == 0.0  # no code at all: nothing is there to surprise


def test_events_and_letters_are_weighed_by_their_mean_so_that_a_longer_one_is_no_stranger(tmp_path):
    rng = np.random.default_rng(0)
    past = SequenceStatistics(
        column="past",
        last=4,
        mean=(0.0,) * 2,
        scale=(1.0,) * 2,
        codes=("a", "b"),
        counts=(9, 8),
        rare=0,
        missing_share=0.0,
    )
    gene = GeneStatistics(
        column="dna",
        name="dna",
        length=8,
        keep="start",
        reverse_complement=False,
        longer=0,
        odd=0,
        missing_share=0.0,
    )
    found = statistics(sequences=(past,), genes=(gene,))
    tokens = np.where(rng.random((ROWS, 4)) < 0.95, 2, 3).astype(np.int32)
    tokens[:, 0] = 0
    letters = np.tile([1, 2, 4, 8, 1, 2, 4, 8], (ROWS, 1)).astype(np.int32)
    zeros = np.zeros((ROWS, 4), np.float32)
    sample = {"tokens_past": tokens, "times_past": zeros, "numbers_past": zeros, "gene_dna": letters}
    sample |= {one.name: np.zeros((ROWS, one.width), one.dtype) for one in found.inputs() if one.name not in sample}
    cases = {name: array[:3].copy() for name, array in sample.items()}
    cases["tokens_past"][:] = [[0, 0, 0, 2], [0, 2, 2, 2], [0, 3, 3, 3]]
    cases["gene_dna"][2] = letters[0][::-1]
    names, given = distances(tmp_path, found, sample, cases)
    assert names == ("tokens_past", "gene_dna")
    assert given[0, 0] == pytest.approx(given[1, 0], abs=1e-6)
    assert (given[2] > given[1]).all()


def test_an_image_of_another_kind_is_far(tmp_path):
    rng = np.random.default_rng(0)
    chest = ImageStatistics(
        name="chest", columns=("image",), height=16, width=16, channels=1, several="mean", missing_share=0.0
    )
    found = statistics(images=(chest,))
    pixels: Input = found.inputs()[0]
    ramp = np.linspace(0, 160, 256)[None] + rng.normal(0, 10, (ROWS, 256))
    sample = {pixels.name: np.clip(ramp, 0, 255).astype(np.uint8)}
    sample |= {one.name: np.ones((ROWS, one.width), one.dtype) for one in found.inputs() if one.name not in sample}
    other = {name: array[:2].copy() for name, array in sample.items()}
    other[pixels.name][:] = [np.full(256, 255), sample[pixels.name][0][::-1]]
    _, usual = distances(tmp_path, found, sample, sample)
    _, far = distances(tmp_path, found, sample, other)
    assert (far[:, 0] > usual[:, 0].max()).all()
