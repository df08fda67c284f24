"""What becomes of a span's rows once checks and other rows have spoken: records, or rows set aside. No Spark here."""

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.staged import (
    DERIVED,
    LINES_OF_A_SPAN,
    ROWS,
    TAKEN,
    has_rows,
    put_parquet,
    put_records,
    put_rows,
    rows_of,
)
from medspark.errors import AccountingError
from medspark.schemas import ROW_DIGEST, SOURCE_FILE, SOURCE_LINE
from medspark.sources.worker.spans import Span, texts_at

Broken = dict[int, tuple[str, ...]]
"""By its line in the span, the rules that a row breaks after all."""


class Settled(NamedTuple):
    """What a span's rows came to."""

    records: int
    groups: list[tuple[str, str, str, str]]
    """Of each row that is no record after all: the rules that set it aside now, and those that its values broke, that
    it failed, that normalised it."""
    missing: dict[str, int]
    """How many of those lack a value, by column."""


def settle_span(number: int, span: Span, table: TablePlan, folder: str, broken: Broken, before: int) -> Settled:
    """Write a span's records, and put down those of its rows that are none after all: their text is read again.

    Args:
        number: of the span.
        span: as it was judged.
        table: its columns and rules.
        folder: where the span's rows are, and go.
        broken: of the rows that are no records.
        before: the lines of its file before the span.

    Raises:
        AccountingError: a row has no derived columns, or those of another one.
    """
    rows = rows_of(folder, ROWS, number)
    if has_rows(folder, DERIVED, number):
        rows = _with_derived(rows, rows_of(folder, DERIVED, number))
    lines = rows["at"].to_numpy() - number * LINES_OF_A_SPAN
    gone = np.isin(lines, np.fromiter(broken, np.int64, len(broken)))
    names = {f"c{at}": plan.name for at, plan in enumerate(table.columns)}
    kept, kept_lines = (rows.filter(pa.array(~gone)), lines[~gone]) if gone.any() else (rows, lines)
    if kept.num_rows:
        derived = [name for name in rows.column_names if name.startswith("d:")]
        found = {names[place]: kept[place] for place in names} | {name[2:]: kept[name] for name in derived}
        found[SOURCE_FILE] = pa.DictionaryArray.from_arrays(np.zeros(len(kept_lines), np.int32), [span.file])
        found[SOURCE_LINE] = pa.array(kept_lines + before + 1)
        found[ROW_DIGEST] = kept["digest"]
        put_records(folder, number, pa.table(found))
    taken = rows.filter(pa.array(gone))
    if taken.num_rows:
        _put_taken(number, span, table, folder, taken, broken)
    notes = (taken[name].fill_null("").to_pylist() for name in ("missing", "failed", "normalised"))
    groups = [
        ("\n".join(broken[line]), missing, failed, normalised)
        for line, missing, failed, normalised in zip(lines[gone].tolist(), *notes, strict=True)
    ]
    return Settled(kept.num_rows, groups, {names[place]: taken[place].null_count for place in names})


def _with_derived(rows: pa.Table, derived: pa.Table) -> pa.Table:
    if not rows["at"].equals(derived["at"]):
        raise AccountingError("the derived columns are of other rows than those that were read. Run again.")
    for name in derived.column_names:
        if name != "at":
            rows = rows.append_column(f"d:{name}", derived[name])
    return rows


def _put_taken(number: int, span: Span, table: TablePlan, folder: str, taken: pa.Table, broken: Broken) -> None:
    places = (taken["at"].to_numpy() - number * LINES_OF_A_SPAN).tolist()
    columns = {
        "file": pa.array([span.file] * len(places), pa.string()),
        "at": taken["at"],
        "digest": taken["digest"],
        "text": pa.array([text.decode(errors="replace") for text in texts_of(span, table, taken)], pa.string()),
        "rule": pa.array([broken[at][0] for at in places], pa.string()),
        "reason": pa.array(["; ".join(table.reasons[rule] for rule in broken[at]) for at in places], pa.string()),
    }
    put_parquet(folder, TAKEN, number, pa.table(columns))


def texts_of(span: Span, table: TablePlan, rows: pa.Table) -> list[bytes]:
    """The text of rows, which is read again."""
    return texts_at(span, table.encoding, rows["first"].to_numpy(), rows["size"].to_numpy())


# ---------------------------------------------------------------- what Spark computed of the rows


def put_derived(batches: Iterable[pa.RecordBatch], folder: str, told: list[str]) -> Iterator[pa.RecordBatch]:
    """Put down the derived columns of whole spans, and give the rows that break a check.

    Args:
        batches: `at`, the texts `told`, and derived columns, of spans one after another, each in its order.
        folder: where to.
        told: of each row the checks that it breaks, empty where none.
    """
    for number, parts in groupby(_by_span(batches), lambda part: int(part["at"][0].as_py()) // LINES_OF_A_SPAN):
        rows = pa.Table.from_batches([*parts])
        derived = rows.drop_columns(told)
        if derived.num_columns > 1:
            put_rows(folder, DERIVED, number, derived)
        broken = np.zeros(rows.num_rows, bool)
        for name in told:
            broken |= pc.not_equal(rows[name], "").to_numpy()
        if broken.any():
            yield from rows.select(["at", *told]).filter(pa.array(broken)).combine_chunks().to_batches()


def _by_span(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches none of which has rows of two spans."""
    for batch in batches:
        spans = batch["at"].to_numpy() // LINES_OF_A_SPAN
        cuts = [0, *(np.flatnonzero(np.diff(spans)) + 1).tolist(), len(spans)]
        for first, last in pairwise(cuts):
            if last > first:
                yield batch.slice(first, last - first)
