"""What becomes of a span's rows once checks and other rows have spoken: records, and the quarantine. No Spark here."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.staged import (
    AS_ASIDE,
    ASIDE,
    AT,
    BETWEEN,
    BROKEN,
    COPIES,
    KEPT,
    LINES_OF_A_SPAN,
    QUARANTINE,
    ROWS,
    RowGroup,
    evaluated_of,
    places_of,
    put_finished,
    rows_of,
)
from medspark.clean.worker.texts import Flags, Places
from medspark.errors import AccountingError
from medspark.schemas import (
    DIGEST,
    FILE,
    LINE,
    QUARANTINE_COLUMNS,
    RAW,
    REASON,
    ROW_DIGEST,
    RULE,
    SOURCE,
    SOURCE_FILE,
    SOURCE_LINE,
)
from medspark.sources.record_rules import DUPLICATE
from medspark.sources.worker.spans import Span, texts_at

Broken = dict[int, tuple[str, ...]]
"""By its line in the span, what a row breaks beside the rules of its own."""


class Judgement(NamedTuple):
    """A span, and what is to become of its rows."""

    number: int
    span: Span
    rows: int
    """That no rule of theirs sets aside."""
    aside: int
    """That one does."""
    before: int
    """The lines of its file before the span."""
    evaluated: Sequence[RowGroup]
    """Those that have what Spark computed of its rows."""
    copies: bool
    """Whether any row of the table repeats another one."""


class Settled(NamedTuple):
    """What a span's rows came to."""

    records: int
    """As many as lie there."""
    quarantined: int
    groups: Counter[tuple[str, str, str, str]]
    """Rows that are no records after all, by the rules that set them aside now, and those that their values broke, that
    they failed, that normalised them."""
    missing: dict[str, int]
    """How many of those lack a value, by column."""


class Rows(NamedTuple):
    """A part of a table's rows as they are scored."""

    records: pa.Table | None
    """With the derived columns, and their SOURCE_FILE and SOURCE_LINE; None where there are none."""
    others: pa.Table | None
    """FILE, LINE and RULE of rows that are none; None where there are none."""


class _Span(NamedTuple):
    """A span's rows that no rule of theirs sets aside, and what checks and other rows say."""

    rows: pa.Table | None
    gone: Flags
    """Those that are no records after all."""
    broken: Broken

    def kept(self) -> pa.Table | None:
        return self.rows.filter(pa.array(~self.gone)) if self.rows is not None and self.gone.any() else self.rows

    def taken(self) -> pa.Table | None:
        return self.rows.filter(pa.array(self.gone)) if self.rows is not None and self.gone.any() else None


def settle_span(judgement: Judgement, table: TablePlan, folder: str, put: bool) -> Settled:
    """Count what a span's rows came to, and put it down.

    Args:
        judgement: of the span.
        table: its columns and rules.
        folder: where the span's rows are, and go.
        put: whether records and quarantine are put down as a store has them.

    Raises:
        AccountingError: a row has no derived columns, or those of another one.
    """
    span = _sorted_out(judgement, table.derived if put else (), folder)
    taken = span.taken()
    aside = rows_of(folder, ASIDE, judgement.number, ["at"]).num_rows if judgement.aside else 0
    settled = Settled(
        int(np.count_nonzero(~span.gone)),
        int(np.count_nonzero(span.gone)) + aside,
        _groups(taken, judgement, span.broken) if taken is not None else Counter(),
        {plan.name: taken[f"c{at}"].null_count for at, plan in enumerate(table.columns)} if taken is not None else {},
    )
    if put:
        records = _put_records(span.kept(), judgement, table, folder)
        parts = [_aside(judgement, span.broken, table, folder)] if judgement.aside else []
        parts += [_taken(taken, judgement, span.broken, table)] if taken is not None else []
        if parts:
            put_finished(folder, QUARANTINE, judgement.number, pa.concat_tables(parts))
        settled = settled._replace(records=records, quarantined=sum(part.num_rows for part in parts))
    return settled


def settled_rows(part: Judgement | str, table: TablePlan, folder: str) -> Rows:
    """A span's rows, or those of a file in KEPT or QUARANTINE that Spark wrote, to be scored.

    Raises:
        AccountingError: a row has no derived columns, or those of another one.
    """
    if isinstance(part, str):
        rows = pq.read_table(part, page_checksum_verification=True)
        is_kept = Path(part).parent.name == KEPT
        return Rows(rows if is_kept else None, None if is_kept else rows.select([FILE, LINE, RULE]))
    span = _sorted_out(part, table.derived, folder)
    kept, taken = span.kept(), span.taken()
    others = [_others(rows_of(folder, ASIDE, part.number, ["at", RULE]), part)] if part.aside else []
    if taken is not None:
        rules = pa.array([span.broken[line][0] for line in _lines(taken, part).tolist()], pa.string())
        others.append(_others(taken.select(["at"]).append_column(RULE, rules), part))
    return Rows(
        _records(kept, part, table) if kept is not None and kept.num_rows else None,
        pa.concat_tables(others) if others else None,
    )


def _others(rows: pa.Table, judgement: Judgement) -> pa.Table:
    lines = pa.array(_lines(rows, judgement) + judgement.before + 1)
    return pa.table({FILE: _alike(judgement.span.file, rows.num_rows), LINE: lines, RULE: rows[RULE]})


