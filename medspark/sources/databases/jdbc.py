"""What every database read through JDBC has in common: connecting, asking, cutting tables into ranges."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from medspark.errors import InputError, did_you_mean
from medspark.sources.databases.packages import POSTGRESQL, absent_package, has_class, is_postgresql, jvm_of

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

TALKATIVE: Final = "org.apache.spark.sql.execution.datasources.jdbc.connection.BasicConnectionProvider"


def driver_for(spark: SparkSession, url: str) -> Any:
    """The JDBC driver that takes a URL, found as Java finds services, in the packages of the session too."""
    java = jvm_of(spark).java
    loader = java.lang.Thread.currentThread().getContextClassLoader()
    found = java.util.ServiceLoader.load(loader.loadClass("java.sql.Driver"), loader).iterator()
    while found.hasNext():
        driver = found.next()
        if driver.acceptsURL(url):
            return driver
    kind = ":".join(url.split(":")[:2])
    raise absent_package(
        f"a driver for {kind}", POSTGRESQL if is_postgresql(url) else "GROUP:ARTIFACT:VERSION of the driver"
    )


@contextmanager
def asking(place: str, what: str) -> Iterator[None]:
    """Turn what the driver throws into its SQL state alone: its words may hold values, and its trace our options."""
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


def query_rows(connection: Any, sql: str, *values: str) -> list[list[Any]]:
    """The rows of a query on the driver's own connection; `values` fill its question marks."""
    statement = connection.prepareStatement(sql)
    try:
        for at, value in enumerate(values, start=1):
            statement.setString(at, value)
        return fetch_all(statement.executeQuery())
    finally:
        statement.close()


def fetch_all(found: Any) -> list[list[Any]]:
    width = found.getMetaData().getColumnCount()
    rows = []
    while found.next():
        rows.append([found.getObject(at) for at in range(1, width + 1)])
    return rows


def keep_from_log(spark: SparkSession) -> None:
    """Spark writes a connection's properties, the password too, to its log at DEBUG: not in this process, ever.

    Executors on other machines log by the cluster's own settings; at DEBUG, theirs must name this logger as well.
    """
    logging = "org.apache.logging.log4j.core.config.Configurator"
    if has_class(spark, logging):
        log4j = jvm_of(spark).org.apache.logging.log4j
        log4j.core.config.Configurator.setLevel(TALKATIVE, log4j.Level.INFO)


def end_connection(connection: Any) -> None:
    """Give the snapshot back; a connection that the server ended already has nothing to give."""
    for step in (connection.rollback, connection.close):
        try:
            step()
        except Py4JError:
            continue


def sql_name(name: str) -> str:
    """A name in standard SQL.

    Raises:
        InputError: it has a quote itself, which Spark would not double where it names the column of partitions.
    """
    if '"' in name or "\0" in name:
        raise InputError(f"expected names of tables and columns without quotes, received {name!r}")
    return f'"{name}"'


def ranges_of(connection: Any, place: str, relation: str, column: str, shown: str, partitions: int) -> dict[str, str]:
    """Options that read a table in ranges of a whole-numbered column, none where it has one value; NULLs come first.

    `column` is quoted already; `shown` is its name in the frame.
    """
    with asking(place, "read the range of a table's subjects"):
        ((low, high),) = query_rows(connection, f"SELECT min({column}), max({column}) FROM {relation}")  # noqa: S608
    if low == high or partitions == 1:
        return {}
    return {
        "partitionColumn": shown,
        "lowerBound": str(low),
        "upperBound": str(high),
        "numPartitions": str(partitions),
    }


def fetched_names(columns: Mapping[str, str], subject: str | None) -> dict[str, str]:
    """The name that each of the table's columns gets; with the subject, which the ranges are of."""
    fetched = {own: name for name, own in columns.items()}
    return fetched if subject is None else {subject: subject, **fetched}


def require_schema(place: str, schema: str, known: list[str]) -> None:
    if schema not in known:
        raise InputError(
            f"{place}: expected a schema {schema!r}, received {len(known)} schemas without it."
            f"{did_you_mean(schema, known)}"
        )
