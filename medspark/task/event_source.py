"""Where events lie: files, a catalog, or a database. No Spark here."""

from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from medspark.task.base import Closed, Place, unsaid


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
    _of_bundle: bool = PrivateAttr(default=False)

    @property
    def of_bundle(self) -> bool:
        """Whether a bundle names it, and not a task or deployment of the user's own."""
        return self._of_bundle

    def as_of_bundle(self) -> Self:
        """The same, named by a bundle."""
        found = self.model_copy()
        found._of_bundle = True
        return found


class Increment(Closed):
    """What `medspark clean --append` takes of a source that grows. Rows that come twice are then kept once."""

    by: Literal["files"]
    """The files of the source's folder that the store has not read."""
    vanished: Literal["stop", "keep"] = "stop"
    """What becomes of a file that was read before and is there no more: nothing is read, or its rows stay."""


class EventSource(Closed):
    """Where the tables of a mapping lie."""

    kind: Literal["events"]
    """Events of a warehouse."""
    mapping: str
    """The name of a mapping in conf/sources, or the path of one."""
    format: Literal["csv", "parquet", "orc", "fhir", "delta", "catalog", "jdbc"]
    """How the tables are kept; fhir is FHIR's bulk data, NDJSON of one resource a line."""
    path: Place | None = None
    """The folder of files or Delta tables; the catalog's database, such as hospital or hive.hospital."""
    database: Connection | None = None
    increment: Increment | None = Field(default=None, exclude_if=unsaid)
    """How a store of its records grows; without it each `clean` reads all."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.format == "jdbc") != (self.database is not None):
            raise ValueError(f"expected `database` with format jdbc and only with it, received {self.format}")
        if (self.format == "jdbc") == (self.path is not None):
            raise ValueError(f"expected `path` with every format but jdbc, received format {self.format}")
        if self.increment is not None and self.format not in ("csv", "parquet", "orc"):
            raise ValueError(f"expected `increment: {{by: files}}` of a source in files, received {self.format}")
        return self
