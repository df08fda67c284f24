"""Where events lie: files, a catalog, or a database. No Spark here."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from medspark.task.base import Closed, Place, unsaid
from medspark.task.connection import Connection, require_one_place, shown_place


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
        require_one_place(self.format, self.path, self.database)
        if self.increment is not None and self.format not in _GROWS[self.increment.by]:
            by, formats = self.increment.by, " or ".join(_GROWS[self.increment.by])
            raise ValueError(f"expected `increment: {{by: {by}}}` of format {formats}, received {self.format}")
        return self

    @property
    def place(self) -> str:
        """For messages: without user and password."""
        return shown_place(self.path, self.database)
