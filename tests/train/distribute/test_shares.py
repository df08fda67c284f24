"""What each member reads: together what one worker reads, batch for batch."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medspark.encode.inputs import share_of_numbers
from medspark.encode.worker.encoder import as_list
from medspark.evaluate.truth import Reading
from medspark.train.batches import batches, split_files
from medspark.train.distribute import shares as module
from medspark.train.distribute.shares import Shares, own_batches, own_cases

YES_OR_NO = Reading("binary", ("boolean_value",), 1)
INPUTS = [share_of_numbers(2)]


def written(folder, groups):
    """Cases in row groups of so many rows, in two files; a case's first number is its place, each fifth is unknown."""
    place = folder / "split=train"
    place.mkdir()
    cases = np.arange(sum(groups))
    frame = pa.table(
        {
            "boolean_value": [None if case % 5 == 4 else case % 2 == 0 for case in cases.tolist()],
            "subject_id": [f"p{case}" for case in cases],
        }
    ).append_column("numeric", as_list(np.stack([cases, -cases], axis=1).astype(np.float32)))
    half = len(groups) // 2
    for at, some in enumerate((groups[:half], groups[half:])):
        first = sum(groups[:half]) if at else 0
        with pq.ParquetWriter(place / f"{at}.parquet", frame.schema, write_page_checksum=True) as writer:
            for rows in some:
                writer.write_table(frame.slice(first, rows), row_group_size=max(rows, 1))
                first += rows
    return split_files(str(folder), "train")


def cases_of(batch):
    tensors, truth, subject = batch
    cases = tensors["numeric"][:, 0].astype(int).tolist()
    assert truth.label[:, 0].tolist() == [float(case % 2 == 0) for case in cases]
    assert subject.tolist() == [f"p{case}" for case in cases]
    return cases


@settings(max_examples=40)
@given(
    groups=st.lists(st.integers(0, 23), min_size=2, max_size=9).filter(lambda rows: sum(rows) > 5),
    size=st.integers(1, 40),
    window=st.integers(1, 80),
    members=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_members_together_take_the_cases_of_each_batch_at_the_places_where_one_worker_has_them(
    tmp_path_factory, groups, size, window, members, seed
):
    files, window_bytes = written(tmp_path_factory.mktemp("shares"), groups), window * 8
    alone = [cases_of(one) for one in batches(files, INPUTS, YES_OR_NO, size, [seed, 1], window_bytes)]
    found = []
    for member in range(members):
        share = Shares(files, INPUTS, YES_OR_NO, member, members, window_bytes)
        found.append(list(own_batches(share, share.groups(), size, [seed, 1])))
    assert {len(one) for one in found} == {len(alone)}
    for batch, parts in zip(alone, zip(*found, strict=True), strict=True):
        assert {part.rows for part in parts} == {len(batch)}
        placed = {
            place: case
            for part in parts
            for place, case in zip(part.places.tolist(), cases_of(part.batch), strict=True)
        }
        assert sum(len(part.places) for part in parts) == len(batch), "each case is one member's"
        assert [placed[place] for place in range(len(batch))] == batch


def test_a_member_reads_its_own_row_groups_and_no_others_but_those_on_its_border(tmp_path, monkeypatch):
    files, read = written(tmp_path, [10] * 8), []
    ahead = module.read_ahead
    monkeypatch.setattr(module, "read_ahead", lambda groups, *of: read.append(len(groups)) or ahead(groups, *of))
    for members in (2, 4, 3):
        for member in range(members):
            share = Shares(files, INPUTS, YES_OR_NO, member, members)
            list(own_batches(share, share.groups(), 16, [0, 0]))
    assert read == [4, 4, *[2] * 4, 3, 4, 3]


def test_of_two_row_groups_four_members_read_one_each_and_of_one_all_read_it(tmp_path, monkeypatch):
    read, ahead = [], module.read_ahead
    monkeypatch.setattr(module, "read_ahead", lambda groups, *of: read.append(len(groups)) or ahead(groups, *of))
    for count in (2, 1):
        (tmp_path / str(count)).mkdir()
        files = written(tmp_path / str(count), [40 // count] * count)
        for member in range(4):
            share = Shares(files, INPUTS, YES_OR_NO, member, 4)
            list(own_batches(share, share.groups(), 16, [0, 0]))
    assert read == [1] * 8


@pytest.mark.parametrize("members", [1, 2, 3])
def test_members_together_watch_every_known_case_once_and_so_many_at_a_time(tmp_path, members):
    files, found = written(tmp_path, [7, 1, 13, 0, 9]), []
    for member in range(members):
        share = Shares(files, INPUTS, YES_OR_NO, member, members, 10 * 8)
        parts = [cases_of(one) for one in own_cases(share, share.groups(), 4)]
        assert max(map(len, parts)) <= 4
        found += [case for part in parts for case in part]
    assert sorted(found) == [case for case in range(30) if case % 5 != 4]
