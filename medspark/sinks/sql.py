"""The SQL of publishing into a table, as text, by the kind of database. Names are quoted; values are bound.

Three statements make a night's rows visible, in one transaction with the row of TABLE_nights: what they replace goes,
the staged rows come in, the night is noted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from medspark.errors import TaskError
from medspark.schemas import AS_OF_TIME, CASE_ID, DEPLOYMENT, NIGHT
from medspark.sources.databases.jdbc import sql_name

NIGHTS: Final[Mapping[str, str]] = {
    NIGHT: "string",
    DEPLOYMENT: "string",
    AS_OF_TIME: "timestamp",
    "version": "string",
    "bundle_id": "string",
    "run_id": "string",
    "rows": "bigint",
    "checksum": "string",
    "published_at": "timestamp",
}
"""Columns of TABLE_nights."""


@dataclass(frozen=True)
class Writes:
    """How one kind of database writes things."""

    url: str
    """How its URLs begin."""
    types: Mapping[str, str]
    """By Spark's types; text has no longest length where the database has such a type."""
    now: str
    short: str
    """The type of names that are keys: text that an index takes."""
    drop: str


DIALECTS: Final = (
    Writes(
        "jdbc:postgresql:",
        {"string": "text", "bigint": "bigint", "int": "integer", "double": "double precision", "boolean": "boolean"}
        | {"timestamp": "timestamp with time zone", "date": "date"},
        "current_timestamp",
        "varchar(400)",
        "DROP TABLE IF EXISTS {}",
    ),
    Writes(
        "jdbc:sqlserver:",
        {"string": "nvarchar(max)", "bigint": "bigint", "int": "int", "double": "float(53)", "boolean": "bit"}
        | {"timestamp": "datetimeoffset(6)", "date": "date"},
        "sysdatetimeoffset()",
        "nvarchar(400)",
        "DROP TABLE IF EXISTS {}",
    ),
    Writes(
        "jdbc:oracle:",
        {"string": "clob", "bigint": "number(19)", "int": "number(10)", "double": "binary_double"}
        | {"boolean": "number(1)", "timestamp": "timestamp(6) with time zone", "date": "date"},
        "systimestamp",
        "varchar2(400 char)",
        "DROP TABLE {} PURGE",
    ),
)
KEYS: Final = (NIGHT, DEPLOYMENT, CASE_ID, "run_id", "bundle_id", "model_id", "risk_band", "conformal_band")
"""Columns whose texts are short, whatever the task."""


def dialect_of(url: str) -> Writes:
    """How the database of a URL writes.

    Raises:
        TaskError: nobody has said yet how.
    """
    found = next((dialect for dialect in DIALECTS if url.casefold().startswith(dialect.url)), None)
    if found is None:
        known = ", ".join(dialect.url.removesuffix(":") for dialect in DIALECTS)
        raise TaskError("sinks", [f"expected a database of {known}, received {':'.join(url.split(':')[:2])}"])
    return found


def create(dialect: Writes, table: str, columns: Mapping[str, str]) -> str:
    """Make a table; `table` is quoted, `columns` are Spark's types by name.

    >>> create(dialect_of("jdbc:postgresql://h/d"), '"scores"', {"night": "string", "probability": "double"})
    'CREATE TABLE "scores" ("night" varchar(400), "probability" double precision)'
    """
    parts = ", ".join(_column(dialect, name, kind) for name, kind in columns.items())
    return f"CREATE TABLE {table} ({parts})"


def add_column(dialect: Writes, table: str, name: str, kind: str) -> str:
    """Add a column; Oracle and SQL Server know no word COLUMN there, and PostgreSQL does without."""
    return f"ALTER TABLE {table} ADD {_column(dialect, name, kind)}"


def _column(dialect: Writes, name: str, kind: str) -> str:
    if kind not in dialect.types:
        raise TaskError("sinks", [f"expected a column that a database has, received {name} of type {kind}"])
    short = kind == "string" and name in KEYS
    return f"{sql_name(name)} {dialect.short if short else dialect.types[kind]}"


def remove_replaced(table: str, staged: str, newest: bool) -> str:
    """Take out what a night replaces: its deployment's rows of the same as-of time (two values to bind), or, where a
    table keeps only the newest, also its deployment's rows of the staged cases that are not newer.
    """
    same = f"{sql_name(DEPLOYMENT)} = ? AND {sql_name(AS_OF_TIME)} = ?"
    if not newest:
        return f"DELETE FROM {table} WHERE {same}"  # noqa: S608 (quoted names)
    case, mine, time = sql_name(CASE_ID), sql_name(DEPLOYMENT), sql_name(AS_OF_TIME)
    older = f"{mine} = ? AND {time} <= ? AND {case} IN (SELECT {case} FROM {staged})"  # noqa: S608
    return f"DELETE FROM {table} WHERE ({same}) OR ({older})"  # noqa: S608


def bring_in(table: str, staged: str, columns: Sequence[str], newest: bool) -> str:
    """Copy the staged rows; where a table keeps only the newest, those of cases that have no newer row there."""
    names = ", ".join(map(sql_name, columns))
    plain = f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged}"  # noqa: S608
    if not newest:
        return plain
    case, mine = sql_name(CASE_ID), sql_name(DEPLOYMENT)
    return f"{plain} WHERE {case} NOT IN (SELECT {case} FROM {table} WHERE {mine} = ?)"  # noqa: S608


def forget_night(nights: str) -> str:
    """Take out the rows of TABLE_nights that a night replaces; the deployment and the as-of time are to be bound."""
    return f"DELETE FROM {nights} WHERE {sql_name(DEPLOYMENT)} = ? AND {sql_name(AS_OF_TIME)} = ?"  # noqa: S608


def note_night(dialect: Writes, nights: str) -> str:
    """Note a night; all columns of NIGHTS but the last are to be bound."""
    names = ", ".join(map(sql_name, NIGHTS))
    marks = ", ".join("?" for _ in list(NIGHTS)[:-1])
    return f"INSERT INTO {nights} ({names}) VALUES ({marks}, {dialect.now})"  # noqa: S608


def find_night(nights: str) -> str:
    """The checksum noted with a night, which is to be bound."""
    return f"SELECT {sql_name('checksum')} FROM {nights} WHERE {sql_name(NIGHT)} = ?"  # noqa: S608
