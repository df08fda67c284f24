"""Pieces of `scores` and `rejected`: the Parquet files that one task of a worker writes. No Spark here.

A piece appears whole or not at all: it is written aside, then renamed. Its footer says what it counts.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from isal.isal_zlib import crc32
from pyarrow import fs

from medspark.encode.worker.arrow import number_array, text_array, written_out
from medspark.monitor.worker.observe import take
from medspark.schemas import (
    BUNDLE_ID,
    CONFORMAL_BAND,
    DIRECTION,
    FEATURE,
    FILE,
    INTERVAL_HIGH,
    INTERVAL_LOW,
    ITEM,
    LINE,
    METHOD,
    MISSING_SHARE,
    PREDICTION_TIME,
    RANK,
    REASON,
    REJECTED_COLUMNS,
    RISK_BAND,
    RUN_ID,
    SCORE_COLUMNS,
    SCORED_AT,
    STRANGENESS,
)
from medspark.score.worker.engine import loads
from medspark.score.worker.files import put
from medspark.score.worker.predict import ANSWERS, KEYS, NO_BAND
from medspark.store.worker.places import open_place

NO_ROWS = "part-none.parquet"
"""The file without rows."""
_TIMESTAMP = pa.timestamp("us", tz="UTC")
_COUNTS = b"medspark.counts"
_REPEATED = (
    *(RUN_ID, BUNDLE_ID, RISK_BAND, FILE, REASON),
    *(STRANGENESS, INTERVAL_LOW, INTERVAL_HIGH, CONFORMAL_BAND, MISSING_SHARE),
    *(RANK, FEATURE, ITEM, DIRECTION, METHOD),
)
"""What many rows have in common: each is written once, and a number a row."""


class Sink(NamedTuple):
    """Where pieces go, and what all their rows have in common."""

    scores: str
    rejected: str
    run_id: str
    bundle_id: str
    scored_at: int
    """Microseconds since 1970."""


class Beside(NamedTuple):
    """What a task tells of rows that have no answer."""

    rejected: pa.Table | None
    """REJECTED_COLUMNS but for RUN_ID; None where there are none."""
    nothing: pa.Table
    """What `answers_of` gives for no row."""


class Piece(NamedTuple):
    """What became of one task's rows."""

    name: str
    """Of its file in `scores`, and of the one in `rejected` if a row went there."""
    bands: dict[str, int]
    """Scores by risk band."""
    reasons: dict[str, int]
    """Rows without a score, by reason."""
    loads: int
    """Networks that the worker loaded for it."""
    watched: str | None = None
    """What was counted of its cases, as `packed` writes it."""


def finished_piece(sink: Sink, name: str) -> Piece | None:
    """What a piece says that was finished before; None where there is none as it was written, or Spark wrote it."""
    note, scores = content_of(f"{sink.scores}/{sums_name(name)}"), content_of(f"{sink.scores}/{name}")
    if note is None or scores is None:
        return None
    if bytes(note) != _sums_of(scores, content_of(f"{sink.rejected}/{name}")):
        return None
    counts = json.loads(pq.read_metadata(pa.BufferReader(scores)).metadata[_COUNTS])
    return Piece(name, counts["bands"], counts["reasons"], 0, counts.get("watched"))


def sums_name(name: str) -> str:
    """The file beside a piece that has its checksum, and that of the rows rejected with it; no reader looks at it."""
    return f"_{name}.sums"


def _sums_of(scores: pa.Buffer, rejected: pa.Buffer | None) -> bytes:
    return json.dumps([crc32(scores), None if rejected is None else crc32(rejected)]).encode()


def content_of(address: str) -> pa.Buffer | None:
    system, path = open_place(address)
    if system.get_file_info(path).type != fs.FileType.File:
        return None
    with system.open_input_file(path) as source:
        return source.read_buffer()


def write_piece(
    name: str,
    answers: Iterable[pa.Table],
    sink: Sink,
    file: str | None = None,
    watch: str = "",
    beside: Beside | None = None,
) -> Piece | None:
    """Write what `answers_of` gives for a task's rows, and say what it counts; None, and no file, where it has none.

    Args:
        name: of the file. A task that runs again has the same and takes the place of what it wrote before.
        answers: tables, none of them without rows; they are held only until they are encoded.
        sink: where to.
        file: where the rows came from, for those that are rejected.
        watch: the plan by which the rows are counted while they are answered.
        beside: what else the task's rows came to; there is a file then also where no row has an answer.
    """
    before = loads()
    take(watch)  # what another task of this process left when it broke off
    bands: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unscored: list[pa.Table] = []

    def scored() -> Iterator[pa.Table]:
        for table in answers:
            rows = _score_rows(table, sink)
            bands.update({band or NO_BAND: count for band, count in _counted(rows[RISK_BAND]).items()})
            if rows.num_rows < table.num_rows:
                unscored.append(_rejected_rows(table, sink, file))
                reasons.update(unscored[-1][REASON].to_pylist())
            yield rows

    def counted() -> dict[bytes, bytes]:
        counts["watched"] = take(watch)
        return {_COUNTS: json.dumps({"bands": bands, "reasons": reasons, **counts}).encode()}

    counts: dict[str, str | None] = {}
    if beside is not None and beside.rejected is not None:
        unscored.append(_with_run(beside.rejected, sink))
        reasons.update(_counted(beside.rejected[REASON]))
    written = encoded(scored(), counted)
    if written is None and beside is not None:
        written = encoded([_score_rows(beside.nothing, sink)], counted)
    if written is None:
        return None
    rejected = encoded(map(written_out, unscored))
    if rejected is not None:
        put(rejected, f"{sink.rejected}/{name}")
    put(pa.py_buffer(_sums_of(written, rejected)), f"{sink.scores}/{sums_name(name)}")
    put(written, f"{sink.scores}/{name}")  # last: it says "finished"
    return Piece(name, dict(bands), dict(reasons), loads() - before, counts["watched"])


