"""Events on their way to the buckets: put aside by the tasks that make them, then gathered bucket by bucket.

No Spark here.
"""

import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from medspark.schemas import (
    AVAILABLE_TIME,
    CODE,
    ENCOUNTER_ID,
    EVENT_OF_ROW,
    ROW,
    ROW_DIGEST_OF_ID,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    UNIT,
    WRITING,
)
from medspark.score.worker.files import put
from medspark.store.worker.buckets import bucket_file, order_of
from medspark.store.worker.places import open_place

Ints = npt.NDArray[np.int64]

BUCKET = "bucket"
ASIDE_TYPES = {"file": "string", "buckets": "binary"}
"""What a task says of the events that it put aside: their file, and the buckets, as `packed`."""
_PARTS: Final = ".parts"
"""How the file beside it is called that says which batch is of which bucket: bucket, batch and events, by bucket."""
HELD_BYTES = 96 * 2**20
"""Of events that a task holds before it puts them aside; sorting by bucket takes as much again."""
_TEXTS = (CODE, TEXT_VALUE, UNIT, ENCOUNTER_ID, WRITING)
_HASHES = (ROW, ROW_DIGEST_OF_ID)
_TIMES = (TIME, AVAILABLE_TIME)


class Part(NamedTuple):
    """Events of one bucket that a task put aside: a batch of a file."""

    file: str
    batch: int
    bucket: int
    events: int


def put_aside(batches: Iterable[pa.RecordBatch], folder: str, task: int) -> Iterator[pa.RecordBatch]:
    """Write a task's events to one file, those of a bucket together, and beside it where they are; say it is there, as
    ASIDE_TYPES. A driver that was told of each bucket of each task would hold more than it can of many events.

    Args:
        batches: events, their bucket in the first column.
        folder: its address.
        task: its number; one that is tried again writes another file.
    """
    name = f"{task:06}-{uuid.uuid4().hex}.arrow"
    system, path = open_place(f"{folder}/{name}")
    stream, writer, parts = None, None, list[Part]()
    for table in _chunks(batches):
        if writer is None:
            stream = system.open_output_stream(path)
            schema = table.schema.remove(0)
            writer = pa.ipc.new_file(stream, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        for bucket, events in _by_bucket(table):
            parts.append(Part(name, len(parts), bucket, events.num_rows))
            writer.write_batch(events)
    if writer is not None and stream is not None:
        writer.close()
        stream.close()
        index = np.array(sorted((part.bucket, part.batch, part.events) for part in parts), np.int64)
        with system.open_output_stream(f"{path}{_PARTS}") as beside:
            beside.write(index.tobytes())
        yield pa.RecordBatch.from_arrays([pa.array([name]), pa.array([packed(index[:, 0])])], names=list(ASIDE_TYPES))


def packed(buckets: Ints) -> bytes:
    """Which buckets, a bit each."""
    flags = np.zeros(int(buckets.max(initial=-1)) + 1, np.bool_)
    flags[buckets] = True
    return np.packbits(flags).tobytes()


def unpacked(packs: Iterable[bytes]) -> list[int]:
    """The buckets that are in any of them, sorted.

    >>> unpacked([packed(np.array([9, 1])), packed(np.array([300, 1])), packed(np.array([], np.int64))])
    [1, 9, 300]
    """
    found: set[int] = set()
    for pack in packs:
        found.update(np.flatnonzero(np.unpackbits(np.frombuffer(pack, np.uint8))).tolist())
    return sorted(found)


def parts_of(files: Iterable[str], aside: str, bucket: int) -> list[Part]:
    """Where the events of a bucket are in the files that tasks put aside."""
    parts = []
    for name in files:
        system, path = open_place(f"{aside}/{name}{_PARTS}")
        with system.open_input_file(path) as source:
            index = np.frombuffer(source.read(), np.int64).reshape(-1, 3)
        first, behind = np.searchsorted(index[:, 0], [bucket, bucket + 1])
        parts += [Part(name, int(batch), bucket, int(events)) for _, batch, events in index[first:behind]]
    return parts


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= HELD_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if any(batch.num_rows for batch in held):
        yield pa.Table.from_batches(held)


def _by_bucket(table: pa.Table) -> Iterator[tuple[int, pa.RecordBatch]]:
    bucket = table.column(0).to_numpy().astype(np.uint16)
    order = np.argsort(bucket, kind="stable")
    (sorted_rows,) = table.remove_column(0).take(pa.array(order)).combine_chunks().to_batches()
    found, starts = np.unique(bucket[order], return_index=True)
    for at, start, stop in zip(found, starts, [*starts[1:], len(bucket)], strict=True):
        yield int(at), sorted_rows.slice(start, stop - start)


def events_aside(parts: Iterable[Part], aside: str) -> pa.Table:
    """What tasks put aside, in the order of the parts."""
    by_file: dict[str, list[Part]] = {}
    for part in parts:
        by_file.setdefault(part.file, []).append(part)
    tables = []
    for name, found in by_file.items():
        system, path = open_place(f"{aside}/{name}")
        with system.open_input_file(path) as source, pa.ipc.open_file(source) as reader:
            tables.append(pa.Table.from_batches([reader.get_batch(part.batch) for part in found]))
    return pa.concat_tables(tables)


def write_bucket(events: pa.Table, folder: str, bucket: int, run: int) -> int:
    """Write a bucket's file of a run; how many events it has."""
    put(encoded(events.take(pa.array(order_of(events)))), f"{folder}/{bucket_file(bucket, run)}")
    return int(events.num_rows)


def carry(pair: tuple[str, str]) -> None:
    """Take a file to another place of the same file system, where it stays as it is: by a link on this machine's."""
    (system, path), (_, target) = map(open_place, pair)
    if isinstance(system, fs.LocalFileSystem):
        try:
            os.link(path, target)
            return
        except OSError:  # no such links there
            Path(target).unlink(missing_ok=True)
    with system.open_input_file(path) as source:
        put(source.read_buffer(), pair[1])


def encoded(events: pa.Table) -> pa.Buffer:
    """Parquet of sorted events."""
    buffer = pa.BufferOutputStream()
    names = events.schema.names
    numbers = [name for name in names if name in _TIMES or pa.types.is_int64(events.schema.field(name).type)]
    plain = [name for name in numbers if name not in _HASHES]
    writer = pq.ParquetWriter(
        buffer,
        events.schema,
        store_schema=False,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=[name for name in (SUBJECT_ID, *_TEXTS, EVENT_OF_ROW) if name in names and name not in plain],
        column_encoding=dict.fromkeys(plain, "DELTA_BINARY_PACKED"),
    )
    writer.write_table(events)
    writer.close()
    return buffer.getvalue()
