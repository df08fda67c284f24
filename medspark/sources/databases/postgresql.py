"""PostgreSQL: every table and every partition of one in one snapshot, types read exactly.

One transaction of our own holds the snapshot, and every connection on which Spark reads joins it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.databases.jdbc import (
    Dialect,
    OpenDatabase,
    ask,
    asking,
    fetched_names,
    load_query,
    ranges_of,
    require_schema,
    sql_name,
)
from medspark.sources.databases.source import OpenSource, Past

READING: Final = {"tcpKeepAlive": "true", "logServerErrorDetail": "false", "ApplicationName": "medspark"}
"""Of PostgreSQL's driver: a firewall keeps the idle snapshot's connection; errors do not quote rows."""

# Partitioned tables, views and foreign tables too, which information_schema lists, and materialized views, which it
# leaves out; only what this user may read.
TABLES: Final = """
SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
ORDER BY 1"""

# The type of a domain is the one below it, one step; a domain of a domain is then read as text, like any other type
COLUMNS: Final = """
SELECT a.attname::text,
  CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = ? AND c.relname = ? AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum"""

WHOLE: Final = ("smallint", "integer", "bigint")

PLAIN: Final = (*WHOLE, "boolean", "real", "double precision", "text")

DECIMAL: Final = re.compile(r"numeric\((\d+),(-?\d+)\)")

TIMED: Final = re.compile(r"date|timestamp(\(\d\))? with(out)? time zone")

WITHOUT_ZONE: Final = re.compile(r"timestamp(\(\d\))? without time zone")

JOIN: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'; "
    "SET medspark.joined = 'yes'"
)
"""What a reading connection begins with."""

# Outside a transaction those first two are no more than warnings, and the read would see anything: this ends it.
# The connection that Spark asks for the columns alone has not joined.
IN_SNAPSHOT: Final = (
    " WHERE (CASE WHEN current_setting('medspark.joined', true) = 'yes' AND current_setting('transaction_isolation') "
    "<> 'repeatable read' THEN 'this connection is not in the snapshot' ELSE 'true' END)::boolean"
)


@dataclass(frozen=True)
class _Snapshot:
    """A schema as it was when our transaction began."""

    database: OpenDatabase
    schema: str
    join: str
    """What a reading connection begins with."""
    kinds: Callable[[str], dict[str, str]]
    """The type of each column of a table, as PostgreSQL writes it; asked once a table."""

    def relation(self, table: str) -> str:
        return f"{sql_name(self.schema)}.{sql_name(table)}"


def open_postgresql(database: OpenDatabase) -> OpenSource:
    _begin(database)
    ((taken,),) = ask(database, "take a snapshot", "SELECT pg_export_snapshot()")
    schema = database.schema or str(ask(database, "find the schema", "SELECT current_schema()::text")[0][0])
    schemas = [str(row[0]) for row in ask(database, "list", "SELECT nspname::text FROM pg_namespace")]
    require_schema(database.place, schema, schemas)
    kinds = cache(partial(_list_kinds, database, schema))
    snapshot = _Snapshot(database, schema, JOIN.format(snapshot=taken), kinds)
    return OpenSource(
        place=database.place,
        consistent=True,
        tables=tuple(str(row[0]) for row in ask(database, "list the tables", TABLES, schema)),
        list_columns=lambda table: tuple(kinds(table)),
        load=partial(_load, snapshot, cache(partial(_require_bounded, snapshot))),
    )


def _begin(database: OpenDatabase) -> None:
    """Begin the transaction that holds the snapshot as long as it lasts."""
    with asking(database.place, "take a snapshot"):
        database.connection.setAutoCommit(False)
        begin = database.connection.createStatement()
        begin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # The snapshot lives as long as this transaction, which is idle while Spark reads
        begin.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        begin.close()


def _list_kinds(database: OpenDatabase, schema: str, table: str) -> dict[str, str]:
    return {str(name): str(kind) for name, kind in ask(database, "list columns", COLUMNS, schema, table)}


def _load(
    snapshot: _Snapshot,
    require_bounded: Callable[[str, tuple[str, ...], str], None],
    table: str,
    subject: str | None,
    columns: dict[str, str],
    past: Past | None,
) -> DataFrame:
    database, relation, kinds = snapshot.database, snapshot.relation(table), snapshot.kinds(table)
    since = _since(columns[past.column], kinds[columns[past.column]], past.micros) if past is not None else "true"
    require_bounded(table, tuple(sorted(columns.values())), since)
    by = subject if subject is not None and kinds[subject] in WHOLE else None
    fetched = fetched_names(columns, by)
    selected = [f"{_reads_as(sql_name(own), kinds[own])} AS {sql_name(name)}" for own, name in fetched.items()]
    cut = {} if by is None else ranges_of(database, relation, sql_name(by), fetched[by])
    query = f"(SELECT {', '.join(selected)} FROM {relation}{IN_SNAPSHOT} AND {since}) AS source"  # noqa: S608
    frame = load_query(database, table, query, **cut, sessionInitStatement=snapshot.join)
    untimed = {name for name, own in columns.items() if WITHOUT_ZONE.fullmatch(kinds[own])}
    return frame.select(
        *(F.col(quoted(n)).cast("timestamp_ntz").alias(n) if n in untimed else F.col(quoted(n)) for n in columns)
    )


def _since(column: str, kind: str, micros: int) -> str:
    """A condition for rows from a time on, or without one; of a time without a zone, which is of one within a day.

    >>> print(_since("at", "timestamp without time zone", 0))
    ("at" IS NULL OR "at" >= '1969-12-31 00:00:00')
    >>> print(_since("at", "text", 0))
    true
    """
    if not TIMED.fullmatch(kind):
        return "true"
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    if kind.endswith(" with time zone"):
        return f"({sql_name(column)} IS NULL OR {sql_name(column)} >= '{moment:%Y-%m-%d %H:%M:%S.%f}+00')"
    return f"({sql_name(column)} IS NULL OR {sql_name(column)} >= '{moment - timedelta(days=1):%Y-%m-%d %H:%M:%S}')"


def _require_bounded(snapshot: _Snapshot, table: str, names: tuple[str, ...], since: str) -> None:
    """Refuse a table with values that Spark would change or cannot hold, among the rows that are read.

    Raises:
        InputError: naming their columns, and how many they are.
    """
    kinds, place = snapshot.kinds(table), snapshot.database.place
    tests = {n: test for n in names if (test := _beyond(sql_name(n), kinds[n])) is not None}
    if not tests:
        return
    counts = ", ".join(f"count(*) FILTER (WHERE {test})" for test in tests.values())
    sql = f"SELECT {counts} FROM {snapshot.relation(table)} WHERE {since}"  # noqa: S608
    (row,) = ask(snapshot.database, f"read the table {table!r}", sql)
    found = [f"{name} ({kinds[name]}) in {n:,} rows" for name, n in zip(tests, row, strict=True) if n]
    if found:
        raise InputError(
            f"{place}: table {table!r}: expected times in the years 1 to 9999 and numbers, received infinity, NaN "
            f"or years beyond in {'; '.join(found)}. Name a view in its place that gives NULL for them"
        )


def _reads_as(column: str, kind: str) -> str:
    """How a quoted column of a type is selected: as it is where Spark has the type, else as PostgreSQL writes it.

    A numeric without a stated precision would be rounded to 18 places; a time without a zone would pass through the
    zone of the JVM, which skips an hour in spring. Both come exactly as text.
    """
    plain = kind in PLAIN or kind.startswith("character varying") or _is_decimal(kind) or TIMED.fullmatch(kind)
    return column if plain and not WITHOUT_ZONE.fullmatch(kind) else f"{column}::text"


def _beyond(column: str, kind: str) -> str | None:
    """A test for values that Spark would change or cannot hold: infinity and years before 1 or after 9999, and NaN."""
    if TIMED.fullmatch(kind):
        return f"NOT ({column} >= '0001-01-01' AND {column} < '10000-01-01')"
    return f"{column} = 'NaN'" if _is_decimal(kind) else None


def _is_decimal(kind: str) -> bool:
    """Whether a type is a decimal that Spark holds: up to 38 digits, none of them cut off."""
    found = DECIMAL.fullmatch(kind)
    return found is not None and int(found[1]) <= 38 and 0 <= int(found[2]) <= int(found[1])


DIALECT: Final = Dialect(url="jdbc:postgresql:", properties=READING, open=open_postgresql)
