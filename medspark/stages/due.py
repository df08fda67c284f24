"""What a night owes to its sinks: noted before the first is touched, taken out once the ledger has it.

STORE/due/20261127T050000Z.json    of each as-of time one, which the next run completes if this one breaks off
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from medspark.errors import InputError
from medspark.runs.run import Run
from medspark.store.files import delete, list_paths, read_text, write_text

DUE: Final = "due"


@dataclass(frozen=True)
class Due:
    """Scores that passed their gate, on their way to the sinks."""

    night: str
    """By `night_id`."""
    as_of: datetime
    """UTC."""
    version: str
    """Of the store's `scores`."""
    bundle_id: str
    outcome: str
    """What the probability is of, in words."""
    explained: bool
    """Whether explanations go with them."""
    manifests: dict[str, str]
    """The digests of the version's manifests."""
    facts: dict[str, Any]
    """For the ledger."""


_JSON: Final = TypeAdapter(Due)


def begin(run: Run, due: Due) -> None:
    write_text(run.context, _place(run, due), _JSON.dump_json(due, indent=1, fallback=str).decode())


def end(run: Run, due: Due) -> None:
    delete(run.context, _place(run, due))


def due_in(run: Run) -> list[Due]:
    """What the store's nights still owe, the oldest first.

    Raises:
        InputError: a file is not as it was written.
    """
    paths = [path for path in list_paths(run.context, f"{run.store}/{DUE}") if path.endswith(".json")]
    return [_read(run, path) for path in paths]


def _read(run: Run, path: str) -> Due:
    try:
        return _JSON.validate_json(read_text(run.context, path))
    except ValidationError:
        raise InputError(
            f"{path}: expected what a night noted, received something else. Delete it, and run that night again."
        ) from None


def _place(run: Run, due: Due) -> str:
    return f"{run.store}/{DUE}/{due.as_of:%Y%m%dT%H%M%SZ}.json"
