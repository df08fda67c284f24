"""Which rows repeat another one, of a bucket of hashes: those whose keys have one hash are compared. No Spark here.

A bucket has the rows, of all spans, whose hashes lie in its share of all hashes: what is the same is in one bucket.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from medspark.clean.worker.alike import AT, repeats, several, suspects
from medspark.clean.worker.hashes import hash_keys
from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.settle import texts_of
from medspark.clean.worker.staged import (
    ALONE,
    CHECKED,
    COPIES,
    COPIES_ALONE,
    LINES_OF_A_SPAN,
    ROWS,
    Places,
    among,
    keys_of,
    put_keys,
    put_parquet,
    put_places,
    put_rows,
    rows_of,
)
from medspark.clean.worker.staged import AT as PLACE
from medspark.sources.worker.spans import Span

ROWS_OF_A_BUCKET: Final = 2**20
"""Where every one repeats another, some hundred megabytes in a worker."""
BYTES_OF_A_BUCKET: Final = 64 * 2**20
"""Of the source, where rows are the same where their text is: that of those whose hash another one has is held."""
TEXT: Final = "text"


class Part(NamedTuple):
    """Rows that were put down together."""

    number: int
    span: Span | None
    """None for rows that Spark read."""
    before: int
    """The lines of its file before the span."""


class Question(NamedTuple):
    """What is asked of rows whose hashes of a key are the same."""

    key: int
    """The place of the key among those that were put down."""
    same: tuple[str, ...]
    """The columns, as they were put down, that rows have in common; TEXT where their whole text is."""
    by: tuple[tuple[str, str], ...]
    """Which of them counts: a column and a direction before the order in the source; empty where that alone says."""


class Repeated(NamedTuple):
    """The copies that a bucket has."""

    copies: int
    alone: int
    """Of rows that Spark read."""


def put_alone(number: int, file: str, table: TablePlan, places: dict[str, str], folder: str) -> bool:
    """Put rows that Spark read down as those of a span are; says whether there are any.

    Args:
        number: of the part that they make.
        file: that Spark wrote of COMPARED.
        table: the columns and keys.
        places: the names under which the keys' columns are put down.
        folder: where to.
    """
    rows = pq.read_table(file)
    if not rows.num_rows:
        return False
    rows = rows.cast(pa.schema([(field.name, _plain(field.type)) for field in rows.schema])).combine_chunks()
    put_rows(folder, ALONE, number, rows)
    for key, names in enumerate(table.keys):
        put_keys(folder, key, number, hash_keys([rows[places[name]].combine_chunks() for name in names]))
    if table.whole_row:
        put_keys(folder, len(table.keys), number, rows["digest"].to_numpy().view(np.uint64))
    return True


def _plain(kind: pa.DataType) -> pa.DataType:
    return {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(kind, kind)


def find_copies(
    bucket: int, buckets: int, question: Question, parts: list[Part], table: TablePlan, folder: str
) -> Repeated:
    """Put down the places of a bucket's rows that repeat another one that counts."""
    rows = _suspected(bucket, buckets, question, parts, table, folder, gone=(CHECKED,))
    order = [*question.by, ("file", "ascending"), ("line", "ascending"), ("digest", "ascending")]
    copies = repeats(rows, list(question.same), order)
    put_places(folder, COPIES, bucket, copies)
    alone = copies[np.isin(copies, rows.filter(rows["alone"])[AT].to_numpy())] if len(copies) else copies
    if len(alone):
        put_parquet(folder, COPIES_ALONE, bucket, pa.table({PLACE: pa.array(alone)}))
    return Repeated(len(copies), len(alone))


def count_several(
    bucket: int, buckets: int, question: Question, parts: list[Part], table: TablePlan, folder: str
) -> int:
    """How many of a bucket's keys more than one row has, but for rows that are gone."""
    rows = _suspected(bucket, buckets, question, parts, table, folder, gone=(CHECKED, COPIES))
    return several(rows, list(question.same))


def _suspected(
    bucket: int,
    buckets: int,
    question: Question,
    parts: list[Part],
    table: TablePlan,
    folder: str,
    gone: tuple[str, ...],
) -> pa.Table:
    """The rows of a bucket whose hash another one has, with all that tells them apart."""
    found = [keys_of(folder, question.key, part.number, bucket, buckets) for part in parts]
    hashes, places = (np.concatenate(each) for each in zip(*found, strict=True))
    which = suspects(hashes)
    ends = np.cumsum([len(part_hashes) for part_hashes, _ in found])
    of_part = np.searchsorted(ends, which, "right")
    tables = [
        _rows_of(parts[at], np.sort(places[which[of_part == at]]), question, table, folder) for at in np.unique(of_part)
    ]
    if not tables:
        return pa.table({AT: pa.array([], pa.int64()), "alone": pa.array([], pa.bool_())})
    rows = pa.concat_tables([rows.select(tables[0].column_names).cast(tables[0].schema) for rows in tables])
    return rows.filter(pa.array(~_are_gone(rows[AT].to_numpy(), gone, folder)))


def _are_gone(at: Places, gone: tuple[str, ...], folder: str) -> npt.NDArray[np.bool_]:
    out = np.zeros(len(at), bool)
    for what in gone:
        out |= among(folder, what, at)
    return out


def _rows_of(part: Part, places: Places, question: Question, table: TablePlan, folder: str) -> pa.Table:
    """Rows by their places among those that were put down, with what says which are the same and which counts."""
    with_text = TEXT in question.same
    names = dict.fromkeys([*question.same, *(name for name, _ in question.by)])
    names.pop(TEXT, None)
    if part.span is None:
        wanted = [AT, "file", "line", "digest", *names, *([TEXT] if with_text else [])]
        rows = rows_of(folder, ALONE, part.number, wanted).take(places)
        return rows.append_column("alone", pa.array(np.ones(len(places), bool)))
    columns = [AT, "digest", *names, *(["first", "size"] if with_text else [])]
    rows = rows_of(folder, ROWS, part.number, columns).take(places)
    lines = rows[AT].to_numpy() % LINES_OF_A_SPAN
    rows = rows.append_column("file", pa.array([part.span.file] * len(lines), pa.string()))
    rows = rows.append_column("line", pa.array(lines + part.before + 1, pa.int64()))
    rows = rows.append_column("alone", pa.array(np.zeros(len(lines), bool)))
    if not with_text:
        return rows
    rows = rows.append_column(TEXT, pa.array(texts_of(part.span, table, rows), pa.binary()))
    return rows.drop_columns(["first", "size"])
