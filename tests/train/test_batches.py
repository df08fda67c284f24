import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.encode.inputs import share_of_numbers
from medspark.encode.worker.encoder import as_list
from medspark.train import batches as module
from medspark.train.batches import Folds, batches, count_labelled, dataset, fold_of, load_split, split_files


@pytest.fixture
def table(tmp_path):
    """Twenty cases in two files of small row groups; case 7's outcome is unknown."""
    for at, cases in enumerate((range(12), range(12, 20))):
        numbers = np.array([[case, -case] for case in cases], np.float32)
        label = [None if case == 7 else case % 2 == 0 for case in cases]
        folder = tmp_path / "split=train"
        folder.mkdir(exist_ok=True)
        frame = pa.table(
            {"case_id": list(cases), "boolean_value": label, "subject_id": [f"p{case // 2}" for case in cases]}
        )
        frame = frame.append_column("numeric", as_list(numbers))
        pq.write_table(frame, folder / f"{at}.parquet", row_group_size=5)
    return str(tmp_path)


def drawn(table, size, seed=None):
    found = list(batches(split_files(table, "train"), [share_of_numbers(2)], size, seed))
    return [inputs["numeric"][:, 0].astype(int).tolist() for inputs, _, _ in found], found


def test_every_labelled_case_comes_once_in_whole_batches(table):
    cases, _ = drawn(table, 8)
    assert [len(batch) for batch in cases] == [8, 8, 3]
    assert sorted(case for batch in cases for case in batch) == [case for case in range(20) if case != 7]


def test_a_case_keeps_its_label_through_the_shuffle(table):
    _, found = drawn(table, 4, seed=[3, 1])
    for inputs, label, subject in found:
        assert label.tolist() == [float(case % 2 == 0) for case in inputs["numeric"][:, 0]]
        assert subject.tolist() == [f"p{int(case) // 2}" for case in inputs["numeric"][:, 0]]


def test_the_order_is_the_seeds_and_each_epoch_has_its_own(table):
    assert drawn(table, 4, seed=[3, 1])[0] == drawn(table, 4, seed=[3, 1])[0]
    assert drawn(table, 4, seed=[3, 1])[0] != drawn(table, 4, seed=[3, 2])[0]


def test_a_window_smaller_than_the_table_loses_no_row_between_windows(table, monkeypatch):
    monkeypatch.setattr(module, "WINDOW_ROWS", 6)
    cases, _ = drawn(table, 4, seed=[0, 0])
    assert sorted(case for batch in cases for case in batch) == [case for case in range(20) if case != 7]
    assert [len(batch) for batch in cases] == [4, 4, 4, 4, 3]


def test_labelled_cases_are_counted(table):
    assert count_labelled(split_files(table, "train")) == (19, 10)


def test_a_split_without_files_is_empty(table):
    inputs, keys = load_split(table, "test", [share_of_numbers(2)], ("case_id",))
    assert (inputs["numeric"].shape, keys) == ((0, 2), None)
    assert count_labelled(split_files(table, "test")) == (0, 0)


def test_a_patient_is_in_one_fold_whatever_the_type_of_the_id_and_the_rows_around_it():
    numbers = np.array([7, 8, 2**53 + 1, 7])
    folds = fold_of(numbers, Folds(5, 0))
    assert folds[0] == folds[3]
    assert folds.tolist() == fold_of(numbers.astype(str).astype(object), Folds(5, 0)).tolist()
    assert fold_of(numbers[2:], Folds(5, 0)).tolist() == folds[2:].tolist()


def test_folds_are_about_alike_in_size_and_another_seed_divides_anew():
    patients = np.array([f"patient {at}" for at in range(8000)], object)
    one, two = (fold_of(patients, Folds(8, seed)) for seed in (0, 1))
    assert set(np.bincount(one, minlength=8) // 100) <= {9, 10, 11}
    assert 0.1 < (one == two).mean() < 0.15, "an eighth stays by chance"


def test_the_label_goes_with_the_fold_of_its_patient(table):
    given = dataset(split_files(table, "train"), [share_of_numbers(2)], 8, 3.0, None, Folds(4, 0))
    for inputs, truth, weight in given.as_numpy_iterator():
        cases = inputs["numeric"][:, 0].astype(int)
        patients = np.array([f"p{case // 2}" for case in cases], object)
        assert truth[:, 0].tolist() == [float(case % 2 == 0) for case in cases]
        assert truth[:, 1].tolist() == fold_of(patients, Folds(4, 0)).tolist()
        assert weight.tolist() == [3.0 if case % 2 == 0 else 1.0 for case in cases]
