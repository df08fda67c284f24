"""The raw tables of a database, a folder of Delta tables or a catalog, each as a DataFrame with its own types.

    with open_source(spark, source) as tables:
        tables.has_table("device_exposure")
        tables.read("measurement", subject="person_id", columns=["person_id", "value_as_number"])

Of PostgreSQL every table and every partition of one is read in one snapshot, which lasts until the context ends.
A name is never SQL: it is looked up among the names that the source itself lists, and quoted as that listing has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medspark.errors import InputError, TaskError, did_you_mean
from medspark.task.event_task import Connection, EventSource

if TYPE_CHECKING:  # so that packages_for, asked before a session starts, costs no import of Spark
    from pyspark.sql import DataFrame, SparkSession

POSTGRESQL: Final = "org.postgresql:postgresql:42.7.14"
DELTA: Final = "io.delta:delta-spark_4.2_2.13:4.4.0"
"""Maven coordinates; Delta's are for one minor version of Spark, 4.2, and its Scala, 2.13."""


def packages_for(source: EventSource) -> tuple[str, ...]:
    """What start_session must add for a source; of another database than PostgreSQL the user brings the driver."""
    if source.format == "delta":
        return (DELTA,)
    return (POSTGRESQL,) if source.database is not None and _is_postgresql(source.database.url) else ()


@dataclass(frozen=True)
class OpenSource:
    """The tables of a source while it is open. Names match exactly, else by their letters whatever the case."""

    place: str
    """Where, for messages: without user and password."""
    consistent: bool
    """Whether all reads of a table see the same rows, whatever is written in between."""
    tables: tuple[str, ...]
    versions: Mapping[str, int]
    """Of Delta tables: the version that is read."""
    _columns: Callable[[str], tuple[str, ...]] = field(repr=False)
    _load: Callable[[str, str | None, dict[str, str]], DataFrame] = field(repr=False)
    """Table, subject, and the table's own name of each column by the name it gets."""

    def has_table(self, table: str) -> bool:
        return _match(table, self.tables) is not None

    def columns(self, table: str) -> tuple[str, ...]:
        """The names of a table's columns.

        Raises:
            InputError: there is no such table.
        """
        return self._columns(self._own_name(table))

    def read(
        self,
        table: str,
        subject: str | None = None,
        columns: Collection[str] | None = None,
        optional: Collection[str] = (),
    ) -> DataFrame:
        """A table's columns, or those named, under the names asked for.

        Of a database a whole-numbered `subject` cuts the table into parallel reads; `optional` columns may be absent.

        Raises:
            InputError: there is no such table or column, or a column has a value that Spark cannot hold.
        """
        own = self._own_name(table)
        known = self._columns(own)
        asked = {name: _match(name, known) for name in columns or known}
        missing = [name for name, found in asked.items() if found is None and name not in optional]
        if missing:
            hints = "".join(did_you_mean(name, known) for name in missing)
            raise InputError(
                f"{self.place}: table {own!r}: expected the columns {', '.join(missing)}, received "
                f"{', '.join(known)}.{hints}"
            )
        by = _match(subject, known) if subject is not None else None  # a derived subject is no column of the table
        return self._load(own, by, {name: found for name, found in asked.items() if found is not None})

    def _own_name(self, table: str) -> str:
        found = _match(table, self.tables)
        if found is None:
            raise InputError(
                f"{self.place}: expected a table {table!r}, received {len(self.tables)} tables without it."
                f"{did_you_mean(table, self.tables)}"
            )
        return found


@contextmanager
def open_source(spark: SparkSession, source: EventSource) -> Iterator[OpenSource]:
    """The tables of a source in a database, a folder of Delta tables or a catalog; read them inside the context.

    Of Delta, each table's version is noted now and read whatever is written later. Of PostgreSQL, one transaction
    holds a snapshot that every reading connection joins. Of other databases and of catalogs each read sees what is
    there at that moment: `consistent` is then False. Other databases' types are as Spark's JDBC source reads them.

    Raises:
        TaskError: the connection's settings or credentials are wrong.
        InputError: the source cannot be reached, or the session lacks what reads it.
    """
    if source.format == "jdbc" and source.database is not None:
        with _open_database(spark, source.database) as tables:
            yield tables
    elif source.format == "delta" and source.path is not None:
        yield _open_delta(spark, source.path)
    elif source.format == "catalog" and source.path is not None:
        yield _open_catalog(spark, source.path)
    else:
        raise TaskError("source.format", [f"expected jdbc, delta or catalog, received {source.format}"])


