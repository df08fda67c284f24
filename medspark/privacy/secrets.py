"""Users and passwords: from the environment or a private file, never in a URL or a message."""

import os
from pathlib import Path
from typing import Final

from medspark.errors import TaskError
from medspark.task.connection import Connection
from medspark.task.jdbc_urls import shown_url, url_problems

DATABASES: Final = "MEDSPARK_DATABASES"
"""The environment variable with the addresses that bundles may have read, with blanks between them."""


def credentials(database: Connection) -> dict[str, str]:
    """The options user and password, from the environment or the file that the connection names; none where neither.

    Raises:
        TaskError: they are in the URL, a variable is unset, the file is missing, open to others or malformed, or a
            bundle names a database that nobody here said it may.
    """
    _require_named(database)
    problems = list(url_problems(database.url))
    found: dict[str, str] = {}
    variables = {"user": database.user_variable, "password": database.password_variable}
    if database.credentials is not None and any(variables.values()):
        problems.append("expected either credentials or user_variable and password_variable, received both")
    elif database.credentials is not None:
        found, problem = _credentials_file(Path(database.credentials).expanduser())
        problems += problem
    for option, variable in variables.items():
        if variable is not None and not os.environ.get(variable):
            problems.append(f"{option}_variable: expected the {option} in the environment as {variable}, found none")
        elif variable is not None:
            found[option] = os.environ[variable]
    if problems:
        raise TaskError("source.database", problems)
    return found


def _require_named(database: Connection) -> None:
    """Refuse a database of a bundle's choice: whoever wrote the bundle would choose which secret goes to which host."""
    place = shown_url(database.url)
    named = {shown_url(one) for one in os.environ.get(DATABASES, "").split()}
    if not database.of_bundle or named & {place, place.partition(";")[0]}:  # that database, or all of its server
        return
    secrets = [name for name in (database.user_variable, database.password_variable, database.credentials) if name]
    asked = f" with {', '.join(secrets)}" if secrets else ""
    raise TaskError(
        "source.database",
        [
            f"the bundle reads {place}{asked}: expected that address among those of {DATABASES}, received none such. "
            f"Where it is yours, set {DATABASES}={place!r}; several have blanks between them"
        ],
    )


def _credentials_file(path: Path) -> tuple[dict[str, str], list[str]]:
    """What a credentials file holds, and what is wrong with it; no line of it is ever quoted."""
    if not path.is_file():
        return {}, [f"credentials: expected a file at {path}, found none"]
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return {}, [f"credentials: expected {path} for its owner only, received mode {mode:03o}. Run chmod 600 on it"]
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    found = {key.strip(): value.strip() for key, equals, value in pairs if equals}
    if sorted(found) != ["password", "user"] or len(pairs) != 2:
        return {}, [f"credentials: expected the two lines user=... and password=... in {path}, received others"]
    return found, []
