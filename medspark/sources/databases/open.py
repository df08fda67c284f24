"""The raw tables of a database, a folder of Delta tables or a catalog, each as a DataFrame with its own types.

    with open_source(spark, source) as tables:
        tables.has_table("device_exposure")
        tables.read("measurement", subject="person_id", columns=["person_id", "value_as_number"])

Of PostgreSQL every table and every partition of one is read in one snapshot, which lasts until the context ends.
A name is never SQL: it is looked up among the names that the source itself lists, and quoted as that listing has it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from medspark.errors import TaskError
from medspark.privacy.secrets import credentials, shown_url
from medspark.sources.databases.catalog import open_catalog
from medspark.sources.databases.delta import open_delta
from medspark.sources.databases.generic import open_generic
from medspark.sources.databases.jdbc import asking, driver_for, end_connection, keep_from_log
from medspark.sources.databases.packages import is_postgresql, jvm_of
from medspark.sources.databases.postgresql import READING, open_postgresql
from medspark.sources.databases.source import OpenSource
from medspark.task.event_source import Connection, EventSource


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
        yield open_delta(spark, source.path)
    elif source.format == "catalog" and source.path is not None:
        yield open_catalog(spark, source.path)
    else:
        raise TaskError("source.format", [f"expected jdbc, delta or catalog, received {source.format}"])


@contextmanager
def _open_database(spark: SparkSession, database: Connection) -> Iterator[OpenSource]:
    secret = credentials(database)
    keep_from_log(spark)
    place = shown_url(database.url)
    driver = driver_for(spark, database.url)
    postgresql = is_postgresql(database.url)
    properties = jvm_of(spark).java.util.Properties()
    for key, value in {**(READING if postgresql else {}), **secret}.items():
        properties.setProperty(key, value)
    with asking(place, "connect"):
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
        opener = open_postgresql if postgresql else open_generic
        yield opener(spark, connection, database, place, options)
    finally:
        end_connection(connection)
