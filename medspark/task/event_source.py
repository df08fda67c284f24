"""Where events lie: files, a catalog, or a database. No Spark here."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medspark.task.base import Closed, Place, unsaid
from medspark.task.connection import Connection, require_one_place, shown_place


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
        require_one_place(self.format, self.path, self.database)
        if self.increment is not None and self.format not in ("csv", "parquet", "orc"):
            raise ValueError(f"expected `increment: {{by: files}}` of a source in files, received {self.format}")
        return self

    @property
    def place(self) -> str:
        """For messages: without user and password."""
        return shown_place(self.path, self.database)
