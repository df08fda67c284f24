"""One span of a source read, judged and put down for what follows, by one worker in one pass. No Spark here.

What it puts down are Parquet files beside one another: `rows` are those that break no rule that sets them aside, with
their typed values; `aside` are those that do, with their text; `doubt` has the lines that only Spark can read. A row
that a check or another row sets aside is put down in `taken`, once that is known.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.rows import (
    FAILED,
    NORMALISED,
    SET_ASIDE,
    SET_MISSING,
    JudgedRows,
    counted,
    judge_rows,
    lacking,
)
from medspark.clean.worker.texts import Flags, bytes_of
from medspark.sources.record_rules import BAD_ENCODING
from medspark.sources.worker.csv_fields import cut_fields
from medspark.sources.worker.spans import Lines, Places, Span, Surveyed, read_lines
from medspark.sources.worker.xxhash64 import hash_texts
from medspark.store.worker.places import open_place

ROWS, ASIDE, TAKEN, DOUBT = "rows", "aside", "taken", "doubt"
"""What is put down of a span, as the beginnings of the files' names."""
LINES_OF_A_SPAN: Final = 2**32
"""At most; a row's place is its span's number times this, and its line in the span."""
_SEED_31: Final = 2**31 - 1
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_NOTHING: Final = np.uint64(0x5851F42D4C957F2D)


class Told(NamedTuple):
    """What a worker counted of a span."""

    number: int
    found: Surveyed
    groups: dict[tuple[str, str, str, str], int]
    """Rows by the rules that they break: set aside, set missing, failed, normalised."""
    missing: dict[str, int]
    """Rows not set aside without a value, by column."""
    doubtful: int
    keys: tuple[bytes, ...]
    """Of the rows not set aside: their lines in the span, then of each key the hashes."""
    written: tuple[str, ...]
    """What was put down: ROWS, ASIDE, DOUBT."""


def judge_span(number: int, span: Span, table: TablePlan, folder: str) -> Told:
    """Read a span's lines, judge them, and put down what became of them.

    Args:
        number: of the span among all of the source.
        span: of an uncompressed CSV file.
        table: its columns and rules.
        folder: where to.

    Raises:
        OSError: the file cannot be read.
    """
    lines = read_lines(span, table.encoding)
    digests = hash_texts(lines.text, lines.starts, lines.ends)
    blank = _blank(lines)
    read = ~blank
    if table.header and span.first == 0:
        read[:1] = False
    fields = cut_fields(lines, read, list(table.names), table.delimiter)
    judged = judge_rows(fields, table)
    doubtful = np.concatenate([fields.doubtful, fields.rows[judged.doubtful]])
    aside = np.zeros(len(fields.rows), bool)
    aside[list(judged.rules[SET_ASIDE])] = True
    kept, aside = ~aside & ~judged.doubtful, aside & ~judged.doubtful
    put = _Put(number, span, lines, digests, folder)
    written = (
        put.rows(judged, fields.rows, kept),
        put.aside(judged, fields.rows, aside, table),
        put.doubt(doubtful),
    )
    parts = digests & _SEED_31
    return Told(
        number,
        Surveyed(span.file, len(lines), int(blank.sum()), _sum(digests), _sum(parts), _placed(parts)),
        dict(counted(judged.rules, ~judged.doubtful)),
        {plan.name: lacking(values, kept) for plan, values in zip(table.columns, judged.values, strict=True)},
        len(doubtful),
        _keys(judged, table, fields.rows, kept, digests),
        tuple(name for name in written if name),
    )


def _blank(lines: Lines) -> Flags:
    blank = lines.starts == lines.ends
    some = np.flatnonzero(~blank)
    spaced = some[np.frombuffer(lines.text, np.uint8)[lines.starts[some]] == 32] if len(some) else some
    for at in spaced:
        blank[at] = not lines.line(int(at)).strip(b" ")
    return np.asarray(blank)


def _sum(numbers: npt.NDArray[np.int64]) -> int:
    """The exact sum of 64-bit numbers."""
    return (int((numbers >> 32).sum()) << 32) + int((numbers & 0xFFFFFFFF).sum())


def _placed(parts: npt.NDArray[np.int64]) -> int:
    """The sum of 31-bit numbers, each times its place, exact for as many as a span has."""
    places = np.arange(len(parts), dtype=np.int64)
    return (_sum((parts >> 16) * places) << 16) + _sum((parts & 0xFFFF) * places)


# ---------------------------------------------------------------- what is put down


