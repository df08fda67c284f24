"""The tidy command: what a store and its sinks have that nobody needs, named, and removed where that is asked for.

Only what medspark made is looked at, and known by what it wrote of it: versions by `CURRENT`, runs by their receipts,
checkpoints by what stands in them, a sink's staging folder by the ledger. Nothing is found by a pattern, and nothing is
touched while a run is at work in the store.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from medspark.errors import InputError
from medspark.runs.lock import LOCK, holding, require_free
from medspark.runs.run import Run
from medspark.runs.scratch import SCRATCH
from medspark.sinks.files import FilesSink, sink_at
from medspark.stages.retention import Left, old_of
from medspark.store.files import delete, exists, list_paths, list_sizes
from medspark.store.ledger import last_entry, newest_published
from medspark.store.versions import CURRENT, StoreVersions, outdated, past, read_versions, without, write_versions
from medspark.train.checkpoints import CHECKPOINTS, other_libraries

VERSION: Final = "version"
STAGING: Final = "staging"


def tidy_stage(run: Run, remove: bool) -> list[Left]:
    """Say what nobody needs, and remove it.

    Args:
        run: its store is looked at.
        remove: whether it is removed; else it is named alone.

    Raises:
        InputError: there is no store.
        BusyError: another run is at work in it.
    """
    _require_store(run)
    require_free(run)
    found = list(left_in(run))
    sizes = [sum(list_sizes(run.context, left.path).values()) for left in found]
    if remove:
        with holding(run), run.receipt.timed("tidy"):  # taking the lock removes scratch folders of dead runs
            still = set(left_in(run))
            for left in found:
                if left in still:
                    _remove(run, left)
    for left, size in zip(found, sizes, strict=True):
        run.say(f"  {left.kind:<12}{size / 1e6:>10,.1f} MB  {left.path}: {left.because}")
    told = "removed" if remove else "would be removed: say --yes" if found else "to remove"
    run.say(f"{len(found)} things, {sum(sizes) / 1e6:,.1f} MB, {told}")
    listed = [{**left._asdict(), "bytes": size} for left, size in zip(found, sizes, strict=True)]
    run.receipt.counts["tidy"] = {"removed": remove, "bytes": sum(sizes), "found": listed}
    return found


def left_in(run: Run) -> Iterator[Left]:
    """What nobody needs, while no other run is at work in the store."""
    yield from _versions(run)
    yield from _of_dead_runs(run)
    yield from _checkpoints(run)
    yield from _staging(run)
    last = last_entry(run.context, run.store)
    if last is not None and "keep_days" in last.facts:
        yield from old_of(run, int(last.facts["keep_days"]))


def _require_store(run: Run) -> None:
    known = (CURRENT, "ledger", "bundles")
    if not any(exists(run.context, f"{run.store}/{name}") for name in known):
        raise InputError(f"{run.store}: expected a store of medspark, received a folder without {', '.join(known)}")


def _versions(run: Run) -> Iterator[Left]:
    for name, version, because in _not_needed(read_versions(run.context, run.store)):
        path = f"{run.store}/{name}/{version}"
        if exists(run.context, path):
            yield Left(VERSION, path, because)


def _not_needed(of_store: StoreVersions) -> Iterator[tuple[str, str, str]]:
    """What a run began, or a gate refused, is among them once its maker has published another since: before, the next
    run goes on with it."""
    today = datetime.now(UTC).date().isoformat()
    for name, table in of_store.items():
        over = set(past(table, today))
        makers = {known.made_by for known in table.versions}
        old = {one for maker in makers for one in outdated(table, maker, today)} | over
        for version in sorted(old):
            if table.is_published(version):
                yield name, version, "its days are over" if version in over else "newer ones of its maker are there"
            elif table.is_replaced(version):
                yield name, version, "begun by a run that did not publish it, and its maker has published another since"


def _of_dead_runs(run: Run) -> Iterator[Left]:
    """Scratch folders, and what a lock leaves, by the receipts of their runs."""
    receipts = {path.rsplit("/", 1)[-1].removesuffix(".json") for path in list_paths(run.context, f"{run.store}/runs")}
    places = list_paths(run.context, f"{run.store}/{SCRATCH}")
    beats = [path for path in list_paths(run.context, run.store) if path.rsplit("/", 1)[-1].startswith(f"{LOCK}.")]
    for path in [*places, *beats]:
        run_id = path.rsplit("/", 1)[-1].removeprefix(f"{LOCK}.")
        if run_id in receipts and run_id != run.receipt.run_id:
            yield Left("scratch" if path in places else "lock", path, "of a run that is dead")


def _checkpoints(run: Run) -> Iterator[Left]:
    folder = run.here / CHECKPOINTS if run.here is not None else None
    for place in sorted(folder.rglob("*.npz")) if folder is not None else []:
        others = other_libraries(place)
        if others:
            yield Left("checkpoint", f"{run.store}/{place.relative_to(str(run.here))}", f"made by {', '.join(others)}")


def _staging(run: Run) -> Iterator[Left]:
    for sink, deployment in _sinks(run):
        path = sink.staging(deployment)
        if exists(run.context, path):
            yield Left(STAGING, path, f"of a night of {deployment} that is dead")


def _sinks(run: Run) -> Iterator[tuple[FilesSink, str]]:
    """The folders that the ledger's nights were published into, each with its deployment."""
    entries = [entry.facts for entry in newest_published(run.context, run.store)]
    for place, deployment in sorted({(place, facts["deployment"]) for facts in entries for place in facts["sinks"]}):
        sink = sink_at(run.context, place)
        if sink is not None:
            yield sink, deployment


def _remove(run: Run, left: Left) -> None:
    if left.kind == STAGING:
        for sink, deployment in _sinks(run):
            if sink.staging(deployment) == left.path:
                sink.clear(deployment)
        return
    delete(run.context, left.path)
    if left.kind == VERSION:  # from the list as well
        table, version = left.path.rsplit("/", 2)[1:]
        write_versions(run.context, run.store, without(read_versions(run.context, run.store), table, [version]))
