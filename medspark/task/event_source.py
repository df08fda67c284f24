"""Where events lie: files, a catalog, or a database. No Spark here."""

from typing import Final, Literal, Self

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

    by: Literal["files", "column", "changes"]
    """files: the files of the source's folder that the store has not read; column: of each table the rows past the
    newest time of writing that the store has, which `row.written` of the mapping names; changes: what the change data
    feeds of Delta tables have past the commits that the store has read."""
    vanished: Literal["stop", "keep"] = "stop"
    """Of files: what becomes of one that was read before and is there no more: nothing is read, or its rows stay."""
    late_hours: float | None = Field(default=None, gt=0, exclude_if=unsaid)
    """Of column: how long before the newest time of writing rows are read once more, for those that came late; 24
    unless it says so."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.by != "files" and self.vanished != "stop":
            raise ValueError(f"expected `vanished` by files only, received it by {self.by}")
        if self.by != "column" and self.late_hours is not None:
            raise ValueError(f"expected `late_hours` by column only, received it by {self.by}")
        return self


_GROWS: Final = {
    "files": ("csv", "parquet", "orc"),
    "column": ("csv", "parquet", "orc", "jdbc"),
    "changes": ("delta",),
}
"""Of which formats a source may have each kind of increment."""


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
        if self.increment is not None and self.format not in _GROWS[self.increment.by]:
            by, formats = self.increment.by, " or ".join(_GROWS[self.increment.by])
            raise ValueError(f"expected `increment: {{by: {by}}}` of format {formats}, received {self.format}")
        return self
