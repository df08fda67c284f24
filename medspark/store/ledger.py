"""The ledger of what a store published: append-only, each entry with the digest of the one before it.

    STORE/ledger/00000001.json    {"number": 1, "previous": "000...", "at": "2026-11-27T06:00:41+00:00", ...}
    STORE/ledger/00000002.json    "previous" is the SHA-256 of the bytes of the first
    STORE/ledger/HEAD             how many there are, and the digest of the last

A file is written aside, shown by one rename, and never again written. Whoever alters, removes or reorders entries
breaks the chain. Whoever may write the whole folder can forge all of it: against that, keep the newest digest
elsewhere, as each night says it, and give it to `verify`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pyspark import SparkContext

from medspark.errors import InputError
from medspark.store.files import exists, list_paths, read_text, write_text

LEDGER: Final = "ledger"
HEAD: Final = "HEAD"
FIRST: Final = "0" * 64
"""What stands for the digest before the first entry."""


@dataclass(frozen=True)
class Entry:
    """One entry, with the digest of its bytes."""

    number: int
    digest: str
    facts: dict[str, Any]


def append_entry(context: SparkContext, store: str, at: str, facts: dict[str, Any]) -> Entry:
    """Add an entry; the caller holds the store's lock.

    Raises:
        InputError: the end was altered or taken out: nothing can follow it.
    """
    last = last_entry(context, store)
    number, previous = (last.number + 1, last.digest) if last is not None else (1, FIRST)
    text = json.dumps({"number": number, "previous": previous, "at": at, **facts}, indent=1, default=str)
    write_text(context, f"{store}/{LEDGER}/{_name(number)}", text)
    entry = Entry(number, _digest(text), json.loads(text))
    write_text(context, f"{store}/{LEDGER}/{HEAD}", json.dumps({"entries": number, "digest": entry.digest}))
    return entry


def last_entry(context: SparkContext, store: str) -> Entry | None:
    """The newest entry; None where there is none.

    Raises:
        InputError: it, or what is noted of it, was altered or taken out, or there are more or fewer files than entries:
            another entry would hide that.
    """
    count = _count(context, store)
    last = _read(context, store, _name(count)) if count else None
    if count and last is None:
        place = f"{store}/{LEDGER}/{_name(count)}"
        raise InputError(f"{place} cannot be read: it was altered. `medspark verify` says more.")
    problems = _head_problems(context, store, count, FIRST if last is None else last.digest)
    files = len(_names(context, store))
    if files != count:
        problems.append(f"expected a file of each of {count} entries, received {files} files")
    if problems:
        raise InputError(f"{store}/{LEDGER}: {problems[0]}. `medspark verify` says more.")
    return last


def read_entries(context: SparkContext, store: str) -> list[Entry]:
    """All entries in their order; those that cannot be read are left out, for `chain_problems` names them."""
    found = (_read(context, store, name) for name in _names(context, store))
    return [entry for entry in found if entry is not None]


def published_entries(context: SparkContext, store: str) -> list[Entry]:
    """Those of nights that were published."""
    return [entry for entry in read_entries(context, store) if entry.facts.get("outcome") == "published"]


def newest_published(context: SparkContext, store: str) -> Iterator[Entry]:
    """The same, the newest first, each read when it is asked for: a night asks for few, however many there are."""
    for number in range(_count(context, store), 0, -1):
        there = exists(context, f"{store}/{LEDGER}/{_name(number)}")
        entry = _read(context, store, _name(number)) if there else None
        if entry is not None and entry.facts.get("outcome") == "published":
            yield entry


def chain_problems(context: SparkContext, store: str, expected: str | None = None) -> list[str]:
    """What of the ledger is not as it was written, a sentence each.

    Args:
        expected: the digest of an entry, noted elsewhere, which must be among them.
    """
    problems: list[str] = []
    previous, digests = FIRST, set()
    names = _names(context, store)
    for at, name in enumerate(names, start=1):
        if name != _name(at):
            return [*problems, f"entry {at} is missing: {name} follows {_name(at - 1) if at > 1 else 'nothing'}"]
        entry = _read(context, store, name)
        if entry is None:
            return [*problems, f"entry {at} was altered: it cannot be read"]
        if entry.number != at:
            problems.append(f"entry {at} was reordered: it says that it is entry {entry.number}")
        elif entry.facts.get("previous") != previous:
            problems.append(f"entry {at} does not follow the one before: one of the two was altered or replaced")
        previous = entry.digest
        digests.add(previous)
    problems += _head_problems(context, store, len(names), previous)
    if expected is not None and expected not in digests:
        problems.append("no entry has the digest that was noted elsewhere: the ledger was cut or written anew")
    return problems


def _head_problems(context: SparkContext, store: str, entries: int, digest: str) -> list[str]:
    """A run that was killed between the entry and HEAD leaves HEAD one behind, which is no damage."""
    place = f"{store}/{LEDGER}/{HEAD}"
    if not exists(context, place):
        return [f"{HEAD} is missing"] if entries > 1 else []
    try:
        head = json.loads(read_text(context, place))
        noted, last = int(head["entries"]), head["digest"]
    except (ValueError, KeyError, TypeError):
        return [f"{HEAD} was altered: it cannot be read"]
    if noted > entries:
        return [f"entry {noted} is missing: {HEAD} counts {noted} entries, there are {entries}"]
    if noted == entries and last != digest:
        return [f"entry {entries} was altered: it has not the digest that {HEAD} has"]
    return [f"{HEAD} was altered: it counts {noted} entries, there are {entries}"] if noted < entries - 1 else []


def _count(context: SparkContext, store: str) -> int:
    """How many entries there are: as HEAD says, and those that follow; else as many files as there are."""
    count = _noted(context, store)
    if count is None or (count and not exists(context, f"{store}/{LEDGER}/{_name(count)}")):
        return len(_names(context, store))
    while exists(context, f"{store}/{LEDGER}/{_name(count + 1)}"):
        count += 1
    return count


def _noted(context: SparkContext, store: str) -> int | None:
    """How many entries HEAD counts; None where nothing sound does."""
    place = f"{store}/{LEDGER}/{HEAD}"
    try:
        return max(0, int(json.loads(read_text(context, place))["entries"])) if exists(context, place) else None
    except (ValueError, KeyError, TypeError):
        return None


def _names(context: SparkContext, store: str) -> list[str]:
    names = [path.rsplit("/", 1)[-1] for path in list_paths(context, f"{store}/{LEDGER}")]
    return [name for name in names if name.endswith(".json") and not name.startswith(".")]


def _name(number: int) -> str:
    return f"{number:08d}.json"


def _read(context: SparkContext, store: str, name: str) -> Entry | None:
    try:
        text = read_text(context, f"{store}/{LEDGER}/{name}")
        facts = json.loads(text)
        return Entry(int(facts["number"]), _digest(text), facts)
    except (ValueError, KeyError, TypeError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
