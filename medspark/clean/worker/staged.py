"""Where workers put rows down between the steps of cleaning: a folder, in it one for each kind, a file a span.

What workers alone read again lies there as Arrow has it in memory; what Spark reads, in Parquet, of which a file has
one row group, so that a task of Spark's has all of a span, in its order. No Spark here.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

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
KEPT, QUARANTINE = "kept", "quarantine"
"""The records, and the rows that are none, as a store has them."""
ALL: Final = (ROWS, ASIDE, SQL, DOUBT, KEPT, QUARANTINE)

AT: Final = "_medspark_at"
"""A row's place: its span's number times LINES_OF_A_SPAN, and its line in the span."""
AS_ASIDE: Final = "_medspark_aside"
"""Whether a rule of its own set the row aside."""
BROKEN, FAILED = "_medspark_broken", "_medspark_failed"
"""The checks that a row breaks, one a line: those that set it aside, and those that fail the run."""

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
    options: Mapping[str, Any] = {"compression": "snappy", "use_dictionary": ["file"], "write_statistics": False}
    pq.write_table(rows, _path(folder, what, number, f"{part}parquet"), row_group_size=rows.num_rows, **options)


def evaluated_of(folder: str, number: int, columns: list[str]) -> pa.Table:
    """What Spark computed of a span's rows that are not set aside, in their order, with their places in AT."""
    first, behind = number * LINES_OF_A_SPAN, (number + 1) * LINES_OF_A_SPAN
    parts = [
        pq.ParquetFile(path).read_row_group(group, [AT, AS_ASIDE, *columns], use_threads=False)
        for least, most, path, group in _places_of(tuple(evaluated_files(folder)))
        if least < behind and most >= first
    ]
    found = pa.concat_tables(parts)
    at = found[AT].to_numpy()
    chosen = (at >= first) & (at < behind) & ~found[AS_ASIDE].to_numpy()
    return found.filter(pa.array(chosen))


@lru_cache(maxsize=1)
def _places_of(files: tuple[Path, ...]) -> list[tuple[int, int, Path, int]]:
    """Of each row group its least and its largest place, its file, and where in the file it is: read once a process,
    for there may be as many as there are spans."""
    found = []
    for path in files:
        about = pq.read_metadata(path)
        for group in range(about.num_row_groups):
            places = about.row_group(group).column(0).statistics
            found.append((places.min, places.max, path, group))
    return found


def evaluated_files(folder: str) -> list[Path]:
    return sorted(Path(folder, EVALUATED).glob("*.parquet"))


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


def _path(folder: str, what: str, number: int, end: str) -> Path:
    return Path(folder, what, f"part-{number:06}.{end}")