def _match(name: str, known: Collection[str]) -> str | None:
    """The known name that is `name`, or the only one that is but for upper and lower case."""
    if name in known:
        return name
    alike = [other for other in known if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


# ---------------------------------------------------------------- a database: connecting

SECRET = re.compile(r"(?i)(\b(user|username|uid|password|pwd|sslpassword)\s*=|/[^/@\s]+@)")
"""A user or a password in a URL: ?user=, ;password=, //user:word@host, thin:user/word@host."""

CAUSES: Final = {
    "28": "the user or the password was refused",
    "3D": "there is no such database",
    "08": "the server could not be reached",
    "57": "the server is starting, stopping, or ended the session",
    "53": "the server has no connection to spare",
    "42": "the user may not read it, or it does not exist",
    "55": "the server does not let us take a snapshot",
}
"""By the first two letters of the SQL state, which says what failed without quoting anything."""

READING: Final = {"tcpKeepAlive": "true", "logServerErrorDetail": "false", "ApplicationName": "medspark"}
"""Of PostgreSQL's driver: a firewall keeps the idle snapshot's connection; errors do not quote rows."""

TALKATIVE: Final = "org.apache.spark.sql.execution.datasources.jdbc.connection.BasicConnectionProvider"


def _is_postgresql(url: str) -> bool:
    return url.startswith("jdbc:postgresql:")


def shown_url(url: str) -> str:
    """A JDBC URL without its parameters, where some drivers take a password."""
    return re.split(r"[?;]", url, maxsplit=1)[0]


def credentials(database: Connection) -> dict[str, str]:
    """The options user and password, from the environment or the file that the connection names; none where neither.

    Raises:
        TaskError: they are in the URL, a variable is unset, or the file is missing, open to others or malformed.
    """
    problems = []
    found: dict[str, str] = {}
    variables = {"user": database.user_variable, "password": database.password_variable}
    if SECRET.search(database.url):
        problems.append("url: expected neither user nor password in it. Name environment variables, or a file")
    if database.credentials is not None and any(variables.values()):
        problems.append("expected either credentials or user_variable and password_variable, received both")
    elif database.credentials is not None:
        found, problem = _credentials_file(Path(database.credentials).expanduser())
        problems += problem
    for option, variable in variables.items():
        if variable is not None and not os.environ.get(variable):
            problems.append(f"{option}_variable: expected the {option} in the environment as {variable}, found none")
        elif variable is not None:
            found[option] = os.environ[variable]
    if problems:
        raise TaskError("source.database", problems)
    return found


def _credentials_file(path: Path) -> tuple[dict[str, str], list[str]]:
    """What a credentials file holds, and what is wrong with it; no line of it is ever quoted."""
    if not path.is_file():
        return {}, [f"credentials: expected a file at {path}, found none"]
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return {}, [f"credentials: expected {path} for its owner only, received mode {mode:03o}. Run chmod 600 on it"]
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    found = {key.strip(): value.strip() for key, equals, value in pairs if equals}
    if sorted(found) != ["password", "user"] or len(pairs) != 2:
        return {}, [f"credentials: expected the two lines user=... and password=... in {path}, received others"]
    return found, []


def _jvm(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm


def has_class(spark: SparkSession, name: str) -> bool:
    """Whether the session's packages hold a class of this name."""
    from py4j.protocol import Py4JJavaError

    try:
        _jvm(spark).java.lang.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Py4JJavaError:
        return False
    return True


def _absent(what: str, packages: str) -> InputError:
    return InputError(
        f"this Spark session lacks {what}. With spark-submit, add: --packages {packages}. "
        "In Python, start it with start_session(name, packages_for(source))."
    )


def _driver(spark: SparkSession, url: str) -> Any:
    """The JDBC driver that takes a URL, found as Java finds services, in the packages of the session too."""
    java = _jvm(spark).java
    loader = java.lang.Thread.currentThread().getContextClassLoader()
    found = java.util.ServiceLoader.load(loader.loadClass("java.sql.Driver"), loader).iterator()
    while found.hasNext():
        driver = found.next()
        if driver.acceptsURL(url):
            return driver
    kind = ":".join(url.split(":")[:2])
    raise _absent(f"a driver for {kind}", POSTGRESQL if _is_postgresql(url) else "GROUP:ARTIFACT:VERSION of the driver")


@contextmanager
def _asking(place: str, what: str) -> Iterator[None]:
    """Turn what the driver throws into its SQL state alone: its words may hold values, and its trace our options."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        raise InputError(f"{place}: could not {what} ({error.getCondition() or type(error).__name__})") from None
    except Py4JJavaError as error:
        thrown = error.java_exception
        name = thrown.getClass().getSimpleName()
        state = str(thrown.getSQLState() or "") if hasattr(thrown, "getSQLState") and "SQL" in name else ""
        because = f": {CAUSES[state[:2]]}" if state[:2] in CAUSES else ""
        raise InputError(f"{place}: could not {what}{because} ({name}, SQL state {state or 'unknown'})") from None


def _rows(connection: Any, sql: str, *values: str) -> list[list[Any]]:
    """The rows of a query on the driver's own connection; `values` fill its question marks."""
    statement = connection.prepareStatement(sql)
    try:
        for at, value in enumerate(values, start=1):
            statement.setString(at, value)
        return _fetch(statement.executeQuery())
    finally:
        statement.close()


def _fetch(found: Any) -> list[list[Any]]:
    width = found.getMetaData().getColumnCount()
    rows = []
    while found.next():
        rows.append([found.getObject(at) for at in range(1, width + 1)])
    return rows


def _keep_from_log(spark: SparkSession) -> None:
    """Spark writes a connection's properties, the password too, to its log at DEBUG: not in this process, ever.

    Executors on other machines log by the cluster's own settings; at DEBUG, theirs must name this logger as well.
    """
    logging = "org.apache.logging.log4j.core.config.Configurator"
    if has_class(spark, logging):
        log4j = _jvm(spark).org.apache.logging.log4j
        log4j.core.config.Configurator.setLevel(TALKATIVE, log4j.Level.INFO)


@contextmanager
def _open_database(spark: SparkSession, database: Connection) -> Iterator[OpenSource]:
    secret = credentials(database)
    _keep_from_log(spark)
    place = shown_url(database.url)
    driver = _driver(spark, database.url)
    postgresql = _is_postgresql(database.url)
    properties = _jvm(spark).java.util.Properties()
    for key, value in {**(READING if postgresql else {}), **secret}.items():
        properties.setProperty(key, value)
    with _asking(place, "connect"):
        connection = driver.connect(database.url, properties)
    options = {
        "url": database.url,
        "driver": driver.getClass().getName(),
        "fetchsize": str(database.fetch),
        # A time without a zone stays one, for the mapping's zone to read it
        "preferTimestampNTZ": "true",
        **(READING if postgresql else {}),
        **secret,
    }
    try:
        opener = _postgresql if postgresql else _other
        yield opener(spark, connection, database, place, options)
    finally:
        _end(connection)


def _end(connection: Any) -> None:
    """Give the snapshot back; a connection that the server ended already has nothing to give."""
    from py4j.protocol import Py4JError

    for step in (connection.rollback, connection.close):
        try:
            step()
        except Py4JError:
            continue


def _quoted(name: str) -> str:
    """A name in standard SQL.

    Raises:
        InputError: it has a quote itself, which Spark would not double where it names the column of partitions.
    """
    if '"' in name or "\0" in name:
        raise InputError(f"expected names of tables and columns without quotes, received {name!r}")
    return f'"{name}"'


def _cut(connection: Any, place: str, relation: str, column: str, shown: str, partitions: int) -> dict[str, str]:
    """Options that read a table in ranges of a whole-numbered column, none where it has one value; NULLs come first.

    `column` is quoted already; `shown` is its name in the frame.
    """
    with _asking(place, "read the range of a table's subjects"):
        ((low, high),) = _rows(connection, f"SELECT min({column}), max({column}) FROM {relation}")  # noqa: S608
    if low == high or partitions == 1:
        return {}
    return {
        "partitionColumn": shown,
        "lowerBound": str(low),
        "upperBound": str(high),
        "numPartitions": str(partitions),
    }


def _fetched(columns: Mapping[str, str], subject: str | None) -> dict[str, str]:
    """The name that each of the table's columns gets; with the subject, which the ranges are of."""
    fetched = {own: name for name, own in columns.items()}
    return fetched if subject is None else {subject: subject, **fetched}


# ---------------------------------------------------------------- PostgreSQL

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


def _postgresql(
    spark: SparkSession, connection: Any, database: Connection, place: str, options: dict[str, str]
) -> OpenSource:
    from pyspark.sql import functions as F

    def ask(what: str, sql: str, *values: str) -> list[list[Any]]:
        with _asking(place, what):
            return _rows(connection, sql, *values)

    with _asking(place, "take a snapshot"):
        connection.setAutoCommit(False)
        begin = connection.createStatement()
        begin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # The snapshot lives as long as this transaction, which is idle while Spark reads
        begin.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        begin.close()
    ((snapshot,),) = ask("take a snapshot", "SELECT pg_export_snapshot()")
    join = JOIN.format(snapshot=snapshot)
    schema = database.schema_ or str(ask("find the schema", "SELECT current_schema()::text")[0][0])
    _require_schema(place, schema, [str(row[0]) for row in ask("list", "SELECT nspname::text FROM pg_namespace")])

    @cache
    def kinds(table: str) -> dict[str, str]:
        return {str(name): str(kind) for name, kind in ask("list columns", POSTGRESQL_COLUMNS, schema, table)}

    @cache
    def require_bounded(table: str, names: tuple[str, ...]) -> None:
        tests = {n: test for n in names if (test := _beyond(_quoted(n), kinds(table)[n])) is not None}
        if not tests:
            return
        counts = ", ".join(f"count(*) FILTER (WHERE {test})" for test in tests.values())
        (row,) = ask(f"read the table {table!r}", f"SELECT {counts} FROM {_quoted(schema)}.{_quoted(table)}")  # noqa: S608
        found = [f"{name} ({kinds(table)[name]}) in {n:,} rows" for name, n in zip(tests, row, strict=True) if n]
        if found:
            raise InputError(
                f"{place}: table {table!r}: expected times in the years 1 to 9999 and numbers, received infinity, NaN "
                f"or years beyond in {'; '.join(found)}. Name a view in its place that gives NULL for them"
            )

    def load(table: str, subject: str | None, columns: dict[str, str]) -> DataFrame:
        relation = f"{_quoted(schema)}.{_quoted(table)}"
        types = kinds(table)
        require_bounded(table, tuple(sorted(columns.values())))
        by = subject if subject is not None and types[subject] in WHOLE else None
        fetched = _fetched(columns, by)
        selected = [f"{_reads_as(_quoted(own), types[own])} AS {_quoted(name)}" for own, name in fetched.items()]
        cut = {} if by is None else _cut(connection, place, relation, _quoted(by), fetched[by], database.partitions)
        query = f"(SELECT {', '.join(selected)} FROM {relation}{IN_SNAPSHOT}) AS source"  # noqa: S608
        reader = spark.read.format("jdbc").options(**options, **cut, dbtable=query, sessionInitStatement=join)
        with _asking(place, f"read the table {table!r}"):
            frame = reader.load()
        untimed = {name for name, own in columns.items() if WITHOUT_ZONE.fullmatch(types[own])}
        return frame.select(
            *(F.col(_ticked(n)).cast("timestamp_ntz").alias(n) if n in untimed else F.col(_ticked(n)) for n in columns)
        )

    return OpenSource(
        place=place,
        consistent=True,
        tables=tuple(str(row[0]) for row in ask("list the tables", POSTGRESQL_TABLES, schema)),
        versions={},
        _columns=lambda table: tuple(kinds(table)),
        _load=load,
    )


def _require_schema(place: str, schema: str, known: list[str]) -> None:
    if schema not in known:
        raise InputError(
            f"{place}: expected a schema {schema!r}, received {len(known)} schemas without it."
            f"{did_you_mean(schema, known)}"
        )


# ---------------------------------------------------------------- other databases

JAVA_WHOLE: Final = (-6, 5, 4, -5)
"""java.sql.Types: TINYINT, SMALLINT, INTEGER, BIGINT."""


def _other(
    spark: SparkSession, connection: Any, database: Connection, place: str, options: dict[str, str]
) -> OpenSource:
    """Any other database, by what its driver lists; no snapshot is common to several connections."""
    with _asking(place, "list the tables"):
        listing = connection.getMetaData()
        catalog, default = connection.getCatalog(), connection.getSchema()
        # Some databases, MySQL among them, have catalogs in place of schemas
        schemas = [str(row[0]) for row in _fetch(listing.getSchemas())]
        asked = database.schema_ or default
        schema = _match(asked, schemas) or asked if asked is not None else None
        if schema is not None and schemas:
            _require_schema(place, schema, schemas)
        found = [(str(row[2]), str(row[3])) for row in _fetch(listing.getTables(catalog, schema, "%", None)) if row[2]]
        quote = str(listing.getIdentifierQuoteString()).strip()
        escape = str(listing.getSearchStringEscape() or "")
    tables = tuple(name for name, kind in found if "TABLE" in kind or "VIEW" in kind)

    def quoted(name: str) -> str:
        _quoted(name)
        if quote and quote in name:
            raise InputError(f"expected names of tables and columns without quotes, received {name!r}")
        return f"{quote}{name}{quote}"

    @cache
    def kinds(table: str) -> dict[str, int]:
        # The driver takes a pattern, in which an underscore is any letter
        pattern = re.sub(r"([_%])", lambda letter: escape + letter[1], table) if escape else table
        with _asking(place, "list columns"):
            rows = _fetch(listing.getColumns(catalog, schema, pattern, "%"))
        return {str(row[3]): int(row[4]) for row in rows if str(row[2]) == table}

    def load(table: str, subject: str | None, columns: dict[str, str]) -> DataFrame:
        relation = quoted(table) if schema is None else f"{quoted(schema)}.{quoted(table)}"
        by = subject if subject is not None and kinds(table)[subject] in JAVA_WHOLE else None
        fetched = _fetched(columns, by)
        selected = ", ".join(f"{quoted(own)} AS {quoted(name)}" for own, name in fetched.items())
        cut = {} if by is None else _cut(connection, place, relation, quoted(by), fetched[by], database.partitions)
        query = f"(SELECT {selected} FROM {relation}) source"  # noqa: S608
        with _asking(place, f"read the table {table!r}"):
            frame = spark.read.format("jdbc").options(**options, **cut, dbtable=query).load()
        return frame.select(*map(_ticked, columns))

    return OpenSource(
        place=place,
        consistent=False,
        tables=tables,
        versions={},
        _columns=lambda table: tuple(kinds(table)),
        _load=load,
    )


# ---------------------------------------------------------------- Delta tables and catalogs

COMMIT = re.compile(r"(\d{20})\.(json|checkpoint\b.*)")
"""A file of a Delta table's log, named by the version it makes."""


def _open_delta(spark: SparkSession, path: str) -> OpenSource:
    """The tables are the folders with a Delta log directly below `path`; each is read as of its newest commit now."""
    from medspark.store.files import exists, list_paths

    if not has_class(spark, "io.delta.tables.DeltaTable"):
        raise _absent("Delta Lake", DELTA)
    context = spark.sparkContext
    if not exists(context, path):
        raise InputError(f"{path}: expected a folder of Delta tables, found none there")
    versions = {}
    for folder in list_paths(context, path):
        log = f"{folder}/_delta_log"
        names = [file.rsplit("/", 1)[-1] for file in list_paths(context, log)] if exists(context, log) else []
        commits = [int(found[1]) for name in names if (found := COMMIT.fullmatch(name))]
        if commits:
            versions[folder.rsplit("/", 1)[-1]] = max(commits)
    if not versions:
        raise InputError(f"{path}: expected Delta tables in folders of their own, found none there")

    @cache
    def frame(table: str) -> DataFrame:
        return spark.read.format("delta").option("versionAsOf", versions[table]).load(f"{path}/{table}")

    return OpenSource(
        place=path,
        consistent=True,
        tables=tuple(versions),
        versions=versions,
        _columns=lambda table: tuple(frame(table).columns),
        _load=partial(_select, frame),
    )


def _open_catalog(spark: SparkSession, path: str) -> OpenSource:
    parts = path.split(".")
    where = ".".join(map(_ticked, parts))
    if not all(parts) or not spark.catalog.databaseExists(where):
        raise InputError(f"expected a database {path!r} in the session's catalogs, found none of that name")
    # Temporary views have no database, and would stand in for a table
    tables = tuple(
        str(row["tableName"]) for row in spark.sql(f"SHOW TABLES IN {where}").collect() if not row["isTemporary"]
    )

    @cache
    def frame(table: str) -> DataFrame:
        return spark.table(f"{where}.{_ticked(table)}")

    return OpenSource(
        place=path,
        consistent=False,
        tables=tables,
        versions={},
        _columns=lambda table: tuple(frame(table).columns),
        _load=partial(_select, frame),
    )


def _select(frame: Callable[[str], DataFrame], table: str, _subject: str | None, columns: dict[str, str]) -> DataFrame:
    from pyspark.sql import functions as F

    return frame(table).select(*(F.col(_ticked(own)).alias(name) for name, own in columns.items()))


def _ticked(name: str) -> str:
    """A name in Spark's SQL, dots and all."""
    return "`" + name.replace("`", "``") + "`"
