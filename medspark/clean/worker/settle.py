"""What becomes of a span's rows once checks and other rows have spoken: records, and the quarantine. No Spark here."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
from medspark.clean.worker.texts import Places
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
    quarantined: int
    groups: Counter[tuple[str, str, str, str]]
    """Rows that are no records after all, by the rules that set them aside now, and those that their values broke, that
    they failed, that normalised them."""
    missing: dict[str, int]
    """How many of those lack a value, by column."""


def settle_span(judgement: Judgement, table: TablePlan, folder: str) -> Settled:
    """Write a span's records, and its part of the quarantine.

    Args:
        judgement: of the span.
        table: its columns and rules.
        folder: where the span's rows are, and go.

    Raises:
        AccountingError: a row has no derived columns, or those of another one.
    """
    derived = _evaluated(judgement, table)
    broken = _broken(judgement, derived, folder)
    parts = [_aside(judgement, broken, table, folder)] if judgement.aside else []
    records, missing = 0, {}
    groups: Counter[tuple[str, str, str, str]] = Counter()
    if judgement.rows:
        rows = _with_derived(rows_of(folder, ROWS, judgement.number), derived, len(table.derived))
        gone = np.isin(_lines(rows, judgement), np.fromiter(broken, np.int64, len(broken)))
        records = _put_records(rows.filter(pa.array(~gone)) if gone.any() else rows, judgement, table, folder)
        taken = rows.filter(pa.array(gone))
        if taken.num_rows:
            parts.append(_taken(taken, judgement, broken, table))
        groups = _groups(taken, judgement, broken)
        missing = {plan.name: taken[f"c{at}"].null_count for at, plan in enumerate(table.columns)}
    if parts:
        put_finished(folder, QUARANTINE, judgement.number, pa.concat_tables(parts))
    return Settled(records, sum(part.num_rows for part in parts), groups, missing)


def _lines(rows: pa.Table, judgement: Judgement) -> Places:
    return np.asarray(rows["at"].to_numpy() - judgement.number * LINES_OF_A_SPAN)


def _evaluated(judgement: Judgement, table: TablePlan) -> pa.Table | None:
    if not judgement.evaluated:
        return None
    return evaluated_of(judgement.evaluated, judgement.number, [f"d{at}" for at in range(len(table.derived))])


def _broken(judgement: Judgement, evaluated: pa.Table | None, folder: str) -> Broken:
    """What checks and other rows say of the span's."""
    first = judgement.number * LINES_OF_A_SPAN
    broken: Broken = {}
    if evaluated is not None:
        some = evaluated.filter(pc.field(BROKEN) != "").select([AT, BROKEN])
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


def _put_records(rows: pa.Table, judgement: Judgement, table: TablePlan, folder: str) -> int:
    if rows.num_rows:
        found = {plan.name: rows[f"c{at}"] for at, plan in enumerate(table.columns)}
        found |= {name: rows[f"d{at}"] for at, name in enumerate(table.derived)}
        found[SOURCE_FILE] = _alike(judgement.span.file, rows.num_rows)
        found[SOURCE_LINE] = pa.array(_lines(rows, judgement) + judgement.before + 1)
        found[ROW_DIGEST] = rows["digest"]
        put_finished(folder, KEPT, judgement.number, pa.table(found))
    return int(rows.num_rows)


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
