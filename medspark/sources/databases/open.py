"""The raw tables of a database, a folder of Delta tables or a catalog, each as a DataFrame with its own types.

    with open_source(spark, source) as tables:
        tables.has_table("device_exposure")
        tables.read("measurement", subject="person_id", columns=["person_id", "value_as_number"])

Of PostgreSQL every table and every partition of one is read in one snapshot, which lasts until the context ends.
A name is never SQL: it is looked up among the names that the source itself lists, and quoted as that listing has it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyspark.sql import SparkSession

from medspark.errors import TaskError
from medspark.sources.databases import generic, postgresql
from medspark.sources.databases.catalog import open_catalog
from medspark.sources.databases.delta import open_delta, open_delta_table
from medspark.sources.databases.jdbc import connected
from medspark.sources.databases.source import OpenSource
from medspark.task.event_source import EventSource
from medspark.task.raw_table import TableSource

DIALECTS: Final = (postgresql.DIALECT, generic.DIALECT)
"""The first whose URLs begin as the source's does reads it; the last takes any."""


@contextmanager
def open_source(spark: SparkSession, source: EventSource | TableSource) -> Iterator[OpenSource]:
    """The tables of a source in a database, a folder of Delta tables or a catalog; read them inside the context. Of a
    table's source in Delta that table alone.

    Of Delta, each table's version is noted now and read whatever is written later. Of PostgreSQL, one transaction
    holds a snapshot that every reading connection joins. Of other databases and of catalogs each read sees what is
    there at that moment: `consistent` is then False. Other databases' types are as Spark's JDBC source reads them.

    Raises:
        TaskError: the connection's settings or credentials are wrong.
        InputError: the source cannot be reached, or the session lacks what reads it.
    """
    if source.format == "jdbc" and source.database is not None:
        url = source.database.url
        dialect = next(dialect for dialect in DIALECTS if url.startswith(dialect.url))
        with connected(spark, source.database, dialect) as database:
            yield dialect.open(database)
    elif source.format == "delta" and source.path is not None:
        yield (open_delta if source.kind == "events" else open_delta_table)(spark, source.path)
    elif source.format == "catalog" and source.path is not None:
        yield open_catalog(spark, source.path)
    else:
        raise TaskError("source.format", [f"expected jdbc, delta or catalog, received {source.format}"])
