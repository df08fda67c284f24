"""PostgreSQL: every table and every partition of one in one snapshot, types read exactly."""

import re
from functools import cache
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.databases.jdbc import asking, fetched_names, query_rows, ranges_of, require_schema, sql_name
from medspark.sources.databases.source import OpenSource
from medspark.task.event_source import Connection

READING: Final = {"tcpKeepAlive": "true", "logServerErrorDetail": "false", "ApplicationName": "medspark"}
"""Of PostgreSQL's driver: a firewall keeps the idle snapshot's connection; errors do not quote rows."""

# Partitioned tables, views and foreign tables too, which information_schema lists, and materialized views, which it
# leaves out; only what this user may read.
POSTGRESQL_TABLES: Final = """
SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
ORDER BY 1"""

# The type of a domain is the one below it, one step; a domain of a domain is then read as text, like any other type
POSTGRESQL_COLUMNS: Final = """
SELECT a.attname::text,
  CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = ? AND c.relname = ? AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum"""

WHOLE: Final = ("smallint", "integer", "bigint")

PLAIN: Final = (*WHOLE, "boolean", "real", "double precision", "text")

DECIMAL = re.compile(r"numeric\((\d+),(-?\d+)\)")

TIMED = re.compile(r"date|timestamp(\(\d\))? with(out)? time zone")

WITHOUT_ZONE = re.compile(r"timestamp(\(\d\))? without time zone")

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


def _is_decimal(kind: str) -> bool:
    """Whether a type is a decimal that Spark holds: up to 38 digits, none of them cut off."""
    found = DECIMAL.fullmatch(kind)
    return found is not None and int(found[1]) <= 38 and 0 <= int(found[2]) <= int(found[1])


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


def open_postgresql(
    spark: SparkSession, connection: Any, database: Connection, place: str, options: dict[str, str]
) -> OpenSource:
    def ask(what: str, sql: str, *values: str) -> list[list[Any]]:
        with asking(place, what):
            return query_rows(connection, sql, *values)

    with asking(place, "take a snapshot"):
        connection.setAutoCommit(False)
        begin = connection.createStatement()
        begin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # The snapshot lives as long as this transaction, which is idle while Spark reads
        begin.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        begin.close()
    ((snapshot,),) = ask("take a snapshot", "SELECT pg_export_snapshot()")
    join = JOIN.format(snapshot=snapshot)
    schema = database.schema_ or str(ask("find the schema", "SELECT current_schema()::text")[0][0])
    require_schema(place, schema, [str(row[0]) for row in ask("list", "SELECT nspname::text FROM pg_namespace")])

    @cache
    def kinds(table: str) -> dict[str, str]:
        return {str(name): str(kind) for name, kind in ask("list columns", POSTGRESQL_COLUMNS, schema, table)}

    @cache
    def require_bounded(table: str, names: tuple[str, ...]) -> None:
        tests = {n: test for n in names if (test := _beyond(sql_name(n), kinds(table)[n])) is not None}
        if not tests:
            return
        counts = ", ".join(f"count(*) FILTER (WHERE {test})" for test in tests.values())
        (row,) = ask(f"read the table {table!r}", f"SELECT {counts} FROM {sql_name(schema)}.{sql_name(table)}")  # noqa: S608
        found = [f"{name} ({kinds(table)[name]}) in {n:,} rows" for name, n in zip(tests, row, strict=True) if n]
        if found:
            raise InputError(
                f"{place}: table {table!r}: expected times in the years 1 to 9999 and numbers, received infinity, NaN "
                f"or years beyond in {'; '.join(found)}. Name a view in its place that gives NULL for them"
            )

    def load(table: str, subject: str | None, columns: dict[str, str]) -> DataFrame:
        relation = f"{sql_name(schema)}.{sql_name(table)}"
        types = kinds(table)
        require_bounded(table, tuple(sorted(columns.values())))
        by = subject if subject is not None and types[subject] in WHOLE else None
        fetched = fetched_names(columns, by)
        selected = [f"{_reads_as(sql_name(own), types[own])} AS {sql_name(name)}" for own, name in fetched.items()]
        cut = (
            {} if by is None else ranges_of(connection, place, relation, sql_name(by), fetched[by], database.partitions)
        )
        query = f"(SELECT {', '.join(selected)} FROM {relation}{IN_SNAPSHOT}) AS source"  # noqa: S608
        reader = spark.read.format("jdbc").options(**options, **cut, dbtable=query, sessionInitStatement=join)
        with asking(place, f"read the table {table!r}"):
            frame = reader.load()
        untimed = {name for name, own in columns.items() if WITHOUT_ZONE.fullmatch(types[own])}
        return frame.select(
            *(F.col(quoted(n)).cast("timestamp_ntz").alias(n) if n in untimed else F.col(quoted(n)) for n in columns)
        )

    return OpenSource(
        place=place,
        consistent=True,
        tables=tuple(str(row[0]) for row in ask("list the tables", POSTGRESQL_TABLES, schema)),
        versions={},
        _columns=lambda table: tuple(kinds(table)),
        _load=load,
    )
