"""Score the rows of a raw table that workers cleaned, where they lie: each worker a part, as a piece. No Spark here."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from medspark.clean.worker.settle import Rows
from medspark.schemas import (
    CASE_ID,
    EXCLUDED,
    EXCLUDED_BY,
    FILE,
    LINE,
    PREDICTION_TIME,
    QUARANTINED_BY,
    REASON,
    RULE,
    SOURCE_FILE,
    SOURCE_LINE,
    SUBJECT_ID,
)
from medspark.score.worker.engine import ROWS
from medspark.score.worker.pieces import Beside, Piece, Sink, finished_piece, no_answers, write_piece
from medspark.score.worker.predict import KEYS, Served, answer_batches, answer_types, columns_read

ROWS_OF_A_BATCH: Final = 10 * ROWS
_TIME: Final = pa.timestamp("us", tz="UTC")
Keys = Mapping[str, str | None]


def score_rows(
    piece: str, read: Callable[[], Rows], keys: Keys, types: pa.Schema, served: Served, sink: Sink
) -> Piece | None:
    """Score a part's cases and write them, with what is to be told of its other rows, or find that it is done.

    Args:
        piece: its name.
        read: gives the rows.
        keys: the record's column of each of KEYS; None where no record has one.
        types: of KEYS.
        served: what answers.
        sink: where to.
    """
    done = finished_piece(sink, piece)
    if done is not None:
        return done
    rows = read()
    cases: Iterator[pa.RecordBatch] = iter(())
    others = [_unread(rows.others, types)] if rows.others is not None else []
    if rows.records is not None:
        records, excluded = _by_criteria(rows.records)
        cases = _cases(records, keys, columns_read(served))
        others += [_excluded(excluded, keys, types)] if excluded.num_rows else []
    rejected = pa.concat_tables(others) if others else None
    beside = Beside(rejected, no_answers(types, answer_types(served)))
    return write_piece(piece, answer_batches(cases, served), sink, watch=served.watch, beside=beside)


def _by_criteria(records: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Records that are cases, and those that a criterion excludes."""
    if EXCLUDED not in records.column_names or records[EXCLUDED].null_count == records.num_rows:
        return records, records.slice(0, 0)
    excluded = pc.is_valid(records[EXCLUDED])
    return records.filter(pc.invert(excluded)), records.filter(excluded)


def _cases(records: pa.Table, keys: Keys, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Records with the columns that scoring reads; null where they have none."""
    there = set(records.column_names)
    read = {**{key: keys[key] for key in KEYS}, **{name: name if name in there else None for name in columns}}
    found = {key: _column(records, name) for key, name in read.items()}
    found[PREDICTION_TIME] = found[PREDICTION_TIME].cast(_TIME)
    yield from pa.table(found).combine_chunks().to_batches(ROWS_OF_A_BATCH)


def _column(rows: pa.Table, name: str | None) -> pa.ChunkedArray | pa.Array:
    return pa.nulls(rows.num_rows, pa.string()) if name is None else rows[name]


# ---------------------------------------------------------------- rows without a case


def _excluded(records: pa.Table, keys: Keys, types: pa.Schema) -> pa.Table:
    reasons = pc.binary_join_element_wise(EXCLUDED_BY, records[EXCLUDED].cast(pa.string()), "")
    places = records[SOURCE_FILE], records[SOURCE_LINE]
    return _rejected(_column(records, keys[CASE_ID]), _column(records, keys[SUBJECT_ID]), *places, reasons, types)


def _unread(rows: pa.Table, types: pa.Schema) -> pa.Table:
    """Rows set aside: by place, no more of the patient."""
    case, subject = (pa.nulls(rows.num_rows, types.field(key).type) for key in (CASE_ID, SUBJECT_ID))
    reasons = pc.binary_join_element_wise(QUARANTINED_BY, rows[RULE].cast(pa.string()), "")
    return _rejected(case, subject, rows[FILE], rows[LINE], reasons, types)


def _rejected(
    case: pa.Array, subject: pa.Array, file: pa.Array, line: pa.Array, reason: pa.Array, types: pa.Schema
) -> pa.Table:
    columns = {CASE_ID: case, SUBJECT_ID: subject, FILE: file, LINE: line, REASON: reason}
    kinds = {CASE_ID: types.field(CASE_ID).type, SUBJECT_ID: types.field(SUBJECT_ID).type, LINE: pa.int64()}
    return pa.table(columns).cast(pa.schema([(name, kinds.get(name, pa.string())) for name in columns]))
