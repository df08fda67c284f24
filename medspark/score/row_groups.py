"""Score tensors without Spark's reader: each task reads row groups of Parquet and writes a piece of the scores.

A unit of work is some neighbouring row groups of one file. It is cut by size alone and its piece is named after what
it reads, so whichever cluster comes back to a run that was stopped finds there what is finished, and a task that ran
twice wrote the same file twice. A piece appears whole or not at all: it is written aside, then renamed. No Spark here.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from medspark.columns import (
    BUNDLE_ID,
    CASE_ID,
    FILE,
    LINE,
    PREDICTION_TIME,
    PROBABILITY,
    REASON,
    REJECTED_COLUMNS,
    RISK_BAND,
    RUN_ID,
    SCORE_COLUMNS,
    SCORED_AT,
    SUBJECT_ID,
)
from medspark.encode.statistics import Statistics
from medspark.score.engine import ROWS, loads
from medspark.score.predict import KEYS, Scored, Served, columns_read, load_engine, score_batch, statistics_of

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
_REPEATED = (RUN_ID, BUNDLE_ID, RISK_BAND, SCORED_AT, PREDICTION_TIME)
"""Columns of which many rows have the same."""
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
    finished_before: bool
    """Whether the piece was found finished and nothing was scored."""
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
    scores, rejected = _score(unit, served, sink)
    reasons = Counter(rejected[REASON].to_pylist())
    bands = {row["values"]: row["counts"] for row in pc.value_counts(scores[RISK_BAND].combine_chunks()).to_pylist()}
    if rejected.num_rows:
        _write(rejected, f"{sink.rejected}/{unit.piece}", {})
    counts = {"bands": bands, "reasons": reasons}
    _write(scores, f"{sink.scores}/{unit.piece}", {_PIECE: json.dumps(counts).encode()})  # last: it says "finished"
    return Piece(bands, dict(reasons), finished_before=False, loads=loads() - before)


def _finished(system: fs.FileSystem, path: str) -> Piece | None:
    if system.get_file_info(path).type != fs.FileType.File:
        return None
    with system.open_input_file(path) as source:
        counts = json.loads(pq.read_metadata(source).metadata[_PIECE])
    return Piece(counts["bands"], counts["reasons"], finished_before=True, loads=0)


def _score(unit: Unit, served: Served, sink: Sink) -> tuple[pa.Table, pa.Table]:
    engine = load_engine(served)
    system, path = open_place(unit.file)
    columns = [*KEYS, *columns_read(served)]
    scored, unscored = [], []
    with system.open_input_file(path) as source, pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER) as file:
        schema = file.schema_arrow
        groups = list(range(unit.first, unit.last))
        rows = batch_rows(statistics_of(served))
        for batch in file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False):
            found = score_batch(batch, served, engine)
            scored.append(_score_rows(batch, found, sink))
            if found.reason.null_count < len(found.reason):
                unscored.append(_rejected_rows(batch, found, unit, sink))
    keys = {key: schema.field(key).type for key in KEYS}
    return _table(scored, score_schema(keys)), _table(unscored, rejected_schema(keys))


def batch_rows(statistics: Statistics) -> int:
    """Rows decoded at a time: whole calls of the engine."""
    row_bytes = 4 * max(1, sum(statistics.widths().values()))
    return max(1, BATCH_BYTES // row_bytes // ROWS) * ROWS


def score_schema(keys: dict[str, pa.DataType]) -> pa.Schema:
    """The columns of `scores`, the keys typed as the tensors have them."""
    names = pa.dictionary(pa.int8(), pa.string())
    types = {**keys, RUN_ID: pa.string(), BUNDLE_ID: pa.string(), PREDICTION_TIME: _TIMESTAMP}
    types |= {PROBABILITY: pa.float64(), RISK_BAND: names, SCORED_AT: _TIMESTAMP}
    return pa.schema([(name, types[name]) for name in SCORE_COLUMNS])


def rejected_schema(keys: dict[str, pa.DataType]) -> pa.Schema:
    """The columns of `rejected`, the keys typed as the tensors have them."""
    types = {**keys, RUN_ID: pa.string(), FILE: pa.string(), LINE: pa.int64(), REASON: pa.string()}
    return pa.schema([(name, types[name]) for name in REJECTED_COLUMNS])


def _score_rows(batch: pa.RecordBatch, found: Scored, sink: Sink) -> pa.Table:
    rows = batch.num_rows
    columns = {
        RUN_ID: pa.repeat(sink.run_id, rows),
        BUNDLE_ID: pa.repeat(sink.bundle_id, rows),
        CASE_ID: batch.column(CASE_ID),
        SUBJECT_ID: batch.column(SUBJECT_ID),
        PREDICTION_TIME: batch.column(PREDICTION_TIME).cast(_TIMESTAMP),
        PROBABILITY: pa.array(found.probability),
        RISK_BAND: found.band,
        SCORED_AT: pa.repeat(pa.scalar(sink.scored_at, pa.int64()).cast(_TIMESTAMP), rows),
    }
    table = pa.table({name: columns[name] for name in SCORE_COLUMNS})
    return table if found.reason.null_count == rows else table.filter(found.reason.is_null())


def _rejected_rows(batch: pa.RecordBatch, found: Scored, unit: Unit, sink: Sink) -> pa.Table:
    rows = batch.num_rows
    columns = {
        RUN_ID: pa.repeat(sink.run_id, rows),
        CASE_ID: batch.column(CASE_ID),
        SUBJECT_ID: batch.column(SUBJECT_ID),
        FILE: pa.repeat(unit.place, rows),
        LINE: pa.nulls(rows, pa.int64()),
        REASON: found.reason,
    }
    return pa.table({name: columns[name] for name in REJECTED_COLUMNS}).filter(found.reason.is_valid())


def _table(parts: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(parts).cast(schema) if parts else schema.empty_table()


def _write(table: pa.Table, address: str, facts: dict[bytes, bytes]) -> None:
    """Write Parquet whole: into memory, then to a name that no reader looks at, then renamed."""
    buffer = pa.BufferOutputStream()
    repeated = [name for name in _REPEATED if name in table.column_names]
    options = {"compression": "zstd", "use_dictionary": repeated, "store_schema": False}
    with pq.ParquetWriter(buffer, table.schema, **options) as writer:
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


def write_empty(tensors: str, sink: Sink, scores: bool) -> None:
    """Files without rows, so that readers find the columns of `rejected`, and of `scores` where nothing was scored."""
    system, path = open_place(tensors)
    with system.open_input_file(path) as source:
        schema = pq.read_schema(source)
    keys = {key: schema.field(key).type for key in KEYS}
    _write(rejected_schema(keys).empty_table(), f"{sink.rejected}/{NO_ROWS}", {})
    if scores:
        _write(score_schema(keys).empty_table(), f"{sink.scores}/{NO_ROWS}", {})
