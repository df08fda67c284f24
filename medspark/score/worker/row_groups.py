"""Score tensors without Spark's reader: each task reads row groups of Parquet and writes a piece of the scores.

A unit of work is some neighbouring row groups of one file. It is cut by size alone and its piece is named after what
it reads, so whichever cluster comes back to a run that was stopped finds there what is finished, and a task that ran
twice wrote the same file twice. No Spark here.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.encode.inputs import pixels_of, rows_at_once
from medspark.encode.statistics import Statistics
from medspark.score.worker.engine import ROWS
from medspark.score.worker.pieces import Piece, Sink, finished_piece, write_piece
from medspark.score.worker.predict import KEYS, Served, answer_batches, columns_read, statistics_of
from medspark.store.worker.checksums import FileSums, sound_footer, sound_groups
from medspark.store.worker.places import open_place

UNIT_BYTES = 32 * 2**20
"""Encoded numbers of one unit of work, more only where a row group is larger."""
BATCH_BYTES = 2 * 2**20
"""Numbers decoded at a time: with a few copies of them, what a worker holds beside its network."""
_READERS = 16
_BUFFER = 2**20


class Unit(NamedTuple):
    """Row groups `first` to before `last` of a file."""

    file: str
    """Its address, as Hadoop writes it."""
    place: str
    """Its path below the table."""
    first: int
    last: int
    rows: int
    piece: str
    """The name of the file that its scores go to."""
    sums: FileSums | None = None
    """Of the file as it was written; None where nobody knows."""


def plan_units(files: dict[str, str], served: Served, sums: Mapping[str, FileSums] | None = None) -> list[Unit]:
    """All units of a table of tensors that have rows, in the order of its files.

    Args:
        files: the address of each Parquet file, with its path below the table.
        served: what the network reads.
        sums: of each file by its path below the table, where they are known.

    Raises:
        InputError: a footer is not as it was written.
    """
    statistics = statistics_of(served)
    known = [sums.get(place) if sums else None for place in files.values()]
    groups = max(1, UNIT_BYTES // (4 * max(1, sum(statistics.widths().values()))))
    with ThreadPoolExecutor(_READERS) as pool:
        footers = [*pool.map(_rows_of_groups, files, known)]
    return [
        unit
        for (file, place), rows, found in zip(files.items(), footers, known, strict=True)
        for unit in _cut(file, place, rows, groups, found)
        if unit.rows
    ]


def _rows_of_groups(file: str, sums: FileSums | None) -> list[int]:
    system, path = open_place(file)
    with system.open_input_file(path) as source:
        footer = pq.read_metadata(source) if sums is None else sound_footer(source, sums, file)
    return [footer.row_group(at).num_rows for at in range(footer.num_row_groups)]


def _cut(file: str, place: str, rows: list[int], most: int, sums: FileSums | None) -> Iterator[Unit]:
    first = 0
    while first < len(rows):
        last, held = first + 1, rows[first]
        while last < len(rows) and held + rows[last] <= most:
            held += rows[last]
            last += 1
        name = hashlib.sha256(f"{place} {first} {last} {held}".encode()).hexdigest()[:16]
        yield Unit(file, place, first, last, held, f"part-{name}.parquet", sums)
        first = last


def score_unit(unit: Unit, served: Served, sink: Sink) -> Piece:
    """Read, score and write one unit, or find that it is done."""
    piece = finished_piece(sink, unit.piece)
    if piece is None:
        # All together: keys read from Parquet keep nothing else in memory
        answers = answer_batches(batches_of_unit(unit, served), served, held_bytes=math.inf)
        piece = write_piece(unit.piece, answers, sink, unit.place, served.watch)
    assert piece is not None, "a unit has rows"
    return piece


def batches_of_unit(unit: Unit, served: Served) -> Iterator[pa.RecordBatch]:
    system, path = open_place(unit.file)
    columns = [*KEYS, *columns_read(served)]
    rows = batch_rows(statistics_of(served))
    groups = list(range(unit.first, unit.last))
    with system.open_input_file(path) as source, _opened(source, unit) as file:
        yield from file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False)


def _opened(source: Any, unit: Unit) -> Any:
    """The unit's file: its bytes compared where its sums are known, else its pages with their own checksums."""
    if unit.sums is not None:
        return sound_groups(source, unit.sums, unit.file, unit.first, unit.last)
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True)


def batch_rows(statistics: Statistics) -> int:
    """Rows decoded at a time: whole calls of the engine."""
    row_bytes = 4 * max(1, sum(statistics.widths().values()))
    a_call = rows_at_once(ROWS, pixels_of(statistics.inputs()))
    return max(1, BATCH_BYTES // row_bytes // a_call) * a_call


def schema_of(file: str) -> pa.Schema:
    """The columns of a Parquet file."""
    system, path = open_place(file)
    with system.open_input_file(path) as source:
        return pq.read_schema(source)
