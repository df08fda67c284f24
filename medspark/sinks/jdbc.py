"""Scores into a table of a database: staged, counted, checked, and shown by one transaction.

    scores               the rows
    scores_nights        a row for each publication: the night, its rows and their checksum, when
    scores_staging_...   of the run that is at it; those of dead runs are dropped by the deployment's next one

A run that dies before the commit leaves the table as it was; one that dies after it, or never hears of it, finds the
night noted when it comes again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession

from medspark.deploy.deployment import DatabaseSink, Layout
from medspark.errors import InputError
from medspark.schemas import NIGHT, quoted
from medspark.sinks.layouts import laid_out
from medspark.sinks.publication import Publication, Sums, require_arrived, sums_of, with_lists_as_text
from medspark.sinks.sql import (
    NIGHTS,
    Writes,
    add_column,
    bring_in,
    create,
    dialect_of,
    find_night,
    forget_night,
    note_night,
    remove_replaced,
)
from medspark.sources.databases import generic, postgresql
from medspark.sources.databases.jdbc import Dialect, OpenDatabase, ask, asking, connected, load_query, sql_name
from medspark.sources.databases.packages import jvm_of
from medspark.task.connection import Connection

READING: Final = (postgresql.DIALECT, generic.DIALECT)
ROWS_A_BATCH: Final = "10000"


@dataclass(frozen=True)
class JdbcSink:
    """A table of a database."""

    spark: SparkSession
    settings: Connection
    table: str
    newest: bool
    place: str
    layout: Layout = "scores"

    def holds(self, night: Publication) -> bool:
        """Whether the night is noted with the checksum that its rows have now."""
        night = laid_out(night, self.layout, self.place)
        with self._open() as database:
            if not (_columns(database, self.table) and _columns(database, f"{self.table}_nights")):
                return False
            noted = ask(database, "look for the night", find_night(self._name("_nights")), night.night)
            if not noted or str(noted[0][0]) != night.sums.checksum:
                return False
            return self.newest or _arrived(database, self._name(), self.table, night.rows, night.night) == night.sums

    def put(self, night: Publication) -> None:
        """Stage, count, check, and show."""
        night = laid_out(night, self.layout, self.place)
        rows, writes = with_lists_as_text(night.rows), dialect_of(self.settings.url)
        mine = f"{self.table}_staging_{_short(night.deployment)}_"
        with self._open() as database:
            self._prepare(database, writes, rows, mine)
            shown = mine + _short(night.run_id)
            staged = _name(database, shown)
            _run(database, "make the staging table", create(writes, staged, dict(rows.dtypes)))
            try:
                _append(database, rows, staged)
                require_arrived(self.place, night.sums, _arrived(database, staged, shown, rows))
                self._show(database, writes, night, rows.columns, staged)
            finally:
                with suppress(InputError):  # what stays, the next run drops
                    _run(database, "drop the staging table", writes.drop.format(staged))

    @contextmanager
    def _open(self) -> Iterator[OpenDatabase]:
        with connected(self.spark, self.settings, _reading(self.settings.url)) as database:
            yield database

    def _name(self, end: str = "") -> str:
        schema = f"{sql_name(self.settings.schema_)}." if self.settings.schema_ is not None else ""
        return f"{schema}{sql_name(self.table + end)}"

    def _prepare(self, database: OpenDatabase, writes: Writes, rows: DataFrame, mine: str) -> None:
        """Make what is not there yet, add columns that are new, and drop what dead runs of the deployment staged."""
        for name in _tables(database, mine):
            _run(database, "drop an old staging table", writes.drop.format(_name(database, name)))
        for end, columns in (("", dict(rows.dtypes)), ("_nights", dict(NIGHTS))):
            there = _columns(database, self.table + end)
            if there and not {"night", "deployment", "as_of_time"} <= {name.lower() for name in there}:
                raise InputError(
                    f"{database.place}: expected the table {self.table + end!r} to be medspark's own, received one "
                    "without night, deployment and as_of_time: nothing of it was changed. Name another table."
                )
            if not there:
                _run(database, f"make the table {self.table + end!r}", create(writes, self._name(end), columns))
            for name in [name for name in columns if there and name not in there]:
                _run(database, "add a column", add_column(writes, self._name(end), name, columns[name]))

    def _show(
        self, database: OpenDatabase, writes: Writes, night: Publication, columns: Sequence[str], staged: str
    ) -> None:
        """The one transaction; where a statement or the commit fails, none of it happened."""
        table, nights = self._name(), self._name("_nights")
        same = (night.deployment, night.as_of)
        noted = (night.night, *same, night.version, night.bundle_id, night.run_id, *night.sums)
        steps: list[tuple[str, Sequence[Any]]] = [
            (remove_replaced(table, staged, self.newest), same * 2 if self.newest else same),
            (bring_in(table, staged, columns, self.newest), (night.deployment,) if self.newest else ()),
            (forget_night(nights), same),
            (note_night(writes, nights), noted),
        ]
        connection = database.connection
        with asking(database.place, "publish"):
            connection.setAutoCommit(False)
            try:
                for sql, values in steps:
                    _execute(database, sql, values)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
            finally:
                connection.setAutoCommit(True)


def open_jdbc(spark: SparkSession, sink: DatabaseSink, place: str) -> JdbcSink:
    """The sink of a deployment's section."""
    dialect_of(sink.database.url)
    return JdbcSink(spark, sink.database, sink.table, sink.rows == "newest", place, sink.layout)


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _reading(url: str) -> Dialect:
    return next(dialect for dialect in READING if url.startswith(dialect.url))


