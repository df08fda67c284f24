"""Where events lie: files, a catalog, or a database. No Spark here."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medspark.task.base import Closed


class Connection(Closed):
    """A database, read through JDBC. The password is in the environment or a file, never in a task."""

    url: str
    """As jdbc:postgresql://host:5432/database, without user and password."""
    schema_: str | None = Field(default=None, alias="schema")
    """The schema of the tables."""
    user_variable: str | None = None
    """The environment variable with the user."""
    password_variable: str | None = None
    """Names of environment variables."""
    credentials: str | None = None
    """A file with the lines user=... and password=..., in place of the two variables."""
    partitions: int = Field(default=8, ge=1)
    """Parallel reads of a table, by ranges of its subject."""
    fetch: int = Field(default=10_000, ge=1)
    """Rows a round trip."""


class EventSource(Closed):
    """Where the tables of a mapping lie."""

    kind: Literal["events"]
    """Events of a warehouse."""
    mapping: str
    """The name of a mapping in conf/sources, or the path of one."""
    format: Literal["csv", "parquet", "orc", "delta", "catalog", "jdbc"]
    """How the tables are kept."""
    path: str | None = None
    """The folder of files or Delta tables; the catalog's database, such as hospital or hive.hospital."""
    database: Connection | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.format == "jdbc") != (self.database is not None):
            raise ValueError(f"expected `database` with format jdbc and only with it, received {self.format}")
        if (self.format == "jdbc") == (self.path is not None):
            raise ValueError(f"expected `path` with every format but jdbc, received format {self.format}")
        return self
