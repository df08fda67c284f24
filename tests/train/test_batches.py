import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.encode.inputs import share_of_numbers
from medspark.encode.worker.encoder import as_list
from medspark.evaluate.truth import Reading, reading_of, truth_of
from medspark.task.outcome import Outcome
from medspark.train import batches as module
from medspark.train.batches import Folds, batches, dataset, fold_of, load_split, split_files

YES_OR_NO = Reading("binary", ("boolean_value",), 1)


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
    found = list(batches(split_files(table, "train"), [share_of_numbers(2)], YES_OR_NO, size, seed))
    return [inputs["numeric"][:, 0].astype(int).tolist() for inputs, _, _ in found], found


def test_every_labelled_case_comes_once_in_whole_batches(table):
    cases, _ = drawn(table, 8)
    assert [len(batch) for batch in cases] == [8, 8, 3]
    assert sorted(case for batch in cases for case in batch) == [case for case in range(20) if case != 7]


def test_a_case_keeps_its_label_through_the_shuffle(table):
    _, found = drawn(table, 4, seed=[3, 1])
    for inputs, truth, subject in found:
        assert truth.label[:, 0].tolist() == [float(case % 2 == 0) for case in inputs["numeric"][:, 0]]
        assert subject.tolist() == [f"p{int(case) // 2}" for case in inputs["numeric"][:, 0]]


def test_the_order_is_the_seeds_and_each_epoch_has_its_own(table):
    assert drawn(table, 4, seed=[3, 1])[0] == drawn(table, 4, seed=[3, 1])[0]
    assert drawn(table, 4, seed=[3, 1])[0] != drawn(table, 4, seed=[3, 2])[0]


def test_a_window_smaller_than_the_table_loses_no_row_between_windows(table, monkeypatch):
    monkeypatch.setattr(module, "WINDOW_ROWS", 6)
    cases, _ = drawn(table, 4, seed=[0, 0])
    assert sorted(case for batch in cases for case in batch) == [case for case in range(20) if case != 7]
    assert [len(batch) for batch in cases] == [4, 4, 4, 4, 3]


def test_a_split_without_files_is_none(table):
    assert load_split(table, "test", [share_of_numbers(2)], YES_OR_NO, ("case_id",)) is None


def test_a_whole_split_has_its_labelled_cases_with_their_keys(table):
    found = load_split(table, "train", [share_of_numbers(2)], YES_OR_NO, ("case_id",))
    assert sorted(found.keys["case_id"].to_pylist()) == [case for case in range(20) if case != 7]
    assert found.truth.label[:, 0].tolist() == [1.0 - case % 2 for case in found.keys["case_id"].to_pylist()]
    assert found.tensors["numeric"][:, 0].tolist() == found.keys["case_id"].to_pylist()


def test_a_case_of_which_one_target_is_known_counts_and_one_of_which_none_is_does_not(tmp_path):
    folder = tmp_path / "split=train"
    folder.mkdir()
    values = [[True, None], [None, None], None, [False, True]]
    frame = pa.table(
        {
            "boolean_value": [True, None, None, False],
            "boolean_values": pa.array(values, pa.list_(pa.bool_())),
            "subject_id": [*"abcd"],
        }
    )
    frame = frame.append_column("numeric", as_list(np.arange(8, dtype=np.float32).reshape(4, 2)))
    pq.write_table(frame, folder / "0.parquet")
    reading = Reading("several", ("boolean_value", "boolean_values"), 2)
    files, inputs = split_files(str(tmp_path), "train"), [share_of_numbers(2)]
    ((_, truth, subject),) = batches(files, inputs, reading, 10, None)
    assert subject.tolist() == ["a", "d"]
    assert np.array_equal(truth.label, [[1.0, np.nan], [0.0, 1.0]], equal_nan=True)
    assert truth.weight.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    ((_, learned),) = dataset(files, inputs, reading, 10, None)(0, 0).as_numpy_iterator()
    assert learned[:, 0].tolist() == [[1.0, 0.0, 1.0, 0.0, -1.0], [0.0, 1.0, 1.0, 1.0, -1.0]]