def _counted(texts: pa.ChunkedArray) -> dict[Any, int]:
    """How many rows have each text; None where they have none."""
    found = pc.value_counts(texts.combine_chunks()).to_pylist()
    return {count["values"]: count["counts"] for count in found}


def _score_rows(answers: pa.Table, sink: Sink) -> pa.Table:
    """The rows of `scores`, the keys typed as they came."""
    scored = _where(answers, pc.is_null)
    rows = scored.num_rows
    columns = {
        **{name: scored[name] for name in (*KEYS, *ANSWERS)},
        RUN_ID: all_alike(sink.run_id, rows),
        BUNDLE_ID: all_alike(sink.bundle_id, rows),
        PREDICTION_TIME: scored[PREDICTION_TIME].cast(_TIMESTAMP),
        SCORED_AT: number_array(np.full(rows, sink.scored_at, np.int64)).cast(_TIMESTAMP),
    }
    each = {name: scored[name] for name in answers.schema.names if name not in columns}
    return pa.table({name: columns[name] for name in SCORE_COLUMNS} | each)


def _rejected_rows(answers: pa.Table, sink: Sink, file: str | None) -> pa.Table:
    """The rows of `rejected`, the keys typed as they came."""
    unscored = _where(answers, pc.is_valid)
    rows = unscored.num_rows
    columns = {
        **{name: unscored[name] for name in (*KEYS, *ANSWERS)},
        RUN_ID: all_alike(sink.run_id, rows),
        FILE: all_alike(file, rows),
        LINE: pa.nulls(rows, pa.int64()),
    }
    return pa.table({name: columns[name] for name in REJECTED_COLUMNS})


def _with_run(rejected: pa.Table, sink: Sink) -> pa.Table:
    rows = rejected.append_column(RUN_ID, all_alike(sink.run_id, rejected.num_rows))
    return rows.select(REJECTED_COLUMNS)


def _where(answers: pa.Table, has_reason: Callable[[Any], Any]) -> pa.Table:
    """The rows that have no reason, or those that have one; mostly all or none, which need no copy."""
    chosen = has_reason(answers[REASON])
    return answers if pc.all(chosen).as_py() else answers.filter(chosen)


def all_alike(text: str | None, rows: int) -> pa.DictionaryArray:
    place = number_array(np.zeros(rows, np.int8)) if text is not None else pa.nulls(rows, pa.int8())
    return pa.DictionaryArray.from_arrays(place, text_array([text or ""]))


def encoded(tables: Iterable[pa.Table], facts: Callable[[], dict[bytes, bytes]] = dict) -> pa.Buffer | None:
    """Parquet of some tables of one schema, with facts that are known at the end; None where there are none."""
    buffer, writer = pa.BufferOutputStream(), None
    for table in tables:
        if writer is None:
            writer = pq.ParquetWriter(buffer, table.schema, store_schema=False, **_encodings(table.schema))
        writer.write_table(table)
    if writer is None:
        return None
    writer.add_key_value_metadata(facts())
    writer.close()
    return buffer.getvalue()


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """How a piece is encoded: half the time and less space than by the writer's defaults (benchmarks/scoring.py)."""
    numbers = [field.name for field in schema if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)]
    return {
        "compression": "snappy",
        "write_page_checksum": True,
        "use_dictionary": [name for name in _REPEATED if name in schema.names],
        "column_encoding": dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        "write_statistics": [name for name in KEYS if name in schema.names],
    }


def no_answers(keys: pa.Schema, answers: Mapping[str, pa.DataType]) -> pa.Table:
    """What `answers_of` gives for no row.

    Args:
        keys: has the types of KEYS.
        answers: of `answer_types`.
    """
    types = {**answers, RISK_BAND: pa.dictionary(pa.int8(), pa.string())}
    return pa.schema([*(keys.field(key) for key in KEYS), *types.items()]).empty_table()


def write_empty(keys: pa.Schema, sink: Sink, scores: bool, answers: Mapping[str, pa.DataType]) -> None:
    """Files without rows, so that readers find the columns of `rejected`, and of `scores` where nothing was scored.

    Args:
        keys: has the types of KEYS.
        sink: where to.
        scores: whether nothing was scored.
        answers: of `answer_types`.
    """
    none = no_answers(keys, answers)
    put(encoded([_rejected_rows(none, sink, None)]), f"{sink.rejected}/{NO_ROWS}")
    if scores:
        put(encoded([_score_rows(none, sink)]), f"{sink.scores}/{NO_ROWS}")
