"""The counts of a source that was read in parts."""

from dataclasses import asdict, replace
from typing import Any

from medspark.store.facts import EventCounts, MappedCounts


def added_counts(before: EventCounts, more: EventCounts) -> EventCounts:
    """What became of the rows of a source that was read in parts."""
    tables = {name: _added(before.tables.get(name), more.tables.get(name)) for name in {**before.tables, **more.tables}}
    whole = {name: _sum(getattr(before, name), getattr(more, name)) for name in asdict(before) if name != "tables"}
    return EventCounts(**whole, tables=tables)


def _added(before: MappedCounts | None, more: MappedCounts | None) -> MappedCounts:
    found = [counts for counts in (before, more) if counts is not None]
    if len(found) == 1:
        return found[0]
    sums = {name: _sum(*(getattr(counts, name) for counts in found)) for name in asdict(found[0])}
    told = max(counts.patients for counts in found), sums["missing"]  # of the patients many came again
    patients, missing = told if all(counts.patients or not counts.with_events for counts in found) else (0, {})
    return MappedCounts(**{**sums, "patients": patients, "missing": missing})


def _sum(first: Any, second: Any) -> Any:
    """Numbers, or numbers by name, added; names joined."""
    if isinstance(first, list):
        return sorted({*first, *second})
    if isinstance(first, dict):
        return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}
    return first + second


def counts_without(before: EventCounts, again: dict[str, MappedCounts]) -> EventCounts:
    """What became of the rows of a source but for those that are read again, by table; records as they were."""
    tables = {name: _less(counts, again.get(name)) for name, counts in before.tables.items()}
    whole = {**asdict(before), "tables": tables}
    for name in ("rows_in", "with_events", "duplicates"):
        whole[name] -= sum(getattr(counts, name) for counts in again.values())
    whole["non_events"] -= sum(sum(counts.non_events.values()) for counts in again.values())
    for name in ("quarantined", "set_missing", "normalised"):
        told = {f"{table}, {rule}": n for table, counts in again.items() for rule, n in getattr(counts, name).items()}
        whole[name] = _difference(whole[name], told)
    return EventCounts(**whole)


def _less(before: MappedCounts, again: MappedCounts | None) -> MappedCounts:
    if again is None:
        return before
    differ = [name for name in asdict(before) if name not in ("columns", "patients")]
    return replace(before, **{name: _difference(getattr(before, name), getattr(again, name)) for name in differ})


def _difference(first: Any, second: Any) -> Any:
    """Numbers, or numbers by name, less others; names without any go."""
    if isinstance(first, dict):
        return {name: n - second.get(name, 0) for name, n in first.items() if n != second.get(name, 0)}
    return first - second