def _name(database: OpenDatabase, table: str) -> str:
    return f"{sql_name(database.schema)}.{sql_name(table)}" if database.schema is not None else sql_name(table)


def _append(database: OpenDatabase, rows: DataFrame, table: str) -> None:
    options = {**database.options, "dbtable": table, "batchsize": ROWS_A_BATCH}
    with asking(database.place, "write the staged rows"):
        rows.write.format("jdbc").mode("append").options(**options).save()


def _arrived(database: OpenDatabase, table: str, shown: str, rows: DataFrame, night: str | None = None) -> Sums:
    """What lies in a table adds up to, of one night or all of it, with the types that were sent."""
    types = dict(with_lists_as_text(rows).dtypes)
    names = ", ".join(map(sql_name, types))
    of_night = f" WHERE {sql_name(NIGHT)} = '{night}'" if night is not None else ""  # hexadecimal digits
    query = f"(SELECT {names} FROM {table}{of_night}) published"  # noqa: S608
    found = load_query(database, shown, query)
    return sums_of(found.select(*(found[quoted(name)].cast(kind).alias(name) for name, kind in types.items())))


def _run(database: OpenDatabase, what: str, sql: str) -> None:
    with asking(database.place, what):
        _execute(database, sql, ())


def _execute(database: OpenDatabase, sql: str, values: Sequence[Any]) -> None:
    statement = database.connection.prepareStatement(sql)
    try:
        for at, value in enumerate(values, start=1):
            if isinstance(value, datetime):
                moment = jvm_of(database.spark).java.time.OffsetDateTime.parse(value.astimezone(UTC).isoformat())
                statement.setObject(at, moment)
            elif isinstance(value, int):
                statement.setLong(at, value)
            else:
                statement.setString(at, value)
        statement.execute()
    finally:
        statement.close()


def _tables(database: OpenDatabase, start: str) -> list[str]:
    """The tables of the schema whose names begin so."""
    found = _listed(database, lambda meta, schema: meta.getTables(None, schema, "%", None), "TABLE_NAME")
    return [name for name in found if name.startswith(start)]


def _columns(database: OpenDatabase, table: str) -> list[str]:
    """The columns of a table; none where there is none."""
    pattern = table.replace("_", "\\_")
    return _listed(database, lambda meta, schema: meta.getColumns(None, schema, pattern, "%"), "COLUMN_NAME")


def _listed(database: OpenDatabase, find: Any, column: str) -> list[str]:
    with asking(database.place, "list the tables"):
        connection = database.connection
        schema = database.schema if database.schema is not None else connection.getSchema()
        found, names = find(connection.getMetaData(), schema), []
        while found.next():
            names.append(str(found.getString(column)))
        found.close()
    return names
