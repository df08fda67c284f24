"""Records of events as they are kept: in buckets by patient, a Parquet file each, sorted. No Spark here.

A patient's bucket is the CRC-32 of the id as text, modulo the number of buckets, which any language can recompute:

    >>> zlib.crc32(b"4711") % 8
    5

Within a file events are sorted by patient, time (those without one first), code and number, as histories are.
"""

import zlib  # noqa: F401 (the example's)
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medspark.errors import InputError
from medspark.schemas import CODE, NUMERIC_VALUE, SUBJECT_ID, TIME
from medspark.store.worker.places import open_place

Places = npt.NDArray[np.int64]

_DICTIONARY = (CODE,)


class Kept(NamedTuple):
    """Where the records of a store lie that are kept by patient."""

    folder: str
    """Its address, as Hadoop writes it."""
    rows: tuple[int, ...]
    """Events of each bucket."""
    reader: Literal["workers", "spark"] = "workers"
    """Who reads them."""


def bucket_file(bucket: int) -> str:
    """The name of a bucket's file.

    >>> bucket_file(12)
    'bucket-00012.parquet'
    """
    return f"bucket-{bucket:05}.parquet"


def read_bucket(kept: Kept, bucket: int, columns: Sequence[str]) -> pa.Table | None:
    """The events of a bucket's patients, sorted, their codes as a dictionary; None of a bucket without any.

    Raises:
        InputError: the file is not there, or has other events than were written.
    """
    rows = kept.rows[bucket]
    if not rows:
        return None
    address = f"{kept.folder}/{bucket_file(bucket)}"
    system, path = open_place(address)
    try:
        with system.open_input_file(path) as source:
            # A page that is another than was written is no event: its checksum is compared
            file = pq.ParquetFile(source, read_dictionary=[*_DICTIONARY], page_checksum_verification=True)
            found = file.read(list(columns), use_threads=False)
    except (OSError, ValueError) as error:
        raise _altered(address, type(error).__name__) from None
    if found.num_rows != rows:
        raise _altered(address, f"{found.num_rows} events")
    return found


def _altered(address: str, received: str) -> InputError:
    return InputError(
        f"{address}: expected the file that was written, received {received}. Run the stage that writes it again."
    )


def order_of(events: pa.Table) -> Places:
    """Where each place of the sorted order stands among some events (n,); equal ones stay as they are.

    >>> times = pa.array([9, None, 9, 9]).cast(pa.timestamp("us"))
    >>> columns = {SUBJECT_ID: [2, 2, 1, 2], TIME: times, CODE: ["B", "S", "A", "A"]}
    >>> order_of(pa.table(columns | {NUMERIC_VALUE: [None, None, 1.0, 2.0]})).tolist()
    [2, 1, 3, 0]
    """
    subject, code = _ranks(events[SUBJECT_ID]), _ranks(events[CODE])
    time = pc.fill_null(events[TIME].cast(pa.int64()), np.iinfo(np.int64).min).to_numpy()
    number = pc.cast(events[NUMERIC_VALUE], pa.float64()).to_numpy()
    order = np.lexsort((time, subject))
    # Most sources come by time, so that this is little work; what is left are events of one moment
    same = (subject[order][1:] == subject[order][:-1]) & (time[order][1:] == time[order][:-1])
    tied = np.zeros(len(order), np.bool_)
    tied[1:] = same
    tied[:-1] |= same
    moment = np.zeros(len(order), np.int64)
    moment[1:] = np.cumsum(~same)
    at = order[tied]
    order[tied] = at[np.lexsort((number[at], code[at], moment[tied]))]
    return order


def _ranks(column: pa.ChunkedArray) -> Places:
    """Numbers that sort as the values do: texts by their letters' code points."""
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), np.int64)
    found = pc.dictionary_encode(column.combine_chunks())
    rank = np.empty(len(found.dictionary), np.int64)
    rank[pc.array_sort_indices(found.dictionary).to_numpy()] = np.arange(len(rank))
    return rank[found.indices.fill_null(0).to_numpy()]
