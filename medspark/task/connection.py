"""A database that a source of either kind lies in, and what of a source is no file. No Spark here."""

from typing import Final, Self

from pydantic import Field, PrivateAttr

from medspark.task.base import Closed
from medspark.task.jdbc_urls import shown_url

IN_DATABASES: Final = ("jdbc", "delta", "catalog")
"""The formats whose tables have names, and are read as they are at one moment where that can be."""
WITHOUT_FOLDER: Final = ("jdbc", "catalog")
"""Those beside whose tables no file lies."""


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


def require_one_place(form: str, path: str | None, database: Connection | None) -> None:
    """Refuse a source that lies nowhere, or in two places.

    Raises:
        ValueError: saying what its format asks for.
    """
    if (form == "jdbc") != (database is not None):
        raise ValueError(f"expected `database` with format jdbc and only with it, received {form}")
    if (form == "jdbc") == (path is not None):
        raise ValueError(f"expected `path` with every format but jdbc, received format {form}")


def shown_place(path: str | None, database: Connection | None) -> str:
    """Where a source lies, for messages: without user and password."""
    return shown_url(database.url) if database is not None else str(path)
