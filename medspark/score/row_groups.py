"""Score tensors without Spark's reader: each task reads row groups of Parquet and writes a piece of the scores.

A unit of work is some neighbouring row groups of one file. It is cut by size alone and its piece is named after what
it reads, so whichever cluster comes back to a run that was stopped finds there what is finished, and a task that ran
twice wrote the same file twice. A piece appears whole or not at all: it is written aside, then renamed. No Spark here.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from medspark.columns import (
    BUNDLE_ID,
    FILE,
    LINE,
    PREDICTION_TIME,
    REASON,
    REJECTED_COLUMNS,
    RISK_BAND,
    RUN_ID,
    SCORE_COLUMNS,
    SCORED_AT,
)
from medspark.encode.statistics import Statistics
from medspark.score.engine import ROWS, loads
from medspark.score.predict import ANSWERS, KEYS, Served, columns_read, load_engine, score_batch, statistics_of

UNIT_BYTES = 32 * 2**20
"""Encoded numbers of one unit of work, more only where a row group is larger."""
BATCH_BYTES = 2 * 2**20
"""Numbers decoded at a time: with a few copies of them, what a worker holds beside its network."""
_READERS = 16
_BUFFER = 2**20
NO_ROWS = "part-none.parquet"
"""The file without rows."""
_TIMESTAMP = pa.timestamp("us", tz="UTC")
_PIECE = b"medspark.piece"
_REPEATED = (RUN_ID, BUNDLE_ID, RISK_BAND, FILE, REASON)
"""Texts that many rows have in common: each is written once, and a number a row."""
_SCHEMES = {"s3a": "s3", "s3n": "s3"}
"""Hadoop's names of file systems that Arrow names otherwise."""


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


class Sink(NamedTuple):
    """Where pieces go, and what all their rows have in common."""

    scores: str
    rejected: str
    run_id: str
    bundle_id: str
    scored_at: int
    """Microseconds since 1970."""


class Piece(NamedTuple):
    """What became of one unit's rows."""

    bands: dict[str, int]
    """Scores by risk band."""
    reasons: dict[str, int]
    """Rows without a score, by reason."""
    loads: int
    """Networks that the worker loaded for it."""

    @property
    def rows(self) -> int:
        return sum(self.bands.values()) + sum(self.reasons.values())


def open_place(address: str) -> tuple[fs.FileSystem, str]:
    """Arrow's file system for an address as Hadoop writes it (`file:/a`, `hdfs://h:p/a`, `s3a://b/a`), and the path.

    Raises:
        OSError, ValueError: there is no client for it here.
    """
    scheme, colon, rest = address.partition(":")
    if not colon or scheme == "file":
        return fs.LocalFileSystem(), "/" + (rest if colon else address).lstrip("/")
    system, path = fs.FileSystem.from_uri(f"{_SCHEMES.get(scheme, scheme)}:{rest}")
    return system, path


def out_of_reach(addresses: list[str]) -> str | None:
    """What this machine cannot reach by Arrow's own file systems, and why; None where all is well."""
    for address in addresses:
        try:
            system, path = open_place(address)
            missing = system.get_file_info(path).type == fs.FileType.NotFound
        except (OSError, ValueError, ImportError) as error:
            return f"there is no client for {address.split(':')[0]}: ({type(error).__name__})"
        if missing:
            return f"{address} is not there"
    return None


def plan_units(files: dict[str, str], served: Served) -> list[Unit]:
    """All units of a table of tensors, in the order of its files.

    Args:
        files: the address of each Parquet file, with its path below the table.
        served: what the network reads.
    """
    statistics = statistics_of(served)
    groups = max(1, UNIT_BYTES // (4 * max(1, sum(statistics.widths().values()))))
    with ThreadPoolExecutor(_READERS) as pool:
        footers = pool.map(_rows_of_groups, files)
    return [
        unit
        for (file, place), rows in zip(files.items(), footers, strict=True)
        for unit in _cut(file, place, rows, groups)
    ]


def _rows_of_groups(file: str) -> list[int]:
    system, path = open_place(file)
    with system.open_input_file(path) as source:
        footer = pq.read_metadata(source)
    return [footer.row_group(at).num_rows for at in range(footer.num_row_groups)]


def _cut(file: str, place: str, rows: list[int], most: int) -> Iterator[Unit]:
    first = 0
    while first < len(rows):
        last, held = first + 1, rows[first]
        while last < len(rows) and held + rows[last] <= most:
            held += rows[last]
            last += 1
        name = hashlib.sha256(f"{place} {first} {last} {held}".encode()).hexdigest()[:16]
        yield Unit(file, place, first, last, held, f"part-{name}.parquet")
        first = last


def score_unit(unit: Unit, served: Served, sink: Sink) -> Piece:
    """Read, score and write one unit, or find that it is done."""
    system, folder = open_place(sink.scores)
    finished = _finished(system, f"{folder}/{unit.piece}")
    if finished is not None:
        return finished
    before = loads()
    answers = _answers(unit, served)
    scores, rejected = _score_rows(answers, sink), _rejected_rows(answers, unit, sink)
    reasons = Counter(rejected[REASON].to_pylist())
    bands = {row["values"]: row["counts"] for row in pc.value_counts(scores[RISK_BAND].combine_chunks()).to_pylist()}
    if rejected.num_rows:
        _write(rejected, f"{sink.rejected}/{unit.piece}", {})
    counts = {"bands": bands, "reasons": reasons}
    _write(scores, f"{sink.scores}/{unit.piece}", {_PIECE: json.dumps(counts).encode()})  # last: it says "finished"
    return Piece(bands, dict(reasons), loads() - before)


def _finished(system: fs.FileSystem, path: str) -> Piece | None:
    if system.get_file_info(path).type != fs.FileType.File:
        return None
    with system.open_input_file(path) as source:
        counts = json.loads(pq.read_metadata(source).metadata[_PIECE])
    return Piece(counts["bands"], counts["reasons"], loads=0)


def _answers(unit: Unit, served: Served) -> pa.Table:
    """The keys and answers of a unit's rows, as `score_batch` gives them."""
    engine = load_engine(served)
    system, path = open_place(unit.file)
    columns = [*KEYS, *columns_read(served)]
    with system.open_input_file(path) as source, pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER) as file:
        groups = list(range(unit.first, unit.last))
        rows = batch_rows(statistics_of(served))
        batches = file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False)
        found = [score_batch(batch, served, engine) for batch in batches]
        return pa.Table.from_batches(found) if found else _no_answers(file.schema_arrow)


