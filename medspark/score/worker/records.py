"""Score the records that workers wrote of a raw table: each reads a file of them as cases, and writes a piece.

No Spark here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from medspark.schemas import PREDICTION_TIME
from medspark.score.worker.pieces import Piece, Sink, write_piece
from medspark.score.worker.predict import KEYS, Served, answer_batches, columns_read

ROWS_OF_A_BATCH = 10_000
"""As Spark hands them over."""
FILE_NAME, ROW = "_medspark_file", "_medspark_row"
"""Where a record is that is no case: the name of its file, and its place in it."""
_TIME = pa.timestamp("us", tz="UTC")


class RecordsFile(NamedTuple):
    """A file of records, and the name of its piece."""

    path: str
    piece: str


def score_records(
    file: RecordsFile, keys: Mapping[str, str | None], excluded: str | None, served: Served, sink: Sink
) -> Piece | None:
    """Score a file's cases and write them; None where it has none.

    Args:
        file: in Parquet.
        keys: the record's column of each of KEYS; None where no record has one.
        excluded: a folder of the records that are no cases, a folder by FILE_NAME each with their ROW; None where all
            records are cases.
        served: what answers.
        sink: where to.
    """
    cases = _cases(file, keys, _rows_of(file, excluded), columns_read(served))
    return write_piece(file.piece, answer_batches(cases, served), sink, watch=served.watch)


def _rows_of(file: RecordsFile, excluded: str | None) -> npt.NDArray[np.int64]:
    folder = Path(excluded or "", f"{FILE_NAME}={Path(file.path).name}")
    found = [pq.read_table(part, columns=[ROW])[ROW].to_numpy() for part in folder.glob("*.parquet")]
    return np.concatenate([np.zeros(0, np.int64), *found])


def _cases(
    file: RecordsFile, keys: Mapping[str, str | None], excluded: npt.NDArray[np.int64], columns: list[str]
) -> Iterator[pa.RecordBatch]:
    """The records of a file that are cases, with the columns that scoring reads; null where records have none."""
    with pq.ParquetFile(file.path, page_checksum_verification=True) as opened:
        there = set(opened.schema_arrow.names)
        read = {**{key: keys[key] for key in KEYS}, **{name: name if name in there else None for name in columns}}
        names = list(dict.fromkeys(name for name in read.values() if name is not None))
        behind = 0
        for batch in opened.iter_batches(ROWS_OF_A_BATCH, columns=names, use_threads=False):
            stay = ~np.isin(np.arange(behind, behind + batch.num_rows), excluded)
            behind += batch.num_rows
            rows = batch if stay.all() else batch.filter(pa.array(stay))
            found = {key: _column(rows, name) for key, name in read.items()}
            found[PREDICTION_TIME] = found[PREDICTION_TIME].cast(_TIME)
            yield pa.RecordBatch.from_arrays(list(found.values()), names=list(found))


def _column(rows: pa.RecordBatch, name: str | None) -> pa.Array:
    return pa.nulls(rows.num_rows, pa.string()) if name is None else rows.column(name)
