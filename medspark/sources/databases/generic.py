"""Any other database, by what its driver lists."""

import re
from functools import cache
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.databases.jdbc import asking, fetch_all, fetched_names, ranges_of, require_schema, sql_name
from medspark.sources.databases.source import OpenSource, match_name
from medspark.task.event_source import Connection

JAVA_WHOLE: Final = (-6, 5, 4, -5)
"""java.sql.Types: TINYINT, SMALLINT, INTEGER, BIGINT."""


def open_generic(
    spark: SparkSession, connection: Any, database: Connection, place: str, options: dict[str, str]
) -> OpenSource:
    """Any other database, by what its driver lists; no snapshot is common to several connections."""
    with asking(place, "list the tables"):
        listing = connection.getMetaData()
        catalog, default = connection.getCatalog(), connection.getSchema()
        # Some databases, MySQL among them, have catalogs in place of schemas
        schemas = [str(row[0]) for row in fetch_all(listing.getSchemas())]
        asked = database.schema_ or default
        schema = match_name(asked, schemas) or asked if asked is not None else None
        if schema is not None and schemas:
            require_schema(place, schema, schemas)
        found = [
            (str(row[2]), str(row[3])) for row in fetch_all(listing.getTables(catalog, schema, "%", None)) if row[2]
        ]
        quote = str(listing.getIdentifierQuoteString()).strip()
        escape = str(listing.getSearchStringEscape() or "")
    tables = tuple(name for name, kind in found if "TABLE" in kind or "VIEW" in kind)

    def delimited(name: str) -> str:
        sql_name(name)
        if quote and quote in name:
            raise InputError(f"expected names of tables and columns without quotes, received {name!r}")
        return f"{quote}{name}{quote}"

    @cache
    def kinds(table: str) -> dict[str, int]:
        # The driver takes a pattern, in which an underscore is any letter
        pattern = re.sub(r"([_%])", lambda letter: escape + letter[1], table) if escape else table
        with asking(place, "list columns"):
            rows = fetch_all(listing.getColumns(catalog, schema, pattern, "%"))
        return {str(row[3]): int(row[4]) for row in rows if str(row[2]) == table}

    def load(table: str, subject: str | None, columns: dict[str, str]) -> DataFrame:
        relation = delimited(table) if schema is None else f"{delimited(schema)}.{delimited(table)}"
        by = subject if subject is not None and kinds(table)[subject] in JAVA_WHOLE else None
        fetched = fetched_names(columns, by)
        selected = ", ".join(f"{delimited(own)} AS {delimited(name)}" for own, name in fetched.items())
        cut = (
            {}
            if by is None
            else ranges_of(connection, place, relation, delimited(by), fetched[by], database.partitions)
        )
        query = f"(SELECT {selected} FROM {relation}) source"  # noqa: S608
        with asking(place, f"read the table {table!r}"):
            frame = spark.read.format("jdbc").options(**options, **cut, dbtable=query).load()
        return frame.select(*map(quoted, columns))

    return OpenSource(
        place=place,
        consistent=False,
        tables=tables,
        versions={},
        _columns=lambda table: tuple(kinds(table)),
        _load=load,
    )