def _no_answers(tensors: pa.Schema) -> pa.Table:
    """What `score_batch` gives for no rows of tensors."""
    band = pa.dictionary(pa.int8(), pa.string())
    answers = zip(ANSWERS, (pa.float64(), pa.float64(), band, pa.string()), strict=True)
    return pa.schema([*(tensors.field(key) for key in KEYS), *answers]).empty_table()


def batch_rows(statistics: Statistics) -> int:
    """Rows decoded at a time: whole calls of the engine."""
    row_bytes = 4 * max(1, sum(statistics.widths().values()))
    return max(1, BATCH_BYTES // row_bytes // ROWS) * ROWS


def _score_rows(answers: pa.Table, sink: Sink) -> pa.Table:
    """The rows of `scores`, the keys typed as the tensors have them."""
    scored = _where(answers, pc.is_null)
    rows = scored.num_rows
    columns = {
        **{name: scored[name] for name in (*KEYS, *ANSWERS)},
        RUN_ID: _all_alike(sink.run_id, rows),
        BUNDLE_ID: _all_alike(sink.bundle_id, rows),
        PREDICTION_TIME: scored[PREDICTION_TIME].cast(_TIMESTAMP),
        SCORED_AT: pa.repeat(pa.scalar(sink.scored_at, pa.int64()).cast(_TIMESTAMP), rows),
    }
    return pa.table({name: columns[name] for name in SCORE_COLUMNS})


def _rejected_rows(answers: pa.Table, unit: Unit, sink: Sink) -> pa.Table:
    """The rows of `rejected`, the keys typed as the tensors have them."""
    unscored = _where(answers, pc.is_valid)
    rows = unscored.num_rows
    columns = {
        **{name: unscored[name] for name in (*KEYS, *ANSWERS)},
        RUN_ID: _all_alike(sink.run_id, rows),
        FILE: _all_alike(unit.place, rows),
        LINE: pa.nulls(rows, pa.int64()),
    }
    return pa.table({name: columns[name] for name in REJECTED_COLUMNS})


def _where(answers: pa.Table, has_reason: Callable[[Any], Any]) -> pa.Table:
    """The rows that have no reason, or those that have one; mostly all or none, which need no copy."""
    chosen = has_reason(answers[REASON])
    return answers if pc.all(chosen).as_py() else answers.filter(chosen)


def _all_alike(text: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([text]))


def _write(table: pa.Table, address: str, facts: dict[bytes, bytes]) -> None:
    """Write Parquet whole: into memory, then to a name that no reader looks at, then renamed."""
    buffer = pa.BufferOutputStream()
    with pq.ParquetWriter(buffer, table.schema, store_schema=False, **_encodings(table.schema)) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(facts)
    system, path = open_place(address)
    folder, _, name = path.rpartition("/")
    if isinstance(system, fs.S3FileSystem | fs.GcsFileSystem):  # an object appears when it is whole
        aside = path
    else:
        system.create_dir(folder)
        aside = f"{folder}/_{name}.{uuid.uuid4().hex[:8]}"
    with system.open_output_stream(aside) as stream:
        stream.write(buffer.getvalue())
    if aside != path:
        system.move(aside, path)


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """How a piece is encoded: half the time and less space than by the writer's defaults (benchmarks/scoring.py)."""
    numbers = [field.name for field in schema if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)]
    return {
        "compression": "snappy",
        "use_dictionary": [name for name in _REPEATED if name in schema.names],
        "column_encoding": dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        "write_statistics": [name for name in KEYS if name in schema.names],
    }


def write_empty(tensors: str, sink: Sink, scores: bool) -> None:
    """Files without rows, so that readers find the columns of `rejected`, and of `scores` where nothing was scored."""
    system, path = open_place(tensors)
    with system.open_input_file(path) as source:
        schema = pq.read_schema(source)
    none = _no_answers(schema)
    nowhere = Unit(tensors, "", 0, 0, 0, NO_ROWS)
    _write(_rejected_rows(none, nowhere, sink), f"{sink.rejected}/{NO_ROWS}", {})
    if scores:
        _write(_score_rows(none, sink), f"{sink.scores}/{NO_ROWS}", {})
