"""A database of the session's catalogs."""

from collections.abc import Callable
from functools import cache, partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.databases.source import OpenSource


def open_catalog(spark: SparkSession, path: str) -> OpenSource:
    parts = path.split(".")
    where = ".".join(map(quoted, parts))
    if not all(parts) or not spark.catalog.databaseExists(where):
        raise InputError(f"expected a database {path!r} in the session's catalogs, found none of that name")
    # Temporary views have no database, and would stand in for a table
    tables = tuple(
        str(row["tableName"]) for row in spark.sql(f"SHOW TABLES IN {where}").collect() if not row["isTemporary"]
    )

    @cache
    def frame(table: str) -> DataFrame:
        return spark.table(f"{where}.{quoted(table)}")

    return OpenSource(
        place=path,
        consistent=False,
        tables=tables,
        versions={},
        _columns=lambda table: tuple(frame(table).columns),
        _load=partial(select_columns, frame),
    )


def select_columns(
    frame: Callable[[str], DataFrame], table: str, _subject: str | None, columns: dict[str, str]
) -> DataFrame:
    return frame(table).select(*(F.col(quoted(own)).alias(name) for name, own in columns.items()))