class _Put(NamedTuple):
    """Where a span's rows go, and what they have in common."""

    number: int
    span: Span
    lines: Lines
    digests: npt.NDArray[np.int64]
    folder: str

    def rows(self, judged: JudgedRows, rows: Places, which: Flags) -> str:
        texts = [_texts(judged.rules[part], which) for part in (SET_MISSING, FAILED, NORMALISED)]
        values = [_chosen(found, which) for found in judged.values]
        return self._write(ROWS, rows[which], {"missing": texts[0], "failed": texts[1], "normalised": texts[2]}, values)

    def aside(self, judged: JudgedRows, rows: Places, which: Flags, table: TablePlan) -> str:
        broken = [judged.rules[SET_ASIDE][int(row)] for row in np.flatnonzero(which)]
        columns = {
            "failed": _texts(judged.rules[FAILED], which),
            "text": pa.array([self.lines.line(int(at)).decode(errors="replace") for at in rows[which]], pa.string()),
            "rule": pa.array([rules[0] for rules in broken], pa.string()),
            "reason": pa.array(["; ".join(table.reasons[rule] for rule in rules) for rules in broken], pa.string()),
        }
        pairs = zip(table.columns, judged.values, strict=True)
        values = [_chosen(found, which) if plan.name in table.checked else None for plan, found in pairs]
        return self._write(ASIDE, rows[which], columns, values)

    def doubt(self, lines: Places) -> str:
        texts = pa.array([self.lines.line(int(at)) for at in lines], pa.binary())
        rules = pa.array([BAD_ENCODING if self.lines.unsound[at] else None for at in lines], pa.string())
        return self._write(DOUBT, lines, {"text": texts, "rule": rules}, [])

    def _write(self, what: str, lines: Places, columns: dict[str, pa.Array], values: list[pa.Array | None]) -> str:
        if not len(lines):
            return ""
        found = {f"c{at}": value for at, value in enumerate(values) if value is not None}
        found["file"] = pa.DictionaryArray.from_arrays(np.zeros(len(lines), np.int32), [self.span.file])
        found["at"] = pa.array(self.number * LINES_OF_A_SPAN + lines)
        found["digest"] = pa.array(self.digests[lines])
        system, path = open_place(f"{self.folder}/{what}/{self.number:06}.parquet")
        table = pa.table(found | columns)
        few = [name for name in table.column_names if name not in ("at", "digest")]
        pq.write_table(table, path, filesystem=system, compression="snappy", use_dictionary=few, write_statistics=False)
        return what


def _chosen(values: pa.Array, which: Flags) -> pa.Array:
    return values if which.all() else values.filter(pa.array(which))


def _texts(rules: dict[int, list[str]], which: Flags) -> pa.Array:
    """Of each chosen row the rules that it breaks, one a line; null where none."""
    rows = np.flatnonzero(which)
    if not rules:
        return pa.nulls(len(rows), pa.string())
    return pa.array(["\n".join(rules[row]) if row in rules else None for row in rows.tolist()], pa.string())


# ---------------------------------------------------------------- what is looked at again


class Taken(NamedTuple):
    """Rows that are no records after all: what they were counted as, and what of."""

    groups: list[tuple[str, str, str, str]]
    """Of each: the rules that set it aside now, and those that its values broke, that it failed, that normalised it."""
    missing: dict[str, int]
    """How many of them lack a value, by column."""


def take_rows(number: int, span: Span, table: TablePlan, folder: str, rules: dict[int, tuple[str, ...]]) -> Taken:
    """Put rows down as set aside that were not by themselves: their text is read again.

    Args:
        number: of the span.
        span: as it was judged.
        table: its columns and rules.
        folder: where the span's rows are.
        rules: by line in the span, what each breaks.
    """
    system, path = open_place(f"{folder}/{ROWS}/{number:06}.parquet")
    found = pq.read_table(path, filesystem=system)
    places = found["at"].combine_chunks().to_numpy() - number * LINES_OF_A_SPAN
    wanted = np.array(sorted(rules), np.int64)
    order = np.argsort(places, kind="stable")
    found = found.take(pa.array(order[np.searchsorted(places, wanted, sorter=order)]))
    lines = read_lines(span, table.encoding)
    broken = [rules[int(at)] for at in wanted]
    columns = {
        "file": found["file"],
        "at": found["at"],
        "digest": found["digest"],
        "text": pa.array([lines.line(int(at)).decode(errors="replace") for at in wanted], pa.string()),
        "rule": pa.array([names[0] for names in broken], pa.string()),
        "reason": pa.array(["; ".join(table.reasons[rule] for rule in names) for names in broken], pa.string()),
    }
    pq.write_table(pa.table(columns), f"{open_place(folder)[1]}/{TAKEN}/{number:06}.parquet", filesystem=system)
    texts = (found[name].to_pylist() for name in ("missing", "failed", "normalised"))
    groups = [
        ("\n".join(names), missing or "", failed or "", normalised or "")
        for names, missing, failed, normalised in zip(broken, *texts, strict=True)
    ]
    return Taken(groups, {plan.name: found[f"c{at}"].null_count for at, plan in enumerate(table.columns)})


def texts_of(span: Span, encoding: str, lines: Places) -> list[bytes]:
    """The text of some lines of a span."""
    found = read_lines(span, encoding)
    return [found.line(int(at)) for at in lines]


# ---------------------------------------------------------------- keys


def _keys(
    judged: JudgedRows, table: TablePlan, rows: Places, kept: Flags, digests: npt.NDArray[np.int64]
) -> tuple[bytes, ...]:
    values = {plan.name: found for plan, found in zip(table.columns, judged.values, strict=True)}
    hashes = [hash_keys([_chosen(values[name], kept) for name in names]) for names in table.keys]
    if table.whole_row:
        hashes.append(digests[rows[kept]].view(np.uint64))
    return rows[kept].astype(np.uint32).tobytes(), *(found.tobytes() for found in hashes)


def hash_keys(columns: list[pa.Array]) -> npt.NDArray[np.uint64]:
    """A hash of each row of some columns: rows that are the same have the same; nulls are alike."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            mixed = (mixed ^ _hashed(column)) * _MIX
            mixed ^= mixed >> np.uint64(29)
    return mixed


def _hashed(column: pa.Array) -> npt.NDArray[np.uint64]:
    if pa.types.is_string(column.type):
        offsets, data = bytes_of(column)
        found = hash_texts(data.tobytes(), offsets[:-1], offsets[1:]).view(np.uint64)
    else:
        kind = {pa.date32(): pa.int32(), pa.bool_(): pa.int8()}.get(column.type, pa.int64())
        found = column.cast(kind).cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)
    return np.where(pc.is_null(column).to_numpy(zero_copy_only=False), _NOTHING, found)