def _sorted_out(judgement: Judgement, derived: Sequence[str], folder: str) -> _Span:
    evaluated = _evaluated(judgement, len(derived))
    broken = _broken(judgement, evaluated, folder)
    if not judgement.rows:
        return _Span(None, np.zeros(0, bool), broken)
    rows = _with_derived(rows_of(folder, ROWS, judgement.number), evaluated, len(derived))
    if not broken:
        return _Span(rows, np.zeros(rows.num_rows, bool), broken)
    return _Span(rows, np.isin(_lines(rows, judgement), np.fromiter(broken, np.int64, len(broken))), broken)


def _lines(rows: pa.Table, judgement: Judgement) -> Places:
    return np.asarray(rows["at"].to_numpy() - judgement.number * LINES_OF_A_SPAN)


def _evaluated(judgement: Judgement, derived: int) -> pa.Table | None:
    if not judgement.evaluated:
        return None
    return evaluated_of(judgement.evaluated, judgement.number, [f"d{at}" for at in range(derived)])


def _broken(judgement: Judgement, evaluated: pa.Table | None, folder: str) -> Broken:
    """What checks and other rows say of the span's."""
    first = judgement.number * LINES_OF_A_SPAN
    broken: Broken = {}
    if evaluated is not None:
        some = evaluated.filter(pc.is_valid(evaluated[BROKEN])).select([AT, BROKEN])
        told = zip(*(column.to_pylist() for column in some.columns), strict=True)
        broken = {at - first: tuple(rules.split(BETWEEN)) for at, rules in told}
    if judgement.copies:
        broken |= dict.fromkeys((places_of(folder, COPIES, judgement.number) - first).tolist(), (DUPLICATE,))
    return broken


def _with_derived(rows: pa.Table, evaluated: pa.Table | None, derived: int) -> pa.Table:
    if not derived:
        return rows
    own = evaluated.filter(~pc.field(AS_ASIDE)) if evaluated is not None else None
    if own is None or not rows["at"].combine_chunks().equals(own[AT].combine_chunks()):
        raise AccountingError("the derived columns are of other rows than those that were read. Run again.")
    for at in range(derived):
        rows = rows.append_column(f"d{at}", own[f"d{at}"])
    return rows


def _put_records(rows: pa.Table | None, judgement: Judgement, table: TablePlan, folder: str) -> int:
    if rows is None or not rows.num_rows:
        return 0
    put_finished(folder, KEPT, judgement.number, _records(rows, judgement, table))
    return int(rows.num_rows)


def _records(rows: pa.Table, judgement: Judgement, table: TablePlan) -> pa.Table:
    found = {plan.name: rows[f"c{at}"] for at, plan in enumerate(table.columns)}
    found |= {name: rows[f"d{at}"] for at, name in enumerate(table.derived)}
    found[SOURCE_FILE] = _alike(judgement.span.file, rows.num_rows)
    found[SOURCE_LINE] = pa.array(_lines(rows, judgement) + judgement.before + 1)
    found[ROW_DIGEST] = rows["digest"]
    return pa.table(found)


def _groups(taken: pa.Table, judgement: Judgement, broken: Broken) -> Counter[tuple[str, str, str, str]]:
    lines = _lines(taken, judgement).tolist()
    notes = (taken[name].fill_null("").to_pylist() for name in ("missing", "failed", "normalised"))
    return Counter(
        (BETWEEN.join(broken[line]), missing, failed, normalised)
        for line, missing, failed, normalised in zip(lines, *notes, strict=True)
    )


def _alike(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text])


# ---------------------------------------------------------------- the quarantine


def _taken(taken: pa.Table, judgement: Judgement, broken: Broken, table: TablePlan) -> pa.Table:
    """Rows that are no records after all: their text is read again."""
    of_rows = [broken[line] for line in _lines(taken, judgement).tolist()]
    told = {
        RAW: [text.decode(errors="replace") for text in texts_of(judgement.span, table, taken)],
        RULE: [rules[0] for rules in of_rows],
        REASON: ["; ".join(table.reasons[rule] for rule in rules) for rules in of_rows],
    }
    return _quarantined(taken, {name: pa.array(texts, pa.string()) for name, texts in told.items()}, judgement, table)


def _aside(judgement: Judgement, broken: Broken, table: TablePlan, folder: str) -> pa.Table:
    """Rows that a rule of theirs sets aside, with the checks that they break too among the reasons."""
    rows = rows_of(folder, ASIDE, judgement.number)
    reasons = [
        "; ".join([reason, *(table.reasons[rule] for rule in broken.get(line, ()))])
        for line, reason in zip(_lines(rows, judgement).tolist(), rows[REASON].to_pylist(), strict=True)
    ]
    return _quarantined(rows, {RAW: rows[RAW], RULE: rows[RULE], REASON: pa.array(reasons)}, judgement, table)


def _quarantined(rows: pa.Table, told: dict[str, pa.Array], judgement: Judgement, table: TablePlan) -> pa.Table:
    columns = {
        SOURCE: _alike(table.source, rows.num_rows),
        FILE: _alike(judgement.span.file, rows.num_rows),
        LINE: pa.array(_lines(rows, judgement) + judgement.before + 1),
        DIGEST: rows["digest"],
        **told,
    }
    return pa.table({name: columns[name] for name in QUARANTINE_COLUMNS})


def texts_of(span: Span, table: TablePlan, rows: pa.Table) -> list[bytes]:
    """The text of rows, which is read again."""
    return texts_at(span, table.encoding, rows["first"].to_numpy(), rows["size"].to_numpy())
