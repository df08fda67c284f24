"""A database of the session's catalogs: each read sees what is there at that moment."""

from pyspark.sql import SparkSession

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.databases.source import OpenSource, open_frames


def open_catalog(spark: SparkSession, path: str) -> OpenSource:
    parts = path.split(".")
    where = ".".join(map(quoted, parts))
    if not all(parts) or not spark.catalog.databaseExists(where):
        raise InputError(f"expected a database {path!r} in the session's catalogs, found none of that name")
    # Temporary views have no database, and would stand in for a table
    tables = tuple(
        str(row["tableName"]) for row in spark.sql(f"SHOW TABLES IN {where}").collect() if not row["isTemporary"]
    )
    return open_frames(path, tables, lambda table: spark.table(f"{where}.{quoted(table)}"), consistent=False)
