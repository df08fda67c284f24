"""Look-up tables, read once and frozen into the task, so that scoring needs no file but the bundle."""

import csv
import io
from collections.abc import Callable, Iterator

from medspark.errors import InputError, did_you_mean
from medspark.task.raw_table import Lookup
from medspark.task.spelling import normalised
from medspark.task.table_task import TableTask


def freeze_lookups(task: TableTask, read_text: Callable[[str], str]) -> TableTask:
    """The task with every look-up's pairs in place of its file.

    Raises:
        InputError: with every look-up that cannot be read, by name.
    """
    frozen: dict[str, Lookup] = {}
    problems: list[str] = []
    for name, lookup in task.lookups.items():
        if lookup.entries is not None:
            frozen[name] = lookup
            continue
        try:
            frozen[name] = Lookup(entries=_entries(lookup, read_text(str(lookup.path))))
        except InputError as error:
            problems.append(f"look-up {name!r}: {error}")
        except Exception as error:  # whatever the file system says: the file cannot be read
            problems.append(f"look-up {name!r}: cannot read {lookup.path}: {type(error).__name__}")
    if problems:
        raise InputError("\n".join(problems))
    return task.model_copy(update={"lookups": frozen})


def _entries(lookup: Lookup, text: str) -> dict[str, str | None]:
    key, value = str(lookup.key), str(lookup.value)
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    starts = [at for at, row in enumerate(rows) if key in row and value in row]
    if len(starts) != 1:
        seen = {cell for row in rows for cell in row}
        found = "none" if not starts else f"{len(starts)} of them"
        raise InputError(f"expected one header with {key!r} and {value!r}, received {found}.{did_you_mean(key, seen)}")
    header = rows[starts[0]]
    entries: dict[str, str | None] = {}
    for code, meaning in _pairs(rows[starts[0] + 1 :], header.index(key), header.index(value)):
        if code in entries:
            raise InputError(f"expected each {key!r} once, received {code!r} again")
        entries[code] = None if meaning in ("", *lookup.missing) else meaning
    if not entries:
        raise InputError(f"expected at least one row below {key!r} and {value!r}, received none")
    return entries


def _pairs(rows: list[list[str]], key: int, value: int) -> Iterator[tuple[str, str]]:
    """Code and meaning of each row down to the first empty one."""
    for row in rows:
        if not any(cell.strip() for cell in row):
            return
        if len(row) <= max(key, value):
            raise InputError(f"expected at least {max(key, value) + 1} fields in each row, received {len(row)}")
        yield normalised(row[key]), normalised(row[value])
