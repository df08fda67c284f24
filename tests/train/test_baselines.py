import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medspark.encode.inputs import bag_of_codes, share_of_categories, share_of_numbers
from medspark.errors import InputError
from medspark.train import baselines
from medspark.train.baselines import fit_baselines

NAMES = ["logistic_regression", "gradient_boosting"]
INPUTS = [share_of_numbers(3), share_of_categories(2, 12), bag_of_codes("diagnoses", 4, 40)]


def cases(n: int, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Numbers, two category columns that share one table (ids 0-4 and 5-11), codes; all three carry signal."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(n, 3)).astype(np.float32)
    categories = np.column_stack([rng.integers(0, 5, n), rng.integers(5, 12, n)]).astype(np.int32)
    codes = rng.integers(0, 40, (n, 4)).astype(np.int32)
    logit = numeric[:, 0] + 1.5 * (categories[:, 1] == 8) + 2 * (codes == 7).any(axis=1) - 1
    label = rng.random(n) < 1 / (1 + np.exp(-logit))
    return {"numeric": numeric, "categories": categories, "codes_diagnoses": codes}, label


@pytest.fixture(scope="module")
def fitted():
    return fit_baselines(*cases(6000), INPUTS, seed=0)


@pytest.mark.parametrize("name", NAMES)
def test_both_find_the_signal_in_every_kind_of_input(fitted, name):
    tensors, label = cases(4000, seed=1)
    risks = fitted[name](tensors)
    assert risks.shape == (4000,)
    assert roc_auc_score(label, risks) > 0.76
    for key in tensors:
        shuffled = {**tensors, key: tensors[key][::-1]}
        assert roc_auc_score(label, fitted[name](shuffled)) < roc_auc_score(label, risks) - 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_the_same_risk_alone_and_among_others(fitted, name):
    tensors, _ = cases(50, seed=2)
    one = {key: tensor[7:8] for key, tensor in tensors.items()}
    assert fitted[name](one)[0] == pytest.approx(fitted[name](tensors)[7], rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("keys", [["numeric"], ["categories"], ["codes_diagnoses"]])
def test_one_kind_of_input_is_enough(name, keys):
    tensors, label = cases(500)
    tensors = {key: tensors[key] for key in keys}
    inputs = [found for found in INPUTS if found.name in keys]
    risks = fit_baselines(tensors, label, inputs, seed=0)[name](tensors)
    assert ((risks >= 0) & (risks <= 1)).all()


def test_the_seed_decides():
    tensors, label = cases(1000)
    first, again = (fit_baselines(tensors, label, INPUTS, seed=3) for _ in range(2))
    assert all(np.array_equal(first[name](tensors), again[name](tensors)) for name in NAMES)


def test_padding_and_a_code_written_twice_change_nothing(fitted):
    tensors, _ = cases(1)
    once = {**tensors, "codes_diagnoses": np.array([[7, 0, 0, 0]], dtype=np.int32)}
    twice = {**tensors, "codes_diagnoses": np.array([[7, 7, 0, 7]], dtype=np.int32)}
    assert all(fitted[name](once) == fitted[name](twice) for name in NAMES)


def test_ids_that_training_did_not_have_are_no_error(fitted):
    tensors, label = cases(800)
    tensors["codes_diagnoses"] %= 20
    tensors["categories"][:, 1] = 5
    small = fit_baselines(tensors, label, INPUTS, seed=0)
    assert all(np.isfinite(small[name](cases(50)[0])).all() for name in NAMES)


def test_columns_of_many_levels_and_wide_vocabularies_are_cut_to_the_frequent(monkeypatch):
    monkeypatch.setattr(baselines, "DENSE_CELLS", 1000 * 30)
    rng = np.random.default_rng(0)
    tensors = {
        "categories": rng.integers(0, 600, (1000, 1)).astype(np.int32),
        "codes_labs": np.minimum(rng.geometric(0.05, (1000, 5)), 299).astype(np.int32),
    }
    inputs = [share_of_categories(1, 600), bag_of_codes("labs", 5, 300)]
    boosting = fit_baselines(tensors, rng.random(1000) < 0.3, inputs, seed=0)["gradient_boosting"]
    assert "most frequent of 299 codes" in boosting.description
    assert boosting.design(tensors).shape[1] <= 30


def test_rows_beyond_the_limit_are_drawn_and_it_is_said(monkeypatch):
    monkeypatch.setattr(baselines, "MAX_ROWS", 300)
    tensors, label = cases(1000)
    for baseline in fit_baselines(tensors, label, INPUTS, seed=5).values():
        assert baseline.rows == 300
        assert "300 of 1,000 training rows, drawn by seed 5" in baseline.description


def test_a_handful_of_rows_is_enough_to_fit():
    tensors, _ = cases(6)
    risks = fit_baselines(tensors, np.array([0, 1, 0, 1, 0, 1]), INPUTS, seed=0)
    assert all(np.isfinite(risks[name](tensors)).all() for name in NAMES)


@pytest.mark.parametrize(
    ("tensors", "label", "message"),
    [
        ({}, [0, 1], "rows each"),
        ({"numeric": np.zeros((3, 1))}, [0, 1], "2 rows each"),
        ({"numeric": np.zeros((2, 1))}, [1, 1], "both outcomes"),
        ({"numeric": np.array([[0.0], [np.nan]])}, [0, 1], "finite"),
    ],
)
def test_what_can_not_be_fitted_is_refused(tensors, label, message):
    with pytest.raises(InputError, match=message):
        fit_baselines(tensors, np.array(label), [share_of_numbers(1)], seed=0)


def test_20_000_rows_of_300_codes_take_seconds():
    tensors, label = cases(20_000)
    tensors["codes_diagnoses"] = np.random.default_rng(0).integers(0, 300, (20_000, 4)).astype(np.int32)
    start = time.process_time()
    fit_baselines(tensors, label, [*INPUTS[:2], bag_of_codes("diagnoses", 4, 300)], seed=0)
    assert time.process_time() - start < 90
