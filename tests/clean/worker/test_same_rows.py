"""Rows that repeat another one, as a worker finds them among what was put down."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from medspark.clean.worker.hashes import hash_keys
from medspark.clean.worker.same_rows import Part, Question, Repeated, count_several, find_copies
from medspark.clean.worker.staged import (
    ALL,
    CHECKED,
    COPIES,
    LINES_OF_A_SPAN,
    ROWS,
    among,
    gather_places,
    places_of,
    put_keys,
    put_places,
    put_rows,
)
from medspark.sources.worker.spans import Span

NO_PLAN: Any = None
"""Which says how text is read again: no question of these asks for it."""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for name in ALL:
        (tmp_path / name).mkdir()
    return str(tmp_path)


def put(folder: str, number: int, keys: list[str]) -> Part:
    """A span whose line i has the key i."""
    at = number * LINES_OF_A_SPAN + np.arange(len(keys))
    values = pa.array(keys, pa.string())
    put_rows(folder, ROWS, number, pa.table({"at": at, "digest": at, "c0": values}))
    put_keys(folder, 0, number, hash_keys([values]))
    return Part(number, Span(f"{number}.csv", "", 0, 0), 0)


def test_what_checks_set_aside_competes_not_and_each_file_of_it_is_opened_once_a_bucket(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [put(folder, number, ["x", "y", "z"]) for number in range(5)]
    put_places(folder, CHECKED, 0, np.array([0, LINES_OF_A_SPAN + 1]))  # x of the first span, y of the second
    put_places(folder, CHECKED, 1, np.array([4 * LINES_OF_A_SPAN + 2]))  # z of the last
    loaded: list[str] = []
    load = np.load

    def noted(path: Path, **options: Any) -> Any:
        loaded.append(path.name)
        return load(path, **options)

    monkeypatch.setattr(np, "load", noted)
    found = find_copies(0, 1, Question(0, ("c0",), ()), parts, NO_PLAN, folder)
    assert loaded == ["part-000000.npy", "part-000001.npy"]
    assert found == Repeated(3 + 3 + 3, 0)
    copies = [(places_of(folder, COPIES, span) - span * LINES_OF_A_SPAN).tolist() for span in range(5)]
    assert copies == [[], [2], [0, 1, 2], [0, 1, 2], [0, 1]]  # the second x is the first that counts
    assert count_several(0, 1, Question(0, ("c0",), ()), parts, NO_PLAN, folder) == 0


def test_places_are_looked_for_in_every_file_whatever_their_order(folder: str) -> None:
    assert among(folder, COPIES, np.array([3, 1])).tolist() == [False, False]
    put_places(folder, COPIES, 0, np.array([7, 2]))
    put_places(folder, COPIES, 1, np.array([9]))
    found = among(folder, COPIES, np.array([9, 1, 2, 3, 7, 10]))
    assert found.tolist() == [True, False, True, False, True, False]
    assert among(folder, COPIES, np.zeros(0, np.int64)).tolist() == []


def test_copies_of_all_buckets_lie_in_one_file_of_which_each_span_reads_its_own(tmp_path: Path) -> None:
    line, folder = LINES_OF_A_SPAN, str(tmp_path)
    (tmp_path / COPIES).mkdir()
    for bucket, places in enumerate(([3, line + 1], [], [1, 2 * line + 7], [line])):
        put_places(folder, COPIES, bucket, np.array(places, np.int64))
    before = [places_of(folder, COPIES, span).tolist() for span in range(4)]
    gather_places(folder, COPIES)
    after = [places_of(folder, COPIES, span).tolist() for span in range(4)]
    assert after == [sorted(places) for places in before] == [[1, 3], [line, line + 1], [2 * line + 7], []]
    assert len(list((tmp_path / COPIES).iterdir())) == 1
