"""Where workers put rows down between the steps of cleaning: a folder, in it one for each kind, a file a span.

What workers alone read again lies there as Arrow has it in memory; what Spark reads, in Parquet, of which a file has
one row group, so that a task of Spark's has all of a span, in its order. No Spark here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

ROWS: Final = "rows"
"""Rows that no rule of theirs sets aside, with their typed values; for workers."""
SQL: Final = "sql"
"""Of the same rows what checks and derived columns read."""
DERIVED: Final = "derived"
"""Of the same rows the derived columns, which Spark computed; for workers."""
ASIDE: Final = "aside"
"""Rows that a rule of theirs sets aside, with their text."""
DOUBT: Final = "doubt"
"""Lines that only Spark can read."""
TAKEN: Final = "taken"
"""Rows that a check or another row sets aside, with their text."""
KEPT: Final = "kept"
"""The records, as a store has them."""
ALL: Final = (ROWS, SQL, DERIVED, ASIDE, DOUBT, TAKEN, KEPT)

LINES_OF_A_SPAN: Final = 2**32
"""At most; a row's place is its span's number times this, and its line in the span."""


def put_rows(folder: str, what: str, number: int, rows: pa.Table) -> None:
    """Put a span's rows down for a worker."""
    feather.write_feather(rows, _path(folder, what, number, "arrow"), compression="uncompressed")


def has_rows(folder: str, what: str, number: int) -> bool:
    return _path(folder, what, number, "arrow").exists()


def rows_of(folder: str, what: str, number: int, columns: list[str] | None = None) -> pa.Table:
    """What `put_rows` put down, or some columns of it; its bytes are read as they are used."""
    return feather.read_table(_path(folder, what, number, "arrow"), columns=columns, memory_map=True)


def put_parquet(folder: str, what: str, number: int, rows: pa.Table) -> None:
    """Put a span's rows down for Spark."""
    options: Mapping[str, Any] = {"compression": "snappy", "use_dictionary": ["file"], "write_statistics": False}
    pq.write_table(rows, _path(folder, what, number, "parquet"), row_group_size=rows.num_rows, **options)


def put_records(folder: str, number: int, rows: pa.Table) -> None:
    """Put a span's records down as a store has them: compressed, with checksums."""
    whole = [field.name for field in rows.schema if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)]
    pq.write_table(
        rows,
        _path(folder, KEPT, number, "parquet"),
        compression="zstd",
        use_dictionary=[name for name in rows.column_names if name not in whole],
        column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
        store_schema=False,
    )


def _path(folder: str, what: str, number: int, end: str) -> Path:
    return Path(folder, what, f"part-{number:06}.{end}")
