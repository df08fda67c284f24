"""What was there before and is not tonight: names that are gone, and what is there but says nothing."""

from collections.abc import Mapping
from typing import Any, Final

from medspark.clean.limits import empty_columns
from medspark.store.facts import EventCounts, TableCounts
from medspark.task.event_task import EventTask
from medspark.task.scoring import columns_that_say

LEAST_SHARE: Final = 0.01
"""Of those that say nothing, however few training had: a night's few patients may be alike."""
UNLIKELY: Final = 1e-6
"""That nobody of a night says anything by chance: less is no chance."""
LEAST_PATIENTS: Final = 100
"""Of a night on which a table without a row stops the run: patients just admitted have no results yet, and fewer than
these may all be so. Rows of which none says anything stop it whatever their number of patients."""


def absent_names(before: Mapping[str, Any], counts: EventCounts) -> list[str]:
    """The tables and columns that were read before and a source of events lacks.

    Args:
        before: by table what `MappedCounts` has, as a bundle's manifest keeps it.
        counts: the source's.
    """
    absent = [f"table {name}" for name in before if name not in counts.tables]
    return [*absent, *absent_columns(before, counts)]


def absent_columns(before: Mapping[str, Any], counts: EventCounts) -> list[str]:
    """The columns of `absent_names`."""
    return [
        f"column {name}.{column}"
        for name, table in counts.tables.items()
        for column in before.get(name, {}).get("columns", [])
        if column not in table.columns
    ]


def suddenly_silent(before: Mapping[str, Any], counts: EventCounts, task: EventTask) -> tuple[list[str], list[str]]:
    """The tables that are there without an event, and the columns without a value, where what was before makes that no
    chance: a patient's rows are alike, so that patients are counted, not rows.

    Counts made before patients were counted know none.

    Returns:
        What no night has by chance; and apart from it the tables without a row, where the patients are too few to tell.
    """
    silent = _silent(before, counts, task)
    few = _patients(counts) < LEAST_PATIENTS
    empty = {_event_of(name) for name, table in counts.tables.items() if few and not table.rows_in}
    return [name for name in silent if name not in empty], [name for name in silent if name in empty]


def _event_of(table: str) -> str:
    return f"any event of table {table}"


def _patients(counts: EventCounts) -> int:
    return max((table.patients for table in counts.tables.values()), default=0)


def _silent(before: Mapping[str, Any], counts: EventCounts, task: EventTask) -> list[str]:
    """What says nothing tonight, however few the patients."""
    everybody = max((table.get("patients", 0) for table in before.values()), default=0)
    tonight = _patients(counts)
    silent = []
    for name, columns in columns_that_say(task).items():
        old, new = before.get(name, {}), counts.tables.get(name)
        if new is None or not old.get("patients"):
            continue
        if not new.with_events:
            silent += [_event_of(name)] if _no_chance(1 - old["patients"] / everybody, tonight) else []
            continue
        shares = {column: old["missing"].get(column, 0) / old["with_events"] for column in columns}
        empty = [column for column in columns if new.missing.get(column) == new.with_events]
        silent += [f"a value in column {name}.{column}" for column in empty if _no_chance(shares[column], new.patients)]
    return silent


def suddenly_empty(trained: Mapping[str, Any], counts: TableCounts, asked: list[str]) -> list[str]:
    """The columns of a table without a value in any record, where training's share of missing values makes that no
    chance.

    A bundle made before shares were kept knows none.
    """
    if "missing" not in trained or not trained.get("records"):
        return []
    shares = {name: trained["missing"].get(name, 0) / trained["records"] for name in asked}
    empty = [name for name in empty_columns(counts) if name in shares]
    return [f"a value in column {name}" for name in empty if _no_chance(shares[name], counts.records)]


def _no_chance(share: float, of: int) -> bool:
    """Whether so many that say nothing, of which each does by a share, are too many for chance."""
    return max(LEAST_SHARE, share) ** of < UNLIKELY
