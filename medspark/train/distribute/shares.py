"""Each member's share of every batch: together the members take the cases that one worker would take at that step.

Of the rows that are shuffled together a member owns a range and reads no others, save those of a row group on its
border. Which of its rows are in which batch the shuffle says, which every member draws alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import Input
from medspark.evaluate.censoring import Truth, joined
from medspark.evaluate.truth import Reading, truth_of
from medspark.train.batches import WINDOW_BYTES, Batch, none_of, opened, read_ahead, rows_of_window

Places = npt.NDArray[np.int64]


class Group(NamedTuple):
    """A row group of a file, and how many of its rows have a known outcome."""

    file: Path
    at: int
    rows: int


class Own(NamedTuple):
    """A member's rows of a window or of a batch."""

    batch: Batch
    places: Places
    """(n,) rising, the place of each among those of all members."""
    rows: int
    """Of all members."""


@dataclass(frozen=True)
class Shares:
    """What one of so many members reads of some files."""

    files: Sequence[Path]
    inputs: Sequence[Input]
    reading: Reading
    member: int
    members: int
    window_bytes: int = WINDOW_BYTES

    def groups(self) -> list[Group]:
        """The row groups in their order: reads the columns of labels alone."""
        found = []
        for file in self.files:
            one = opened(file)
            for at in range(one.num_row_groups):
                truth = truth_of(one.read_row_group(at, columns=[*self.reading.columns]), self.reading)
                found.append(Group(file, at, int(np.count_nonzero(truth.weight.any(axis=1)))))
        return found


def own_windows(shares: Shares, groups: Sequence[Group], rng: np.random.Generator | None) -> Iterator[Own]:
    """A member's rows of each window in the order that `rng` draws, as `windows` draws it for one worker."""
    order = rng.permutation(len(groups)) if rng is not None else np.arange(len(groups))
    planned = list(_planned([groups[at] for at in order], rows_of_window(shares.inputs, shares.window_bytes)))
    owned = [_owned(window, shares.member, shares.members) for window in planned]
    asked = [(group.file, group.at) for parts in owned for group, _ in parts]
    read = read_ahead(asked, shares.inputs, shares.reading)
    for window, parts in zip(planned, owned, strict=True):
        rows = sum(group.rows for group in window)
        drawn = rng.permutation(rows) if rng is not None else np.arange(rows)
        first, last = _range(rows, shares.member, shares.members)
        places = np.flatnonzero((drawn >= first) & (drawn < last))
        mine = [taken(next(read), rows_of) for _, rows_of in parts]
        yield Own(taken(_joined(mine, shares), drawn[places] - first), places, rows)


def own_batches(shares: Shares, groups: Sequence[Group], batch_size: int, seed: Sequence[int]) -> Iterator[Own]:
    """A member's rows of each batch, one by one those that `batches` gives one worker; maybe none of one."""
    left: Own | None = None
    for window in own_windows(shares, groups, np.random.default_rng(seed)):
        found = window if left is None else _after(left, window, shares)
        whole = found.rows - found.rows % batch_size
        for at in range(0, whole, batch_size):
            yield _part(found, at, at + batch_size)
        left = _part(found, whole, found.rows)
    if left is not None and left.rows:
        yield left


def own_cases(shares: Shares, groups: Sequence[Group], at_once: int) -> Iterator[Batch]:
    """A member's share of the files in their order, so many cases at a time at most."""
    for window in own_windows(shares, groups, None):
        for at in range(0, len(window.places), at_once):
            yield taken(window.batch, slice(at, at + at_once))


def taken(batch: Batch, rows: slice | Places) -> Batch:
    """Some rows of a batch."""
    tensors, truth, subject = batch
    return {name: array[rows] for name, array in tensors.items()}, truth.take(rows), subject[rows]


def _planned(groups: Sequence[Group], most: int) -> Iterator[list[Group]]:
    held: list[Group] = []
    for group in groups:
        held.append(group)
        if sum(one.rows for one in held) >= most:
            yield held
            held = []
    if sum(one.rows for one in held):
        yield held


def _range(rows: int, member: int, members: int) -> tuple[int, int]:
    return rows * member // members, rows * (member + 1) // members


def _owned(window: Sequence[Group], member: int, members: int) -> list[tuple[Group, slice]]:
    """The groups that a member's range lies in, and which of their rows are in it."""
    first, last = _range(sum(group.rows for group in window), member, members)
    found, before = [], 0
    for group in window:
        part = slice(max(first - before, 0), min(last - before, group.rows))
        if part.start < part.stop:
            found.append((group, part))
        before += group.rows
    return found


def _after(left: Own, window: Own, shares: Shares) -> Own:
    places = np.concatenate([left.places, window.places + left.rows])
    return Own(_joined([left.batch, window.batch], shares), places, left.rows + window.rows)


def _part(own: Own, first: int, last: int) -> Own:
    rows = slice(*np.searchsorted(own.places, [first, last]).tolist())
    return Own(taken(own.batch, rows), own.places[rows] - first, last - first)


def _joined(parts: list[Batch], shares: Shares) -> Batch:
    """Parts as one, none among them."""
    size = shares.reading.size
    nobody: Batch = none_of(shares.inputs), Truth(np.empty((0, size)), np.empty((0, size))), np.empty(0, object)
    held = [part for part in parts if len(part[2])]
    if not held:
        return nobody
    tensors: dict[str, Any] = {name: np.concatenate([part[0][name] for part in held]) for name in held[0][0]}
    return tensors, joined([part[1] for part in held]), np.concatenate([part[2] for part in held])
