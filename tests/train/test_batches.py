import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.encode.inputs import share_of_numbers
from medspark.encode.worker.encoder import as_list
from medspark.train import batches as module
from medspark.train.batches import batches, count_labelled, load_split, split_files


@pytest.fixture
def table(tmp_path):
    """Twenty cases in two files of small row groups; case 7's outcome is unknown."""
    for at, cases in enumerate((range(12), range(12, 20))):
        numbers = np.array([[case, -case] for case in cases], np.float32)
        label = [None if case == 7 else case % 2 == 0 for case in cases]
        folder = tmp_path / "split=train"
        folder.mkdir(exist_ok=True)
        frame = pa.table({"case_id": list(cases), "boolean_value": label, "numeric": as_list(numbers)})
        pq.write_table(frame, folder / f"{at}.parquet", row_group_size=5)
    return str(tmp_path)


def drawn(table, size, seed=None):
    found = list(batches(split_files(table, "train"), [share_of_numbers(2)], size, seed))
    return [inputs["numeric"][:, 0].astype(int).tolist() for inputs, _ in found], found


def test_every_labelled_case_comes_once_in_whole_batches(table):
    cases, _ = drawn(table, 8)
    assert [len(batch) for batch in cases] == [8, 8, 3]
    assert sorted(case for batch in cases for case in batch) == [case for case in range(20) if case != 7]


def test_a_case_keeps_its_label_through_the_shuffle(table):
    _, found = drawn(table, 4, seed=[3, 1])
    for inputs, label in found:
        assert label.tolist() == [float(case % 2 == 0) for case in inputs["numeric"][:, 0]]


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
