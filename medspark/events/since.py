"""What of a source's tables is past what a store has read: rows by their times of writing, or changes by their commits.

A time of writing is in microseconds since 1970. It is read from some hours before the newest one that the store has, so
that rows which came late are found; those that were read before are known again by their ids.
"""

import time
from collections.abc import Mapping
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.events.build import NON_EVENT
from medspark.events.warehouse import Warehouse, raw_table
from medspark.schemas import SOURCE_FILE, quoted
from medspark.sources.databases.delta import CHANGE_TYPE, COMMIT_VERSION
from medspark.sources.databases.source import OpenSource, Past
from medspark.task.event_source import Increment
from medspark.task.mapping import MappedTable

READ_BEFORE: Final = "read before"
"""Why a row is passed over that was written before those that are read: it is not counted."""
LATE_HOURS: Final = 24.0
TAKEN_BACK: Final = "taken back"
_MICROS: Final = 3_600_000_000


def read_from(increment: Increment, marks: Mapping[str, int]) -> dict[str, int]:
    """From where on each table is read.

    >>> read_from(Increment(by="column", late_hours=1), {"labs": 7_200_000_000})
    {'labs': 3600000000}
    >>> read_from(Increment(by="changes"), {"labs": 7})
    {'labs': 8}

    Args:
        increment: of the source.
        marks: by table the newest time of writing, or the newest commit, that the store has.
    """
    if increment.by == "changes":
        return {name: mark + 1 for name, mark in marks.items()}
    late = LATE_HOURS if increment.late_hours is None else increment.late_hours
    return {name: mark - round(late * _MICROS) for name, mark in marks.items()}


def written(spec: MappedTable) -> str | None:
    """The column with the time of a row's writing."""
    return spec.row.written if spec.row is not None else None


def database_rows(warehouse: Warehouse, name: str, spec: MappedTable, since: int | None) -> DataFrame | None:
    """A table's rows from somewhere on, of its columns and SOURCE_FILE; None of an optional one that is not there."""
    database, increment = warehouse.database, warehouse.source.increment
    assert database is not None
    if spec.optional and not database.has_table(name):
        return None
    columns = list(raw_table(warehouse, name, spec).columns)
    if increment is not None and increment.by == "changes":
        return _changes(database, name, columns, spec.absent, since)
    by = written(spec)
    past = Past(by, since) if by is not None and since is not None else None
    return database.read(name, spec.subject, columns, spec.absent, past).withColumn(SOURCE_FILE, F.lit(name))


def _changes(
    database: OpenSource, name: str, columns: list[str], absent: tuple[str, ...], since: int | None
) -> DataFrame:
    """A Delta table, or its changes from a commit on: SOURCE_FILE has the commit, and what it did to the row.

    Raises:
        InputError: the table has fewer commits than were read of it.
    """
    newest = database.version_of(name)
    if since is not None and since > newest + 1:
        raise InputError(
            f"{database.place}: expected the table {name!r} with the {since} commits that the store has read, received "
            f"one of {newest + 1}. Was it made anew? Run `medspark clean` once, which reads it whole."
        )
    if since is None or since > newest:
        rows, commit, gone = database.read(name, None, columns, absent), F.lit(newest), F.lit(False)
        rows = rows if since is None else rows.limit(0)
    else:
        rows = database.read_changes(name, columns, absent, since)
        commit, gone = F.col(COMMIT_VERSION), F.col(CHANGE_TYPE).isin("delete", "update_preimage")
    # Of an update the row is taken back first: its patient may be another one afterwards
    did = F.when(gone, f"0 {TAKEN_BACK}").otherwise("1 written")
    place = F.concat_ws("/", F.lit(name), F.lpad(commit.cast("string"), 20, "0"), did)
    return rows.withColumn(SOURCE_FILE, place).drop(COMMIT_VERSION, CHANGE_TYPE)


def require_same_tables(place: str | None, before: Mapping[str, str], there: Mapping[str, str]) -> None:
    """Refuse the changes of a table that is another one than the store has read.

    Args:
        place: of the source.
        before: by table the id of the one that the store has read, where it knows any.
        there: the same of the source's tables.

    Raises:
        InputError: a table has another id.
    """
    others = [name for name, one in there.items() if before.get(name, one) != one]
    if others:
        raise InputError(
            f"{place}: expected the tables whose changes the store has read, received others of the names "
            f"{', '.join(others)}. Were they made anew? Run `medspark clean` once, which reads them whole."
        )


def pass_over_read(judged: DataFrame, spec: MappedTable, by: str, since: int | None) -> DataFrame:
    """Pass over rows that were written before a time, but none without one; of changes those that take a row back.

    Args:
        judged: rows with NON_EVENT.
        spec: of their table.
        by: what kind of increment the source has.
        since: from where on the table is read.
    """
    name = written(spec)
    if by == "changes":
        passed = F.when(F.endswith(F.col(SOURCE_FILE), F.lit(f"/0 {TAKEN_BACK}")), TAKEN_BACK)
    elif by == "column" and name is not None and since is not None:
        passed = F.when(micros_of(name) < since, READ_BEFORE)
    else:
        return judged
    return judged.withColumn(NON_EVENT, F.coalesce(passed, F.col(NON_EVENT)))


def micros_of(name: str) -> Column:
    return F.unix_micros(F.col(quoted(name)).cast("timestamp"))


def written_as_text(name: str) -> Column:
    """A time of writing as text whose letters are in the order of the times; empty where there is none."""
    return F.coalesce(F.date_format(F.col(quoted(name)).cast("timestamp"), "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"), F.lit(""))


def this_moment() -> int:
    return time.time_ns() // 1000
