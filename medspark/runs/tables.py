"""A run's own tables: begun, written, published; left as they were where it fails."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from medspark.runs.lock import require_held
from medspark.runs.run import Run
from medspark.runs.writable import is_full
from medspark.store.manifest import differences, read_manifest, write_manifest
from medspark.store.tables import begin, discard, publish, withdraw
from medspark.store.versions import read_versions

TOLD: Final = 5
"""Files named on the console; the receipt has all."""


@contextmanager
def making(
    run: Run, tables: tuple[str, ...], version: str, made_by: str = "", *, resumes: bool = False
) -> Iterator[None]:
    """While a version of some tables is written: where the block fails, what it wrote is deleted.

    Args:
        made_by: the bundle's id, of tables that several may write in one store.
        resumes: whether another run goes on with what is there, which then stays.
    """
    begin(run.context, run.store, tables, version, made_by)
    try:
        yield
    except BaseException as error:
        if not resumes or is_full(error):
            _discard(run, tables, version)
        raise


def _discard(run: Run, tables: tuple[str, ...], version: str) -> None:
    """Without Java, which may be dead, where the store is on this machine; what stays goes with the next version."""
    if version in run.published:
        return
    if run.here is not None:
        for table in tables:
            shutil.rmtree(run.here / table / version, ignore_errors=True)
        return
    with suppress(Exception):
        discard(run.context, run.store, tables, version)


def require_publishable(run: Run) -> None:
    """Make sure, before anything is shown, that the source is still what was read and that the store is this run's.

    Raises:
        InputError: the source changed.
        StoreError, BusyError: the store was deleted, or another run took it over.
    """
    for require in run.before_publishing:
        require()
    if run.holds_lock:
        require_held(run)


def publish_tables(run: Run, tables: tuple[str, ...], version: str, made_by: str = "") -> None:
    """Publish what is written, all tables at once, and name what lies among the versions and is none of the store's."""
    require_publishable(run)  # the lock again once the files are read: that takes a while
    for table in tables:
        write_manifest(run.context, f"{run.store}/{table}/{version}", run.receipt.run_id)
    if run.holds_lock:
        require_held(run)
    run.published.add(version)
    foreign = publish(run.context, run.store, tables, version, made_by)
    for table, names in foreign.items():
        run.receipt.foreign[table] = names
        run.say(f"left alone, not made by this store: {', '.join(f'{table}/{name}' for name in names)}")


def published_before(run: Run, tables: tuple[str, ...], version: str, made_by: str) -> bool:
    """Whether this version of the tables was published and every file is as it was then; it is in force afterwards.

    Where something is gone, cut short or changed, that is said, and the version is withdrawn, to be made again: until
    then the version before it is in force.
    """
    of_store = read_versions(run.context, run.store)
    if not all(name in of_store and of_store[name].is_published(version) for name in tables):
        return False
    places = {name: f"{run.store}/{name}/{version}" for name in tables}
    problems = [f"{name}/{text}" for name, path in places.items() for text in differences(run.context, path)]
    if problems:
        told = ", ".join(problems[:TOLD]) + (f" and {len(problems) - TOLD} more" if len(problems) > TOLD else "")
        run.say(f"version {version} is not as it was published: {told}. It is made again.")
        run.receipt.damaged[version] = problems
        withdraw(run.context, run.store, tables, version)
        return False
    if any(of_store[name].current != version for name in tables):
        publish(run.context, run.store, tables, version, made_by)
    manifest = read_manifest(run.context, places[tables[-1]])
    run.receipt.made_by_run = manifest.run_id if manifest is not None else None
    return True
