"""One span of a source read, judged and put down for what follows, by one worker in one pass. No Spark here.

Where things are put down, `medspark.clean.worker.staged` says.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.clean.worker.hashes import hash_keys
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
from medspark.clean.worker.staged import (
    AS_ASIDE,
    ASIDE,
    DOUBT,
    LINES_OF_A_SPAN,
    ROWS,
    SQL,
    put_keys,
    put_parquet,
    put_rows,
)
from medspark.clean.worker.texts import Flags
from medspark.schemas import RAW, REASON, RULE
from medspark.sources.record_rules import BAD_ENCODING
from medspark.sources.worker.csv_fields import cut_fields
from medspark.sources.worker.spans import Lines, Places, Span, Surveyed, read_lines
from medspark.sources.worker.xxhash64 import hash_texts

_SEED_31: Final = 2**31 - 1


class Told(NamedTuple):
    """What a worker counted of a span."""

    number: int
    found: Surveyed
    groups: dict[tuple[str, str, str, str], int]
    """Rows by the rules that they break: set aside, set missing, failed, normalised."""
    missing: dict[str, int]
    """Rows not set aside without a value, by column."""
    doubtful: int
    rows: int
    """Rows not set aside."""
    aside: int
    """Rows set aside."""


def judge_span(number: int, span: Span, table: TablePlan, folder: str) -> Told:
    """Read a span's lines, judge them, and put down what became of them.

    Args:
        number: of the span among all of the source.
        span: of an uncompressed CSV file.
        table: its columns and rules.
        folder: where to.

    Raises:
        InputError: the file cannot be read.
        LongLineError: a line is longer than workers read.
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
    put.rows(judged, fields.rows, kept, table)
    put.aside(judged, fields.rows, aside, table)
    put.doubt(doubtful)
    put.keys(judged, fields.rows, kept, table)
    parts = digests & _SEED_31
    return Told(
        number,
        Surveyed(span.file, len(lines), int(blank.sum()), _sum(digests), _sum(parts), _placed(parts)),
        dict(counted(judged.rules, ~judged.doubtful)),
        {plan.name: lacking(values, kept) for plan, values in zip(table.columns, judged.values, strict=True)},
        len(doubtful),
        int(kept.sum()),
        int(aside.sum()),
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

    def rows(self, judged: JudgedRows, rows: Places, which: Flags, table: TablePlan) -> None:
        """Rows that no rule of theirs sets aside; what Spark reads of them beside, in Parquet."""
        if not which.any():
            return
        values = {f"c{at}": found for at, found in enumerate(_chosen(judged.values, which))}
        notes = {
            name: _texts(judged.rules[part], which)
            for name, part in (("missing", SET_MISSING), ("failed", FAILED), ("normalised", NORMALISED))
        }
        lines = rows[which]
        places = self._places(lines)
        texts = {"first": pa.array(self.lines.firsts[lines]), "size": pa.array(self.lines.sizes[lines])}
        put_rows(self.folder, ROWS, self.number, pa.table(values | places | texts | notes))
        self._put_sql(values, lines, table, aside=False)

    def aside(self, judged: JudgedRows, rows: Places, which: Flags, table: TablePlan) -> None:
        """Rows that a rule of theirs sets aside, with their text."""
        if not which.any():
            return
        broken = [judged.rules[SET_ASIDE][int(row)] for row in np.flatnonzero(which)]
        lines = rows[which]
        columns = {
            RAW: pa.array([self.lines.line(int(at)).decode(errors="replace") for at in lines], pa.string()),
            RULE: pa.array([rules[0] for rules in broken], pa.string()),
            REASON: pa.array(["; ".join(table.reasons[rule] for rule in rules) for rules in broken], pa.string()),
        }
        put_rows(self.folder, ASIDE, self.number, pa.table(self._places(lines) | columns))
        values = {f"c{at}": found for at, found in enumerate(_chosen(judged.values, which))}
        self._put_sql(values, lines, table, aside=True)

    def doubt(self, lines: Places) -> None:
        """Lines that only Spark can read."""
        texts = pa.array([self.lines.line(int(at)) for at in lines], pa.binary())
        rules = pa.array([BAD_ENCODING if self.lines.unsound[at] else None for at in lines], pa.string())
        self._put(DOUBT, self._places(lines) | {"text": texts, "rule": rules}, len(lines))

    def keys(self, judged: JudgedRows, rows: Places, which: Flags, table: TablePlan) -> None:
        """Of rows that no rule of theirs sets aside the hashes of what may tell that two are the same."""
        if not which.any():
            return
        values = {plan.name: found for plan, found in zip(table.columns, judged.values, strict=True)}
        for key, names in enumerate(table.keys):
            hashes = hash_keys(_chosen([values[name] for name in names], which))
            put_keys(self.folder, key, self.number, hashes)
        if table.whole_row:
            put_keys(self.folder, len(table.keys), self.number, self.digests[rows[which]].view(np.uint64))

    def _places(self, lines: Places) -> dict[str, pa.Array]:
        return {"at": pa.array(self.number * LINES_OF_A_SPAN + lines), "digest": pa.array(self.digests[lines])}

    def _put_sql(self, values: dict[str, pa.Array], lines: Places, table: TablePlan, aside: bool) -> None:
        if table.in_sql:
            asked = {
                f"c{at}": values[f"c{at}"] for at, plan in enumerate(table.columns) if plan.name in table.evaluated
            }
            beside = {"at": self._places(lines)["at"], AS_ASIDE: pa.array(np.full(len(lines), aside))}
            self._put(SQL, asked | beside, len(lines), "aside." if aside else "")

    def _put(self, what: str, columns: dict[str, pa.Array], rows: int, part: str = "") -> None:
        if rows:
            file = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [self.span.file])
            put_parquet(self.folder, what, self.number, pa.table(columns | {"file": file}), part)


def _chosen(columns: list[pa.Array], which: Flags) -> list[pa.Array]:
    if which.all():
        return columns
    mask = pa.array(which)
    return [values.filter(mask) for values in columns]


def _texts(rules: dict[int, list[str]], which: Flags) -> pa.Array:
    """Of each chosen row the rules that it breaks, one a line; null where none."""
    rows = np.flatnonzero(which)
    if not rules:
        return pa.nulls(len(rows), pa.string())
    return pa.array(["\n".join(rules[row]) if row in rules else None for row in rows.tolist()], pa.string())
