"""Any other database, by what its driver lists; no snapshot is common to several connections."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from pyspark.sql import DataFrame

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.databases.jdbc import (
    Dialect,
    OpenDatabase,
    asking,
    fetch_all,
    fetched_names,
    load_query,
    ranges_of,
    require_schema,
    sql_name,
)
from medspark.sources.databases.source import OpenSource, Past, match_name, rows_past

JAVA_WHOLE: Final = (-6, 5, 4, -5)
"""java.sql.Types: TINYINT, SMALLINT, INTEGER, BIGINT."""


@dataclass(frozen=True)
class _Listing:
    """What the driver says of its database: java.sql.DatabaseMetaData, and how names are written there."""

    metadata: Any
    catalog: str | None
    schema: str | None
    quote: str
    escape: str
    """Before a letter of a pattern that stands for itself."""


def open_generic(database: OpenDatabase) -> OpenSource:
    with asking(database.place, "list the tables"):
        listing = _list_names(database)
        found = fetch_all(listing.metadata.getTables(listing.catalog, listing.schema, "%", None))
    kinds = cache(partial(_list_kinds, database, listing))
    return OpenSource(
        place=database.place,
        consistent=False,
        tables=tuple(str(row[2]) for row in found if row[2] and ("TABLE" in str(row[3]) or "VIEW" in str(row[3]))),
        list_columns=lambda table: tuple(kinds(table)),
        load=partial(_load, database, listing, kinds),
    )


def _list_names(database: OpenDatabase) -> _Listing:
    """What the driver says, in the schema that the task asks for or else in the connection's own.

    Raises:
        InputError: there is no such schema.
    """
    metadata = database.connection.getMetaData()
    catalog, default = database.connection.getCatalog(), database.connection.getSchema()
    # Some databases, MySQL among them, have catalogs in place of schemas
    schemas = [str(row[0]) for row in fetch_all(metadata.getSchemas())]
    asked = database.schema or default
    schema = match_name(asked, schemas) or asked if asked is not None else None
    if schema is not None and schemas:
        require_schema(database.place, schema, schemas)
    return _Listing(
        metadata=metadata,
        catalog=catalog,
        schema=schema,
        quote=str(metadata.getIdentifierQuoteString()).strip(),
        escape=str(metadata.getSearchStringEscape() or ""),
    )


def _list_kinds(database: OpenDatabase, listing: _Listing, table: str) -> dict[str, int]:
    """The type of each column of a table, as java.sql.Types numbers them."""
    # The driver takes a pattern, in which an underscore is any letter
    pattern = re.sub(r"([_%])", lambda letter: listing.escape + letter[1], table) if listing.escape else table
    with asking(database.place, "list columns"):
        rows = fetch_all(listing.metadata.getColumns(listing.catalog, listing.schema, pattern, "%"))
    return {str(row[3]): int(row[4]) for row in rows if str(row[2]) == table}


def _load(
    database: OpenDatabase,
    listing: _Listing,
    kinds: Callable[[str], dict[str, int]],
    table: str,
    subject: str | None,
    columns: dict[str, str],
    past: Past | None,
) -> DataFrame:
    name_of = partial(_delimited, listing.quote)
    relation = name_of(table) if listing.schema is None else f"{name_of(listing.schema)}.{name_of(table)}"
    by = subject if subject is not None and kinds(table)[subject] in JAVA_WHOLE else None
    fetched = fetched_names(columns, by)
    selected = ", ".join(f"{name_of(own)} AS {name_of(name)}" for own, name in fetched.items())
    cut = {} if by is None else ranges_of(database, relation, name_of(by), fetched[by])
    query = f"(SELECT {selected} FROM {relation}) source"  # noqa: S608
    return rows_past(load_query(database, table, query, **cut).select(*map(quoted, columns)), past)


def _delimited(quote: str, name: str) -> str:
    """A name in the database's own quotes.

    Raises:
        InputError: it has a quote itself.
    """
    sql_name(name)
    if quote and quote in name:
        raise InputError(f"expected names of tables and columns without quotes, received {name!r}")
    return f"{quote}{name}{quote}"


DIALECT: Final = Dialect(url="", properties={}, open=open_generic)
