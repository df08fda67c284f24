"""Which files of a source with `increment` are new to a store, and that the others are as they were."""

import hashlib
from typing import Final, NamedTuple

from pyspark import SparkContext
from pyspark.sql import SparkSession

from medspark.errors import InputError
from medspark.events.warehouse import Warehouse, open_warehouse, table_files
from medspark.store.facts import TakenFile
from medspark.store.files import file_state, full_path, sha256_of
from medspark.task.event_task import EventTask

_TOLD: Final = 5
"""Names in a message."""


class Taken(NamedTuple):
    """The files of a source."""

    files: dict[str, TakenFile]
    """All that the store has read then, by their paths below the source."""
    new: dict[str, str]
    """Of these the ones that it has not read yet, with their full paths."""

    @property
    def fingerprint(self) -> str:
        """Of all files together."""
        text = "\n".join(f"{name} {file.sha256}" for name, file in sorted(self.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def take_files(spark: SparkSession, task: EventTask, before: dict[str, TakenFile]) -> Taken:
    """The files of a source beside those that a store has read, none for a new store.

    Raises:
        InputError: one that was read has other content, or is there no more and its rows are not to stay.
    """
    context = spark.sparkContext
    with open_warehouse(spark, task.source, task.mapping) as warehouse:
        there = _files(warehouse)
    gone = sorted(set(before) - set(there))
    assert task.source.increment is not None
    if gone and task.source.increment.vanished == "stop":
        raise InputError(
            f"{task.source.path}: expected every file that the store has read, received none of {_named(gone)}. Where "
            "files go once they are read, say `increment: {by: files, vanished: keep}`; else put them back. A plain "
            "`medspark clean` reads what is there, and the rows of the others are lost."
        )
    found = {name: _as_read(context, path, before.get(name)) for name, path in there.items()}
    changed = [name for name, file in found.items() if name in before and file.sha256 != before[name].sha256]
    if changed:
        raise InputError(
            f"{task.source.path}: expected files that stay as they were read, received other content of "
            f"{_named(changed)}. A correction comes in a file of its own; or run `medspark clean`, which reads all "
            "anew, while every file is there."
        )
    return Taken(before | found, {name: path for name, path in there.items() if name not in before})


def require_kept(task: EventTask, before: dict[str, TakenFile], there: dict[str, TakenFile]) -> None:
    """Refuse to read a source anew where files are gone whose rows are to stay: the rows would go.

    Args:
        task: its source has `increment`.
        before: the files that the store's records are of.
        there: those of the source.

    Raises:
        InputError: some are there no more, and `vanished` is keep.
    """
    assert task.source.increment is not None
    gone = sorted(set(before) - set(there))
    if gone and task.source.increment.vanished == "keep":
        raise InputError(
            f"{task.source.path}: expected all {len(before)} files that the store's records are of, since "
            f"`vanished: keep` lets their rows stay, received none of {len(gone)} of them: {_named(gone)}. Put them "
            "back, or clean into another store."
        )


def _files(warehouse: Warehouse) -> dict[str, str]:
    """The files of all tables by their paths below the source."""
    folder = full_path(warehouse.spark.sparkContext, str(warehouse.source.path))
    found = [
        path
        for name, spec in warehouse.mapping.tables.items()
        for path in table_files(warehouse, name, spec.model_copy(update={"optional": True}))
    ]
    return {path.removeprefix(folder).lstrip("/"): path for path in sorted(set(found))}


def _as_read(context: SparkContext, path: str, before: TakenFile | None) -> TakenFile:
    """A file as it is; one with the size and the time of before is not read again."""
    state = file_state(context, path)
    if state is None:
        raise InputError(f"{path}: expected a file that stays while it is read, received none any more. Run again.")
    if before is not None and state == (before.size, before.changed):
        return before
    return TakenFile(*state, sha256_of(context, path))


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more