def test_at_a_horizon_those_followed_stand_for_those_who_were_not():
    outcome = Outcome(name="dead", event="dead", days="days", horizons_days=(10, 20))
    # b's follow-up ends on day 5: of the three who were left then, two go on and stand for all three
    labels = pa.table(
        {
            "boolean_value": [True, None, False, True],
            "boolean_values": [[True, True], [None, None], [False, False], [False, True]],
            "days_followed": [3.0, 5.0, 20.0, 15.0],
        }
    )
    truth = truth_of(labels, reading_of(outcome, labels))
    assert truth.weight.round(6).tolist() == [[1.0, 1.0], [0.0, 0.0], [1.5, 1.5], [1.5, 1.5]]


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
    given = dataset(split_files(table, "train"), [share_of_numbers(2)], YES_OR_NO, 8, None, Folds(4, 0))(0, 0)
    for inputs, truth in given.as_numpy_iterator():
        cases = inputs["numeric"][:, 0].astype(int)
        patients = np.array([f"p{case // 2}" for case in cases], object)
        assert truth[:, 0, 0].tolist() == [float(case % 2 == 0) for case in cases]
        assert truth[:, 0, 1].tolist() == [1.0] * len(cases)
        assert truth[:, 0, 2].tolist() == fold_of(patients, Folds(4, 0)).tolist()


@pytest.fixture(scope="module")
def thousands(tmp_path_factory):
    """Six thousand cases in sixty row groups of two files; a case's first number is its place."""
    folder = tmp_path_factory.mktemp("thousands") / "split=train"
    folder.mkdir()
    for at in range(2):
        cases = np.arange(at * 3000, (at + 1) * 3000)
        frame = pa.table({"boolean_value": cases % 2 == 0, "subject_id": [f"p{case}" for case in cases]})
        numbers = np.stack([cases, -cases], axis=1).astype(np.float32)
        whole, place = frame.append_column("numeric", as_list(numbers)), folder / f"{at}.parquet"
        pq.write_table(whole, place, row_group_size=100, write_page_checksum=True)
    return str(folder.parent)


def order_of(table, window_bytes, seed=(0, 0), size=64):
    found = batches(split_files(table, "train"), [share_of_numbers(2)], YES_OR_NO, size, seed, window_bytes)
    return np.concatenate([tensors["numeric"][:, 0] for tensors, _, _ in found]).astype(int)


def test_a_window_of_a_tenth_shuffles_nearly_as_a_permutation_of_all_does(thousands):
    order = order_of(thousands, 600 * 8)
    assert sorted(order) == [*range(6000)]
    neighbours = np.corrcoef(order[:-1], order[1:])[0, 1]
    assert abs(neighbours) < 0.25, "about one over the row groups of a window, of which there are six"
    of_first = np.flatnonzero(order < 600) / 6000
    assert 0.3 < of_first.mean() < 0.7, "the first tenth is spread over the epoch"
    unshuffled = order_of(thousands, 600 * 8, seed=None)
    assert np.corrcoef(unshuffled[:-1], unshuffled[1:])[0, 1] > 0.99


def test_no_more_rows_are_held_than_the_window_and_one_row_group(thousands, monkeypatch):
    held = []
    together = module._together
    monkeypatch.setattr(
        module, "_together", lambda parts, rng: held.append(sum(len(p[2]) for p in parts)) or together(parts, rng)
    )
    order_of(thousands, 250 * 8, size=50)
    assert max(held) == 300, "row groups have 100 rows, a row 8 bytes"
    held.clear()
    order_of(thousands, 2**29, size=50)
    assert max(held) == 6000


def test_an_epoch_can_be_gone_on_with_at_any_step(thousands):
    given = dataset(split_files(thousands, "train"), [share_of_numbers(2)], YES_OR_NO, 700, 3, window_bytes=8000)

    def cases(epoch, done):
        return [tensors["numeric"][:, 0].tolist() for tensors, _ in given(epoch, done).as_numpy_iterator()]

    whole = cases(2, 0)
    assert len(whole) == 9
    for done in (0, 1, 5, 9):
        assert cases(2, done) == whole[done:]
    assert cases(3, 0) != whole


def test_a_file_that_breaks_off_while_it_is_read_ahead_is_an_error(thousands, tmp_path):
    folder = tmp_path / "split=train"
    folder.mkdir()
    for file in split_files(thousands, "train"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 255
        (folder / file.name).write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        order_of(str(tmp_path), 8000)
