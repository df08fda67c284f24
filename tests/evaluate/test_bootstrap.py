"""Drawing patients: what a resample is, by writing the cases out, and that sorting once changes no figure."""

import numpy as np
import pytest

from medspark.errors import InputError
from medspark.evaluate import bootstrap
from medspark.evaluate.bootstrap import draws, interval_of, resampled_means, sample_of, whole
from medspark.evaluate.logistic import sigmoid
from medspark.evaluate.metrics import performance, resampled

LABEL = np.array([True, False, True, False, False])
RISK = np.array([0.9, 0.2, 0.2, 0.5, 0.2])
PATIENT = np.array(["b", "a", "a", "c", "b"])


def test_cells_are_the_weights_of_each_risk_and_outcome_from_the_highest_risk():
    sample = sample_of(LABEL, RISK, PATIENT)
    assert sample.risk.tolist() == [0.9, 0.5, 0.2]
    assert sample.cases.tolist() == [2, 2, 1]  # of a, b and c
    every = whole(sample)
    assert every.positive.tolist() == [[[1, 0, 1]]]
    assert every.negative.tolist() == [[[0, 1, 2]]]


def test_a_weight_counts_as_often_as_it_says_and_parts_are_apart():
    part = np.array([0, 1, 1, 0, 1])
    every = whole(sample_of(LABEL, RISK, PATIENT, np.array([1, 2, 0.5, 1, 3]), part))
    assert every.positive.tolist() == [[[1, 0, 0], [0, 0, 0.5]]]
    assert every.negative.tolist() == [[[0, 1, 0], [0, 0, 5]]]


def written_out(drawn_patients):
    """The rows of a resample, one for each time that its patient was drawn."""
    names, place = np.unique(PATIENT, return_inverse=True)
    times = np.bincount(drawn_patients, minlength=len(names))[place]
    return np.repeat(np.arange(len(LABEL)), times)


def test_a_resample_is_its_patients_cases_written_out_and_its_figures_are_theirs():
    (drawn,) = draws(sample_of(LABEL, RISK, PATIENT), 4, seed=3)
    rng = np.random.default_rng(3)
    found = resampled(LABEL, RISK, PATIENT, 4, 3)
    for at in range(4):
        rows = written_out(rng.integers(0, 3, 3))
        assert drawn.positive[at].sum() == LABEL[rows].sum()
        assert drawn.negative[at].sum() == (~LABEL[rows]).sum()
        expected = performance(LABEL[rows], RISK[rows])
        assert found["brier"][at] == pytest.approx(expected["brier"])
        auroc = np.nan if expected["auroc"] is None else expected["auroc"]
        assert found["auroc"][at] == pytest.approx(auroc, nan_ok=True)


def test_two_models_are_drawn_the_same_patients():
    one = next(draws(sample_of(LABEL, RISK, PATIENT), 10, seed=0))
    two = next(draws(sample_of(LABEL, 1 - RISK, PATIENT), 10, seed=0))
    assert one.positive.sum(axis=2).tolist() == two.positive.sum(axis=2).tolist()


def test_pieces_that_fit_in_memory_draw_what_one_piece_draws(monkeypatch):
    sample = sample_of(LABEL, RISK, PATIENT)
    at_once = next(draws(sample, 7, seed=1)).positive
    monkeypatch.setattr(bootstrap, "CHUNK_CELLS", 12)
    pieces = [drawn.positive for drawn in draws(sample, 7, seed=1)]
    assert [len(piece) for piece in pieces] == [2, 2, 2, 1]
    assert np.concatenate(pieces).tolist() == at_once.tolist()


def test_many_cases_have_their_risks_rounded_for_intervals_alone(monkeypatch):
    monkeypatch.setattr(bootstrap, "EXACT_CASES", 2)
    risk = sigmoid(np.array([0.0011, 0.0012, 1.0]))
    label, patient = np.array([True, False, True]), np.arange(3)
    assert sample_of(label, risk, patient).risk.tolist() == sigmoid(np.array([1.0, 0.0])).tolist()
    assert sample_of(label, risk, patient, exact=True).risk.tolist() == risk[::-1].tolist()


def test_means_of_a_resample_are_over_its_cases():
    values = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    found = resampled_means(values, PATIENT, 4, seed=3)
    rng = np.random.default_rng(3)
    assert found[:, 0].tolist() == pytest.approx([values[written_out(rng.integers(0, 3, 3))].mean() for _ in range(4)])


def test_a_patient_is_needed_for_each_case():
    with pytest.raises(InputError, match="expected a subject for each of 5 cases, received 2"):
        sample_of(LABEL, RISK, PATIENT[:2])


def test_an_interval_needs_nine_in_ten_resamples_with_a_value():
    values = np.arange(10.0)
    assert interval_of(np.append(values[1:], np.nan)) is not None
    assert interval_of(np.append(values[2:], [np.nan, np.nan])) is None
    assert interval_of(np.array([])) is None
