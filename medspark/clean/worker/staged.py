"""Where workers put rows down between the steps of cleaning: a folder, in it one for each kind, a file a span.

What workers alone read again lies there as Arrow has it in memory; what Spark reads, in Parquet, of which a file has
one row group, so that a task of Spark's has all of a span, in its order. No Spark here.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

Places = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

ROWS: Final = "rows"
"""Rows that no rule of theirs sets aside, with their typed values; for workers."""
ASIDE: Final = "aside"
"""Rows that a rule of theirs sets aside, with their text; for workers."""
SQL: Final = "sql"
"""Of all these what checks and derived columns read."""
EVALUATED: Final = "evaluated"
"""What Spark computed of them: AT, AS_ASIDE, BROKEN, FAILED, and derived columns as d0, d1; the files are Spark's."""
DOUBT: Final = "doubt"
"""Lines that only Spark can read."""
COMPARED: Final = "compared"
"""Of these, what says which rows are the same; the files are Spark's."""
ALONE: Final = "alone"
"""The same, for workers."""
KEYS: Final = "keys"
"""Of rows not set aside and of ALONE, each key's hashes, sorted, and the row that has it."""
CHECKED, COPIES = "checked", "copies"
"""The places, sorted, of rows that a check sets aside, and of those that repeat another one."""
COPIES_ALONE: Final = "copies_alone"
"""Of COPIES those that Spark read, for Spark."""
KEPT, QUARANTINE = "kept", "quarantine"
"""The records, and the rows that are none, as a store has them."""
ALL: Final = (ROWS, ASIDE, SQL, DOUBT, ALONE, KEYS, CHECKED, COPIES, COPIES_ALONE, KEPT, QUARANTINE)

AT: Final = "_medspark_at"
"""A row's place: its span's number times LINES_OF_A_SPAN, and its line in the span."""
AS_ASIDE: Final = "_medspark_aside"
"""Whether a rule of its own set the row aside."""
BROKEN, FAILED = "_medspark_broken", "_medspark_failed"
"""The checks that a row breaks, one a line: those that set it aside, and those that fail the run; null where none."""
BETWEEN: Final = "\n"
"""Between the names of several rules."""

LINES_OF_A_SPAN: Final = 2**32
"""At most."""


def put_rows(folder: str, what: str, number: int, rows: pa.Table) -> None:
    """Put a span's rows down for a worker."""
    feather.write_feather(rows, _path(folder, what, number, "arrow"), compression="uncompressed")


def rows_of(folder: str, what: str, number: int, columns: list[str] | None = None) -> pa.Table:
    """What `put_rows` put down, or some columns of it; its bytes are read as they are used."""
    return feather.read_table(_path(folder, what, number, "arrow"), columns=columns, memory_map=True)


def put_parquet(folder: str, what: str, number: int, rows: pa.Table, part: str = "") -> None:
    """Put a span's rows, or a part of them, down for Spark."""
    options: Mapping[str, Any] = {"compression": "none", "use_dictionary": ["file"], "write_statistics": False}
    pq.write_table(rows, _path(folder, what, number, f"{part}parquet"), row_group_size=rows.num_rows, **options)


class RowGroup(NamedTuple):
    """A part of a Parquet file."""

    file: str
    number: int


def evaluated_of(parts: Sequence[RowGroup], number: int, columns: list[str]) -> pa.Table:
    """What Spark computed of a span's rows, in their order, with AT, AS_ASIDE and BROKEN.

    Args:
        parts: of EVALUATED, those that have rows of the span.
        number: the span's.
        columns: the others that are read.
    """
    first, behind = number * LINES_OF_A_SPAN, (number + 1) * LINES_OF_A_SPAN
    names = [AT, AS_ASIDE, BROKEN, *columns]
    found = []
    for file, groups in groupby(parts, lambda part: part.file):
        with pq.ParquetFile(file) as opened:
            found.append(opened.read_row_groups([group.number for group in groups], names, use_threads=False))
    rows = pa.concat_tables(found)
    at = rows[AT].to_numpy()
    return rows.filter(pa.array((at >= first) & (at < behind)))


def put_finished(folder: str, what: str, number: int, rows: pa.Table) -> None:
    """Put a span's rows down as a store has them: compressed, with checksums."""
    whole = [field.name for field in rows.schema if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)]
    path = _path(folder, what, number, "parquet")
    pq.write_table(
        rows,
        path,
        compression="zstd",
        use_dictionary=[name for name in rows.column_names if name not in whole],
        column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
        store_schema=False,
    )
    path.chmod(0o600)  # a store gets a link to it, whatever the umask was that Java was started with


def put_places(folder: str, what: str, number: int, places: Places) -> None:
    """Put places down, sorted; none leave no file."""
    if len(places):
        np.save(_path(folder, what, number, "npy"), np.sort(places))


def gather_places(folder: str, what: str) -> None:
    """Make one file, sorted, of all places that were put down of a kind, so that each span opens one: in the memory of
    eight bytes a place.
    """
    paths = sorted(Path(folder, what).glob("*.npy"))
    if len(paths) > 1:
        places = np.concatenate([np.load(path) for path in paths])
        for path in paths:
            path.unlink()
        put_places(folder, what, 0, places)


def places_of(folder: str, what: str, number: int) -> Places:
    """Those of a span, of all that were put down of a kind."""
    parts = [np.zeros(0, np.int64)]
    for path in sorted(Path(folder, what).glob("*.npy")):
        places = np.load(path, mmap_mode="r")
        first, behind = np.searchsorted(places, [number * LINES_OF_A_SPAN, (number + 1) * LINES_OF_A_SPAN])
        parts.append(np.asarray(places[first:behind]))
    return np.concatenate(parts)


def among(folder: str, what: str, at: Places) -> npt.NDArray[np.bool_]:
    """Which places are among all that were put down of a kind; each file is opened once."""
    found = np.zeros(len(at), bool)
    for path in sorted(Path(folder, what).glob("*.npy")) if len(at) else ():
        places = np.load(path, mmap_mode="r")
        found |= places[np.minimum(np.searchsorted(places, at), len(places) - 1)] == at
    return found


def put_keys(folder: str, key: int, number: int, hashes: Hashes) -> None:
    """Put down the hashes of a key of rows that were put down, with the rows' places among them."""
    order = np.argsort(hashes)
    with Path(folder, KEYS, f"{key}-{number:06}").open("wb") as file:
        file.write(hashes[order].data)
        file.write(order.astype(np.uint32).data)


def keys_of(folder: str, key: int, number: int, bucket: int, buckets: int) -> tuple[Hashes, Places]:
    """Those of a bucket: so many of them share the hashes out by their size."""
    whole = np.memmap(Path(folder, KEYS, f"{key}-{number:06}"), np.uint8, "r")
    rows = len(whole) // _KEY_BYTES
    hashes = whole[: 8 * rows].view(np.uint64)
    bounds = np.array([2**64 * at // buckets for at in (bucket, bucket + 1) if at < buckets], np.uint64)
    first, *behind = np.searchsorted(hashes, bounds)
    chosen = slice(int(first), int(behind[0]) if behind else rows)
    return np.array(hashes[chosen]), whole[8 * rows :].view(np.uint32)[chosen].astype(np.int64)


_KEY_BYTES: Final = 12


def _path(folder: str, what: str, number: int, end: str) -> Path:
    return Path(folder, what, f"part-{number:06}.{end}")
