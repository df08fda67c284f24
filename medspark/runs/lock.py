"""One writer of a store at a time: `STORE/LOCK` says which run, and a file beside it that the run is alive.

The file is made where none is, in one step, by one of all that try. The owner renews `LOCK.RUN_ID` every BEAT seconds.
A lock is stale, and taken over, where its owner's process is known to be dead (one of the same machine), or where it
was not renewed for STALE seconds. Before a run publishes it makes sure that the lock is still its own.
"""

import functools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from py4j.protocol import Py4JJavaError

from medspark.errors import BusyError, StoreError
from medspark.runs.process import Process, is_dead, this_process
from medspark.runs.receipt import now
from medspark.runs.run import Run, find_here, name_broken_off
from medspark.runs.scratch import remove_left_scratch
from medspark.runs.writable import store_writable
from medspark.store.files import create_text, delete_file, exists, file_state, read_text, write_text
from medspark.store.here import replace_here
from medspark.store.versions import NAME

LOCK: Final = "LOCK"
BEAT: Final = 20.0
STALE: Final = 600.0
"""Seconds. Clocks of machines may differ by less, and a network file system may be away for as long."""

P = ParamSpec("P")
R = TypeVar("R")


def alone(stage: Callable[Concatenate[Run, P], R]) -> Callable[Concatenate[Run, P], R]:
    """A stage that holds its store's lock while it is at work."""

    @functools.wraps(stage)
    def call(run: Run, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with holding(run):
            return stage(run, *args, **kwargs)

    return call


@contextmanager
def holding(run: Run) -> Iterator[None]:
    """Hold the lock of the run's store in the block; a run that has it already goes on.

    Raises:
        BusyError: another run has it.
        StoreError: the store cannot be written.
    """
    if run.holds_lock:
        yield
        return
    find_here(run)
    with store_writable(run.store):
        _take(run)
    run.holds_lock, ended = True, threading.Event()
    beating = threading.Thread(target=_beat, args=(run, ended), daemon=True)
    beating.start()
    try:
        remove_left_scratch(run)
        yield
    finally:
        ended.set()
        beating.join(BEAT)
        run.holds_lock = False
        _release(run)


def require_held(run: Run) -> None:
    """Make sure, before what is written is shown, that no other run took the store over and that it is still there.

    Raises:
        StoreError: the store was deleted while the run was at work.
        BusyError: another run took it over.
    """
    owner = _read(run, LOCK)
    if owner is None:
        raise StoreError(
            f"{run.store} was deleted, or its file {LOCK}, while this run was at work: it published nothing. Run again."
        )
    if owner.get("run_id") != run.receipt.run_id:
        raise BusyError(f"{_told(run.store, owner)} It took the store over from this run, which published nothing.")


def require_free(run: Run) -> None:
    """Make sure that no other run is at work in the store, without taking it.

    Raises:
        BusyError: one is.
    """
    find_here(run)
    owner = _read(run, LOCK)
    if owner is not None and not _is_stale(run, owner):
        raise BusyError(f"{_told(run.store, owner)} Wait for its end.")


def _take(run: Run) -> None:
    receipt = run.receipt
    mine = {"run_id": receipt.run_id, "command": receipt.command, "since": now(), "process": asdict(this_process())}
    text = json.dumps(mine, indent=1)
    for _ in range(20):
        if create_text(run.context, _place(run, LOCK), text):
            return
        owner = _read(run, LOCK)
        if owner is None:  # released at this moment
            continue
        if _is_stale(run, owner):
            _take_over(run, owner)
        elif "run_id" in owner:
            raise BusyError(f"{_told(run.store, owner)} Wait for its end, or write elsewhere.")
        else:
            time.sleep(0.05)  # it is being written
    if _read(run, LOCK) == {}:
        raise BusyError(
            f"{run.store} is in use: its file {LOCK} is empty or damaged, as a failure of power leaves it. "
            f"{STALE:.0f} s after it was written it is taken over."
        )
    raise BusyError(f"{run.store}: other runs take and leave it all the time. Run again.")


def _take_over(run: Run, stale: dict[str, Any]) -> None:
    """Remove a stale lock. Of several that find it stale one removes it, and none removes another's new one."""
    guard = _place(run, f"{LOCK}-takeover")
    if not create_text(run.context, guard, now()):
        if _age_of_file(run, f"{LOCK}-takeover") > STALE:
            delete_file(run.context, guard)
        time.sleep(0.1)
        return
    try:
        owner = _read(run, LOCK)
        if owner is not None and owner.get("run_id") == stale.get("run_id") and _is_stale(run, owner):
            delete_file(run.context, _place(run, LOCK))
            run.say(f"{run.store}: run {stale.get('run_id', 'unknown')} held it and is gone; it is taken over")
            if "run_id" in stale:
                with suppress(Py4JJavaError):  # a folder by that name, which no run made
                    delete_file(run.context, _place(run, f"{LOCK}.{stale['run_id']}"))
                name_broken_off(run, stale["run_id"])
    finally:
        delete_file(run.context, guard)


def _is_stale(run: Run, owner: dict[str, Any]) -> bool:
    with suppress(KeyError, TypeError):
        dead = is_dead(Process(**owner["process"]))
        if dead is not None:
            return dead
    beat = _text(run, f"{LOCK}.{owner['run_id']}") if "run_id" in owner else None
    name, said = (LOCK, owner.get("since")) if beat is None else (f"{LOCK}.{owner['run_id']}", beat)
    age = _age(said)
    return (_age_of_file(run, name) if age is None else age) > STALE


def _age(said: Any) -> float | None:
    """Seconds since a time, in UTC where it names no zone; None of what is none, and of a time that is yet to come."""
    try:
        time_said = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return None
    zoned = time_said if time_said.tzinfo is not None else time_said.replace(tzinfo=UTC)
    age = (datetime.now(UTC) - zoned).total_seconds()
    return age if age > -STALE else None


def _age_of_file(run: Run, name: str) -> float:
    """Seconds since a file was written that does not say when that was; zero where it is gone."""
    with suppress(OSError, Py4JJavaError):
        if run.here is not None:
            return time.time() - (run.here / name).stat().st_mtime
        state = file_state(run.context, _place(run, name))
        return 0.0 if state is None else time.time() - state[1] / 1000
    return 0.0


def _told(store: str, owner: dict[str, Any]) -> str:
    process = owner["process"] if isinstance(owner.get("process"), dict) else {}
    where = f"on host {process.get('host')}, process {process.get('pid')}, since {owner.get('since')}"
    return f"{store} is in use: run {owner.get('run_id')} (medspark {owner.get('command')}) {where}."


def _beat(run: Run, ended: threading.Event) -> None:
    """Renew the lock; of a store that is gone, nothing is made anew."""
    while True:
        with suppress(Exception):  # the next beat may reach it, and publishing looks for itself
            if _read(run, LOCK) is not None:
                _write_beat(run)
        if ended.wait(BEAT):
            return


def _write_beat(run: Run) -> None:
    name = f"{LOCK}.{run.receipt.run_id}"
    if run.here is not None:
        replace_here(run.here / name, now())
    else:
        write_text(run.context, _place(run, name), now())


def _release(run: Run) -> None:
    """Leave the store to others; without Java, which may be dead, where it is on this machine."""
    with suppress(Exception):  # what stays is stale: this process is dead soon
        owner = _read(run, LOCK)
        mine = owner is not None and owner.get("run_id") == run.receipt.run_id
        for name in (f"{LOCK}.{run.receipt.run_id}", *([LOCK] if mine else [])):
            if run.here is not None:
                (run.here / name).unlink(missing_ok=True)
            else:
                delete_file(run.context, _place(run, name))


def _read(run: Run, name: str) -> dict[str, Any] | None:
    """The owner that a lock names; empty where it is damaged or being written, None where there is no lock.

    Its id becomes the names of files, and is never a path.
    """
    text = _text(run, name)
    if text is None:
        return None
    with suppress(ValueError):
        owner = json.loads(text)
        if isinstance(owner, dict) and re.fullmatch(NAME, str(owner.get("run_id"))):
            return owner | {"run_id": str(owner["run_id"])}
    return {}


def _text(run: Run, name: str) -> str | None:
    """A small file of the store; None where there is none, or no longer."""
    try:
        if run.here is not None:
            return (run.here / name).read_text(encoding="utf-8")
        return read_text(run.context, _place(run, name)) if exists(run.context, _place(run, name)) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return ""
    except Py4JJavaError as error:
        if "FileNotFoundException" in str(error):
            return None
        raise


def _place(run: Run, name: str) -> str:
    return f"{run.store}/{name}"
