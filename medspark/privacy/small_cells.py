"""Counts of 1 to 10 patients, and every number they could be worked out from, stay hidden."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

SMALL: Final = 11
"""Counts of 1 to 10 patients are not published (the cell size suppression policy of CMS)."""

HIDDEN: Final = f"<{SMALL}"

HIDDEN_REASON: Final = f"a count below {SMALL} is not shown"

_CELLS: Final = ("tp", "fp", "fn", "tn", "positives")


def publishable_counts(counts: Sequence[int]) -> list[int | str]:
    """Counts that may add up to one another, to be shown together.

    Those of 1 to 10 become "<11", and then all the others are rounded to tens ("~120"), or a total would
    give the hidden one away.
    """
    small = any(map(is_small, counts))

    def shown(count: int) -> int | str:
        if is_small(count):
            return HIDDEN
        return f"~{(count + 5) // 10 * 10}" if small and count else count

    return [shown(count) for count in counts]


def is_small(count: int) -> bool:
    return 0 < count < SMALL


def publishable_thresholds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `at_thresholds` without small cells, and without tp, fp, fn and tn.

    A row that shows, or gives away, a count of 1 to 10 keeps its band and limits only; the band below it
    then loses its own counts, or the difference between its neighbours would give the hidden one away.
    """
    hidden = [_gives_away(row) for row in rows]
    published = []
    for row, gone, above in zip(rows, hidden, [*hidden[1:], False], strict=False):
        keep = {"band", "from", "to"} if gone else set(row)
        keep -= {"n", "observed"} if above else set()
        reason = HIDDEN_REASON if gone or above else None
        published.append(
            {key: row[key] if key in keep else None for key in row if key not in _CELLS} | {"reason": reason}
        )
    return published


def _gives_away(row: Mapping[str, Any]) -> bool:
    counts = (
        row["tp"],
        row["fp"],
        row["fn"],
        row["tn"],
        row["n"],
        row["positives"],
        row["n"] - row["positives"],
    )
    return any(map(is_small, counts))
