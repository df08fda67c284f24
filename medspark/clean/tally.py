"""How many judged rows there are of each status, and by the rules that they break."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from pyspark.sql import DataFrame, Row

from medspark.clean.judge import FAILED, KEPT, NORMALISED, QUARANTINED, SET_ASIDE, SET_MISSING, STATUS
from medspark.clean.worker.staged import BETWEEN
from medspark.schemas import REPAIRED, quoted

TALLIED: Final = (STATUS, SET_ASIDE, SET_MISSING, NORMALISED, FAILED, REPAIRED)
"""The columns of judged rows that they are counted by."""
ROWS: Final = "rows"


class Tally(NamedTuple):
    """Rows by status and by rule; the rules are sorted."""

    status: Counter[str]
    quarantined: dict[str, int]
    """By the first rule that a row breaks."""
    set_missing: dict[str, int]
    """Values of the rows kept, by the rule that they broke."""
    normalised: dict[str, int]
    """Texts of the rows kept that lost invisible letters, by rule."""
    failed: dict[str, int]
    repaired: int


def tally(groups: Iterable[Row]) -> Tally:
    """Add up groups of judged rows: each has the columns TALLIED and, in ROWS, how many rows are alike in them.

    >>> kept = dict(_status=KEPT, _set_aside="", _failed="", _repaired=False)
    >>> tally([Row(**kept, _set_missing="age: range", _normalised="", rows=3)]).set_missing
    {'age: range': 3}
    """
    status: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    set_missing: Counter[str] = Counter()
    normalised: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    repaired = 0
    for group in groups:
        rows = group[ROWS]
        status[group[STATUS]] += rows
        if group[STATUS] == QUARANTINED:
            quarantined[group[SET_ASIDE].split(BETWEEN)[0]] += rows
        if group[STATUS] == KEPT:
            set_missing.update(dict.fromkeys(_rules(group[SET_MISSING]), rows))
            normalised.update(dict.fromkeys(_rules(group[NORMALISED]), rows))
        failed.update(dict.fromkeys(_rules(group[FAILED]), rows))
        repaired += rows if group[REPAIRED] else 0
    return Tally(status, _sorted(quarantined), _sorted(set_missing), _sorted(normalised), _sorted(failed), repaired)


def lacking(records: DataFrame, names: list[str]) -> dict[str, int]:
    """How many records lack a value, by column, of those columns that some lack."""
    if not names:
        return {}
    counts = tuple(records.selectExpr([f"count_if({quoted(name)} IS NULL)" for name in names]).collect()[0])
    return {name: rows for name, rows in zip(names, counts, strict=True) if rows}


def _rules(text: str) -> list[str]:
    return [rule for rule in text.split(BETWEEN) if rule]


def _sorted(rules: Counter[str]) -> dict[str, int]:
    return dict(sorted(rules.items()))
