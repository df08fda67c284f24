"""Pieces of `explanations`: the Parquet files that a worker's task writes, each whole or not at all. No Spark here."""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from isal.isal_zlib import crc32

from medspark.schemas import BUNDLE_ID, EXPLANATION_COLUMNS, PREDICTION_TIME, RUN_ID
from medspark.score.worker.explanations.explain import NO_EXPLANATIONS, Explained
from medspark.score.worker.files import put
from medspark.score.worker.pieces import NO_ROWS, all_alike, content_of, encoded, sums_name
from medspark.score.worker.predict import KEYS

_COUNTS = b"medspark.counts"
_TIMESTAMP = pa.timestamp("us", tz="UTC")


class ExplainSink(NamedTuple):
    """Where explanations go, and what all their rows have in common."""

    folder: str
    run_id: str
    bundle_id: str


class ExplainedPiece(NamedTuple):
    """What became of one task's rows."""

    name: str
    cases: int
    """Explained."""
    unsound: int
    """Whose contributions do not add up to their logit."""


def finished_explanations(sink: ExplainSink, name: str) -> ExplainedPiece | None:
    """What a piece says that was finished before; None where there is none as it was written."""
    note, rows = content_of(f"{sink.folder}/{sums_name(name)}"), content_of(f"{sink.folder}/{name}")
    if note is None or rows is None or bytes(note) != _sums_of(rows):
        return None
    return ExplainedPiece(name, *json.loads(pq.read_metadata(pa.BufferReader(rows)).metadata[_COUNTS]))


def _sums_of(rows: pa.Buffer) -> bytes:
    return json.dumps([crc32(rows)]).encode()


def write_explanations(name: str, found: Iterable[Explained], sink: ExplainSink) -> ExplainedPiece | None:
    """Write explanations, and say what they count; None, and no file, where there are none."""
    counts = [0, 0]

    def tables() -> Iterator[pa.Table]:
        for one in found:
            counts[0] += one.cases
            counts[1] += one.unsound
            yield explanation_rows(one.table, sink)

    rows = encoded(tables(), lambda: {_COUNTS: json.dumps(counts).encode()})
    if rows is None:
        return None
    put(pa.py_buffer(_sums_of(rows)), f"{sink.folder}/{sums_name(name)}")
    put(rows, f"{sink.folder}/{name}")  # last: it says "finished"
    return ExplainedPiece(name, *counts)


def explanation_rows(table: pa.Table, sink: ExplainSink) -> pa.Table:
    """The rows of `explanations`, the keys typed as they came."""
    columns = {name: table[name] for name in table.column_names} | {
        RUN_ID: all_alike(sink.run_id, table.num_rows),
        BUNDLE_ID: all_alike(sink.bundle_id, table.num_rows),
        PREDICTION_TIME: table[PREDICTION_TIME].cast(_TIMESTAMP),
    }
    return pa.table({name: columns[name] for name in EXPLANATION_COLUMNS})


def write_no_explanations(keys: pa.Schema, sink: ExplainSink) -> None:
    """A file without rows, so that readers find the columns.

    Args:
        keys: has the types of KEYS.
        sink: where to.
    """
    none = pa.schema([*(keys.field(key) for key in KEYS), *NO_EXPLANATIONS]).empty_table()
    put(encoded([explanation_rows(none, sink)]), f"{sink.folder}/{NO_ROWS}")
