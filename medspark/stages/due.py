"""What a night owes to its sinks, and bringing it there: noted before the first is touched, taken out once the ledger
has it.

STORE/due/20261127T050000Z.json    of each as-of time one, which the next run completes if this one breaks off
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from medspark.deploy.deployment import Deployment
from medspark.errors import InputError
from medspark.runs.lock import require_held
from medspark.runs.receipt import now
from medspark.runs.run import Run
from medspark.schemas import EXPLANATIONS, SCORES
from medspark.sinks.open import open_sinks
from medspark.sinks.publication import Publication, published_rows, sums_of
from medspark.stages.why import manifests_of
from medspark.store.files import delete, list_paths, read_text, write_text
from medspark.store.ledger import append_entry, newest_published
from medspark.store.manifest import differences
from medspark.store.tables import read_parquet

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


def publish_due(run: Run, deployment: Deployment, due: Due, force: bool = False) -> str:
    """Bring what is due into the sinks that have it not, and note it; the night's name."""
    _begin(run, due)
    found = _publication(run, deployment, due)
    with run.receipt.timed("publish"), run.progress("publish"):
        outcomes = _put(run, deployment, found, force)
    if "published" in outcomes.values() or not _is_noted(run, due):
        what = {"night": due.night, "version": due.version, **found.sums._asdict(), "manifests": due.manifests}
        note(run, {**due.facts, "outcome": "published", **what, "sinks": outcomes})
    else:
        run.say(f"night {due.night} was published before; nothing changed")
    delete(run.context, _place(run, due))
    return due.night


def _is_noted(run: Run, due: Due) -> bool:
    same = {"night": due.night, "manifests": due.manifests}.items()
    return any(same <= entry.facts.items() for entry in newest_published(run.context, run.store))


def complete_due(run: Run, deployment: Deployment, but: datetime) -> None:
    """Publish what runs before this one left due, but of one time: their scores as they are, whatever the source has
    tonight."""
    for due in _due_in(run):
        if due.as_of == but:
            continue
        if not _is_as_noted(run, due):
            run.say(f"the night of {due.as_of.isoformat()} broke off and its scores are not there as they were: run it")
            continue
        run.say(f"the night of {due.as_of.isoformat()} broke off before its end: it is completed")
        completed = {**due.facts, "completed_by_run": run.receipt.run_id}
        run.receipt.completed.append(publish_due(run, deployment, replace(due, facts=completed)))
        counts = run.receipt.counts  # what is counted as published is tonight's alone
        counts["completed"] = {**counts.get("completed", {}), due.night: counts.pop("publish")}


def _is_as_noted(run: Run, due: Due) -> bool:
    """Whether the scores that are due, and what belongs to them, are still those that passed their gate."""
    if due.manifests != manifests_of(run, due.version):
        return False
    return not any(differences(run.context, f"{run.store}/{name}/{due.version}") for name in due.manifests)


def note(run: Run, facts: dict[str, Any]) -> None:
    """An entry of the ledger: what was published or refused."""
    require_held(run)
    entry = append_entry(run.context, run.store, now(), facts)
    run.receipt.outputs["ledger"] = f"entry {entry.number}, {entry.digest}"
    run.say(f"ledger: {run.receipt.outputs['ledger']}")


def _begin(run: Run, due: Due) -> None:
    write_text(run.context, _place(run, due), _JSON.dump_json(due, indent=1, fallback=str).decode())


def _due_in(run: Run) -> list[Due]:
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


def _publication(run: Run, deployment: Deployment, due: Due) -> Publication:
    scores = read_parquet(run.spark, f"{run.store}/{SCORES}/{due.version}")
    told = read_parquet(run.spark, f"{run.store}/{EXPLANATIONS}/{due.version}") if due.explained else None
    rows = published_rows(scores, told, due.night, deployment.deployment, due.as_of)
    return Publication(
        due.night,
        deployment.deployment,
        due.as_of,
        due.version,
        due.bundle_id,
        run.receipt.run_id,
        due.outcome,
        rows,
        sums_of(rows),
    )


def _put(run: Run, deployment: Deployment, found: Publication, force: bool) -> dict[str, str]:
    """By sink, whether the night was published into it now or was there."""
    outcomes: dict[str, str] = {}
    for sink in open_sinks(run.spark, deployment):
        if not force and sink.holds(found):
            outcomes[sink.place] = "there before"
        else:
            require_held(run)
            sink.put(found)
            outcomes[sink.place] = "published"
        run.say(f"  {outcomes[sink.place]:<12}{found.sums.rows:>12,}  {sink.place}")
    run.receipt.counts["publish"] = {"night": found.night, **found.sums._asdict(), "sinks": outcomes}
    return outcomes
