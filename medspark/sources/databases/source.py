"""The tables of a source while it is open."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.errors import InputError, did_you_mean
from medspark.schemas import quoted


class Past(NamedTuple):
    """Rows from a time on, and those without one."""

    column: str
    micros: int
    """Since 1970."""


@dataclass(frozen=True)
class OpenSource:
    """The tables of a source while it is open. Names match exactly, else by their letters whatever the case."""

    place: str
    """Where, for messages: without user and password."""
    consistent: bool
    """Whether all reads of a table see the same rows, whatever is written in between."""
    tables: tuple[str, ...]
    list_columns: Callable[[str], tuple[str, ...]] = field(repr=False)
    """A table's columns, by the name that the source lists the table under."""
    load: Callable[[str, str | None, dict[str, str], Past | None], DataFrame] = field(repr=False)
    """Table, subject, the table's own name of each column by the name it gets, and past what rows are read, by that
    name; those before may be read as well."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Of Delta tables: the version that is read."""
    changes: Callable[[str, int, dict[str, str]], DataFrame] | None = field(default=None, repr=False)
    """Of Delta tables: the rows of a change data feed from a version on."""
    identify: Callable[[str], str] | None = field(default=None, repr=False)
    """Of Delta tables: the id that a table got when it was made."""

    def has_table(self, table: str) -> bool:
        return match_name(table, self.tables) is not None

    def columns(self, table: str) -> tuple[str, ...]:
        """The names of a table's columns.

        Raises:
            InputError: there is no such table.
        """
        return self.list_columns(self._own_name(table))

    def unread_columns(self, table: str, columns: Collection[str]) -> list[str]:
        """The names of a table's columns that are none of some.

        Raises:
            InputError: there is no such table.
        """
        known = self.columns(table)
        read = {match_name(name, known) for name in columns}
        return [name for name in known if name not in read]

    def read(
        self,
        table: str,
        subject: str | None = None,
        columns: Collection[str] | None = None,
        optional: Collection[str] = (),
        past: Past | None = None,
    ) -> DataFrame:
        """A table's columns, or those named, under the names asked for.

        Of a database a whole-numbered `subject` cuts the table into parallel reads; `optional` columns may be absent.
        Of rows before `past` the source sends none where it can tell.

        Raises:
            InputError: there is no such table or column, or a column has a value that Spark cannot hold.
        """
        own, known, found = self._found(table, columns, optional)
        by = match_name(subject, known) if subject is not None else None  # a derived subject is no column of the table
        return self.load(own, by, found, past if past is not None and past.column in found else None)

    def read_changes(self, table: str, columns: Collection[str], optional: Collection[str], since: int) -> DataFrame:
        """What a Delta table's change data feed has from a version on, with `_change_type` and `_commit_version`.

        Raises:
            InputError: as `read`, or the feed is not kept, or not from there on.
        """
        own, _, found = self._found(table, columns, optional)
        if self.changes is None:
            raise InputError(f"{self.place}: expected a table with a change data feed, received {own!r} without")
        return self.changes(own, since, found)

    def version_of(self, table: str) -> int:
        """The version of a Delta table that is read."""
        return self.versions[self._own_name(table)]

    def id_of(self, table: str) -> str | None:
        """The id that a Delta table got when it was made; None of others."""
        return self.identify(self._own_name(table)) if self.identify is not None else None

    def _found(
        self, table: str, columns: Collection[str] | None, optional: Collection[str]
    ) -> tuple[str, tuple[str, ...], dict[str, str]]:
        """A table's own name, its columns, and of those asked for the own name of each that is there."""
        own = self._own_name(table)
        known = self.list_columns(own)
        asked = {name: match_name(name, known) for name in columns or known}
        missing = [name for name, found in asked.items() if found is None and name not in optional]
        if missing:
            hints = "".join(did_you_mean(name, known) for name in missing)
            raise InputError(
                f"{self.place}: table {own!r}: expected the columns {', '.join(missing)}, received "
                f"{', '.join(known)}.{hints}"
            )
        return own, known, {name: found for name, found in asked.items() if found is not None}

    def _own_name(self, table: str) -> str:
        found = match_name(table, self.tables)
        if found is None:
            raise InputError(
                f"{self.place}: expected a table {table!r}, received {len(self.tables)} tables without it."
                f"{did_you_mean(table, self.tables)}"
            )
        return found


def match_name(name: str, known: Collection[str]) -> str | None:
    """The known name that is `name`, or the only one that is but for upper and lower case.

    >>> match_name("person", ["PERSON", "visit"])
    'PERSON'
    >>> match_name("person", ["PERSON", "Person"]) is None
    True
    """
    if name in known:
        return name
    alike = [other for other in known if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def open_frames(
    place: str,
    tables: tuple[str, ...],
    frame_of: Callable[[str], DataFrame],
    *,
    consistent: bool,
    versions: Mapping[str, int] | None = None,
    changes: Callable[[str, int, dict[str, str]], DataFrame] | None = None,
    identify: Callable[[str], str] | None = None,
) -> OpenSource:
    """A source whose tables Spark reads itself, each as the frame that `frame_of` gives for its name."""
    frame = cache(frame_of)

    def load(table: str, _subject: str | None, columns: dict[str, str], past: Past | None) -> DataFrame:
        return rows_past(frame(table).select(*(F.col(quoted(own)).alias(name) for name, own in columns.items())), past)

    return OpenSource(
        place=place,
        consistent=consistent,
        tables=tables,
        list_columns=lambda table: tuple(frame(table).columns),
        load=load,
        versions=versions or {},
        changes=changes,
        identify=identify,
    )


def rows_past(frame: DataFrame, past: Past | None) -> DataFrame:
    """The rows from a time on, as far as a column's type tells: a time without a zone is of one within a day."""
    kind = dict(frame.dtypes).get(past.column) if past is not None else None
    if past is None or kind not in ("timestamp", "timestamp_ntz"):
        return frame
    moment = F.lit(datetime.fromtimestamp(past.micros / 1e6, UTC))
    if kind == "timestamp_ntz":
        moment = F.lit(datetime.fromtimestamp(past.micros / 1e6, UTC).replace(tzinfo=None) - timedelta(days=1))
    column = F.col(quoted(past.column))
    return frame.where(column.isNull() | (column >= moment))
