"""What every database read through JDBC has in common: connecting, asking, cutting tables into ranges.

A database of its own kind is a `Dialect`, in a file of its own beside this one, and a line in `open.py`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from medspark.errors import AwayError, InputError, did_you_mean
from medspark.privacy.secrets import credentials
from medspark.sources.databases.packages import absent_package, driver_package, has_class, jvm_of
from medspark.sources.databases.source import OpenSource
from medspark.task.connection import Connection
from medspark.task.jdbc_urls import shown_url

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

AWAY: Final = ("08", "57", "53")
"""Of these, what a later attempt may find otherwise."""
WAITS: Final = (1.0, 4.0)
"""Seconds before a connection is tried again."""

TALKATIVE: Final = "org.apache.spark.sql.execution.datasources.jdbc.connection.BasicConnectionProvider"


@dataclass(frozen=True)
class OpenDatabase:
    """A database with a connection of our own to it, and what Spark's reading connections are opened with."""

    spark: SparkSession
    connection: Any
    """Java's java.sql.Connection."""
    place: str
    """Where, for messages: without user and password."""
    schema: str | None
    """The schema that the task asks for."""
    partitions: int
    options: Mapping[str, str] = field(repr=False)
    """Of Spark's JDBC source; the password is among them."""


class Dialect(NamedTuple):
    """What is special to one kind of database."""

    url: str
    """How its URLs begin."""
    properties: Mapping[str, str]
    """Of its driver, on our connection and on Spark's."""
    open: Callable[[OpenDatabase], OpenSource]


@contextmanager
def connected(spark: SparkSession, settings: Connection, dialect: Dialect) -> Iterator[OpenDatabase]:
    """A database, whose connection ends with the block.

    Raises:
        TaskError: the connection's settings or credentials are wrong.
        InputError: there is no driver for it, or it refuses us.
        AwayError: it cannot be reached, also not some seconds later.
    """
    secret = credentials(settings)
    _keep_from_log(spark)
    place = shown_url(settings.url)
    driver = _driver_for(spark, settings.url)
    properties = jvm_of(spark).java.util.Properties()
    for key, value in {**dialect.properties, **secret}.items():
        properties.setProperty(key, value)
    connection = _patiently(lambda: driver.connect(settings.url, properties), place)
    options = {
        "url": settings.url,
        "driver": driver.getClass().getName(),
        "fetchsize": str(settings.fetch),
        # A time without a zone stays one, for the mapping's zone to read it
        "preferTimestampNTZ": "true",
        **dialect.properties,
        **secret,
    }
    try:
        yield OpenDatabase(spark, connection, place, settings.schema_, settings.partitions, options)
    finally:
        _end(connection)


def _patiently(connect: Callable[[], Any], place: str) -> Any:
    """A connection, tried again where the server is away for a moment."""
    for wait in WAITS:
        try:
            with asking(place, "connect"):
                return connect()
        except AwayError:
            time.sleep(wait)
    with asking(place, "connect"):
        return connect()


def _keep_from_log(spark: SparkSession) -> None:
    """Spark writes a connection's properties, the password too, to its log at DEBUG: not in this process, ever.

    Executors on other machines log by the cluster's own settings; at DEBUG, theirs must name this logger as well.
    """
    logging = "org.apache.logging.log4j.core.config.Configurator"
    if has_class(spark, logging):
        log4j = jvm_of(spark).org.apache.logging.log4j
        log4j.core.config.Configurator.setLevel(TALKATIVE, log4j.Level.INFO)


def _driver_for(spark: SparkSession, url: str) -> Any:
    """The JDBC driver that takes a URL, found as Java finds services, in the packages of the session too."""
    java = jvm_of(spark).java
    loader = java.lang.Thread.currentThread().getContextClassLoader()
    found = java.util.ServiceLoader.load(loader.loadClass("java.sql.Driver"), loader).iterator()
    while found.hasNext():
        driver = found.next()
        if driver.acceptsURL(url):
            return driver
    kind = ":".join(url.split(":")[:2])
    raise absent_package(f"a driver for {kind}", driver_package(url) or "GROUP:ARTIFACT:VERSION of the driver")


