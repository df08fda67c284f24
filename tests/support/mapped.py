"""Tables read by a mapping made up for a test: the events, the rows set aside, the counts."""

from collections.abc import Callable
from typing import Any, NamedTuple

from medspark.store.facts import MappedCounts

LAB = {
    "subject": "patient",
    "columns": {"patient": "long", "value": "double"},
    "events": [{"code": "LAB", "number": "value"}],
}


class Found(NamedTuple):
    """What a read made: events and rows set aside as tuples, in order, and the counts of each table."""

    events: list[tuple[Any, ...]]
    aside: list[tuple[Any, ...]]
    counts: dict[str, MappedCounts]


Read = Callable[..., Found]


def adds_up(table: MappedCounts) -> bool:
    set_aside = sum(table.non_events.values()) + sum(table.quarantined.values()) + table.duplicates
    return table.rows_in == table.with_events + set_aside
