"""What becomes of a span's rows once checks and other rows have spoken: records, or rows set aside. No Spark here."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.staged import (
    AT,
    LINES_OF_A_SPAN,
    REASON,
    ROWS,
    RULE,
    TAKEN,
    TEXT,
    evaluated_of,
    put_parquet,
    put_records,
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
    if table.derived:
        rows = _with_derived(rows, number, [f"d{at}" for at in range(len(table.derived))], folder)
    lines = rows["at"].to_numpy() - number * LINES_OF_A_SPAN
    gone = np.isin(lines, np.fromiter(broken, np.int64, len(broken)))
    names = {f"c{at}": plan.name for at, plan in enumerate(table.columns)}
    kept, kept_lines = (rows.filter(pa.array(~gone)), lines[~gone]) if gone.any() else (rows, lines)
    if kept.num_rows:
        found = {name: kept[place] for place, name in names.items()}
        found |= {name: kept[f"d{at}"] for at, name in enumerate(table.derived)}
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


def _with_derived(rows: pa.Table, number: int, derived: list[str], folder: str) -> pa.Table:
    evaluated = evaluated_of(folder, number, derived)
    if not rows["at"].combine_chunks().equals(evaluated[AT].combine_chunks()):
        raise AccountingError("the derived columns are of other rows than those that were read. Run again.")
    for name in derived:
        rows = rows.append_column(name, evaluated[name])
    return rows


def _put_taken(number: int, span: Span, table: TablePlan, folder: str, taken: pa.Table, broken: Broken) -> None:
    places = (taken["at"].to_numpy() - number * LINES_OF_A_SPAN).tolist()
    columns = {
        "file": pa.array([span.file] * len(places), pa.string()),
        "at": taken["at"],
        "digest": taken["digest"],
        TEXT: pa.array([text.decode(errors="replace") for text in texts_of(span, table, taken)], pa.string()),
        RULE: pa.array([broken[at][0] for at in places], pa.string()),
        REASON: pa.array(["; ".join(table.reasons[rule] for rule in broken[at]) for at in places], pa.string()),
    }
    put_parquet(folder, TAKEN, number, pa.table(columns))


def texts_of(span: Span, table: TablePlan, rows: pa.Table) -> list[bytes]:
    """The text of rows, which is read again."""
    return texts_at(span, table.encoding, rows["first"].to_numpy(), rows["size"].to_numpy())