def _end(connection: Any) -> None:
    """Give the snapshot back; a connection that the server ended already has nothing to give."""
    for step in (connection.rollback, connection.close):
        try:
            step()
        except Py4JError:
            continue


@contextmanager
def asking(place: str, what: str) -> Iterator[None]:
    """Turn what the driver throws into its SQL state alone: its words may hold values, and its trace our options."""
    try:
        yield
    except PySparkException as error:
        raise InputError(f"{place}: could not {what} ({error.getCondition() or type(error).__name__})") from None
    except Py4JJavaError as error:
        thrown = error.java_exception
        name = thrown.getClass().getSimpleName()
        state = str(thrown.getSQLState() or "") if hasattr(thrown, "getSQLState") and "SQL" in name else ""
        because = f": {CAUSES[state[:2]]}" if state[:2] in CAUSES else ""
        kind = AwayError if state.startswith(AWAY) else InputError
        raise kind(f"{place}: could not {what}{because} ({name}, SQL state {state or 'unknown'})") from None


def ask(database: OpenDatabase, what: str, sql: str, *values: str) -> list[list[Any]]:
    """The rows of a query on our own connection; `values` fill its question marks.

    Raises:
        InputError: it failed; the message says that we could not `what`.
    """
    with asking(database.place, what):
        statement = database.connection.prepareStatement(sql)
        try:
            for at, value in enumerate(values, start=1):
                statement.setString(at, value)
            return fetch_all(statement.executeQuery())
        finally:
            statement.close()


def fetch_all(found: Any) -> list[list[Any]]:
    """The rows of a java.sql.ResultSet."""
    width = found.getMetaData().getColumnCount()
    rows = []
    while found.next():
        rows.append([found.getObject(at) for at in range(1, width + 1)])
    return rows


def load_query(database: OpenDatabase, table: str, query: str, **options: str) -> DataFrame:
    """A table read by Spark with a query in parentheses, which has a name."""
    reader = database.spark.read.format("jdbc").options(**database.options, **options, dbtable=query)
    with asking(database.place, f"read the table {table!r}"):
        return reader.load()


def sql_name(name: str) -> str:
    """A name in standard SQL.

    >>> sql_name("a name; x")
    '"a name; x"'

    Raises:
        InputError: it has a quote itself, which Spark would not double where it names the column of partitions.
    """
    if '"' in name or "\0" in name:
        raise InputError(f"expected names of tables and columns without quotes, received {name!r}")
    return f'"{name}"'


def fetched_names(columns: Mapping[str, str], subject: str | None) -> dict[str, str]:
    """The name that each of the table's columns gets; with the subject, which the ranges are of."""
    fetched = {own: name for name, own in columns.items()}
    return fetched if subject is None else {subject: subject, **fetched}


def ranges_of(database: OpenDatabase, relation: str, column: str, shown: str) -> dict[str, str]:
    """Options that read a table in ranges of a whole-numbered column, none where it has one value; NULLs come first.

    `column` is quoted already; `shown` is its name in the frame.
    """
    sql = f"SELECT min({column}), max({column}) FROM {relation}"  # noqa: S608
    ((low, high),) = ask(database, "read the range of a table's subjects", sql)
    if low == high or database.partitions == 1:
        return {}
    return {
        "partitionColumn": shown,
        "lowerBound": str(low),
        "upperBound": str(high),
        "numPartitions": str(database.partitions),
    }


def require_schema(place: str, schema: str, known: list[str]) -> None:
    if schema not in known:
        raise InputError(
            f"{place}: expected a schema {schema!r}, received {len(known)} schemas without it."
            f"{did_you_mean(schema, known)}"
        )
