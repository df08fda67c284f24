"""Rows of a span judged by their table's rules: every column typed, the rules that each row breaks. No Spark here."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.clean.worker.columns import DOUBT, Judged, judge_column
from medspark.clean.worker.plan import ColumnPlan, TablePlan
from medspark.clean.worker.texts import Flags, Texts, flags, only, read_texts
from medspark.sources.record_rules import OTHER_TABLE
from medspark.sources.worker.csv_fields import Fields
from medspark.task.columns import (
    BooleanColumn,
    CategoryColumn,
    CodeColumn,
    DateColumn,
    IntervalColumn,
    NumberColumn,
    TextColumn,
)

SET_ASIDE, SET_MISSING, FAILED, NORMALISED = range(4)
"""What a broken rule does, as a place in `JudgedRows.rules`."""
_ACTIONS: Final = {"set_aside": SET_ASIDE, "missing": SET_MISSING, "fail": FAILED}
_TYPED: Final = NumberColumn | IntervalColumn | BooleanColumn | DateColumn
TYPED_VALUES: Final = 3
"""Values that are read by a type, from which on a row where not one can be read is taken for another table's."""
MOST_LOOKED_AT: Final = 20
"""Columns whose values say so, of a wide table."""


class JudgedRows(NamedTuple):
    """Typed rows; of each rule by what it does, the rows that break it, in the order in which the rules judge."""

    values: list[pa.Array]
    rules: tuple[dict[int, list[str]], ...]
    doubtful: Flags
    """Rows that only Spark can judge."""


def judge_rows(fields: Fields, table: TablePlan) -> JudgedRows:
    """Every column typed, and for each row the rules that it breaks."""
    rows = len(fields.rows)
    whole = np.ones(rows, bool)
    whole[list(fields.rules)] = False
    rules: tuple[dict[int, list[str]], ...] = ({}, {}, {}, {})
    for row, rule in fields.rules.items():
        rules[SET_ASIDE][row] = [rule]
    texts = dict(_texts(fields, table))
    judged = {plan.name: judge_column(plan, texts[plan.name], table, _unit(plan, texts)) for plan in table.columns}
    doubtful = np.zeros(rows, bool)
    for name, found in judged.items():
        doubtful |= (found.broken == DOUBT) | texts[name].doubtful
    for row, unknown in fields.unknown.items():
        doubtful[row] |= any(table.names[at] in table.asked for at in unknown)
    _note(rules[SET_ASIDE], whole & _of_another_table(table, texts, judged), OTHER_TABLE)
    for plan in table.columns:
        _note_column(rules, plan, texts[plan.name], judged[plan.name], whole)
    return JudgedRows([judged[plan.name].values for plan in table.columns], rules, doubtful)


def _texts(fields: Fields, table: TablePlan) -> Iterator[tuple[str, Texts]]:
    places = {name: at for at, name in enumerate(table.names)}
    for plan in table.columns:
        counts = isinstance(plan.spec, CategoryColumn | CodeColumn | TextColumn)
        yield plan.name, read_texts(fields.columns[places[plan.name]], plan.missing, counts, fields.strange)


def _unit(plan: ColumnPlan, texts: dict[str, Texts]) -> pa.Array | None:
    units = plan.spec.units if isinstance(plan.spec, NumberColumn) else None
    return None if units is None else only(texts[units.column].array, texts[units.column].given)


def _of_another_table(table: TablePlan, texts: dict[str, Texts], judged: dict[str, Judged]) -> Flags:
    """Whether a row gives values that not one of the columns' types reads; none where the table has too few types."""
    deciding = [plan for plan in table.columns if plan.name not in table.decide_nothing]
    typed = [plan.name for plan in deciding if isinstance(plan.spec, _TYPED)][:MOST_LOOKED_AT]
    rows = len(next(iter(texts.values())).given)
    if len(typed) < TYPED_VALUES:
        return np.zeros(rows, bool)
    given, read = np.zeros(rows, np.int64), np.zeros(rows, bool)
    for name in typed:
        given += texts[name].given
        read |= texts[name].given & (judged[name].broken != 1)
    return np.asarray((given >= TYPED_VALUES) & ~read)


def _note_column(
    rules: tuple[dict[int, list[str]], ...], plan: ColumnPlan, texts: Texts, judged: Judged, whole: Flags
) -> None:
    if plan.required is not None:
        _note(rules[_ACTIONS[plan.on_missing]], whole & ~texts.given, plan.required)
    if judged.broken.any():
        for step, rule in enumerate(plan.rules, start=1):
            _note(rules[_ACTIONS[plan.action]], whole & (judged.broken == step), rule)
    _note(rules[NORMALISED], texts.changed, plan.normalised)


def _note(found: dict[int, list[str]], where: npt.NDArray[np.bool_], rule: str) -> None:
    for row in np.flatnonzero(where):
        found.setdefault(int(row), []).append(rule)


def counted(rules: tuple[dict[int, list[str]], ...], rows: Flags) -> Counter[tuple[str, str, str, str]]:
    """How many of the chosen rows break which rules: texts of rules, one a line, by what they do."""
    joined = [{row: "\n".join(names) for row, names in part.items()} for part in rules]
    named = set().union(*joined)
    groups = Counter(tuple(part.get(row, "") for part in joined) for row in named if rows[row])
    groups["", "", "", ""] += int(rows.sum()) - groups.total()
    return groups  # type: ignore[return-value]


def lacking(values: pa.Array, rows: Flags) -> int:
    """How many of the chosen rows lack a value."""
    return int((~flags(values.is_valid()) & rows).sum()) if values.null_count else 0
