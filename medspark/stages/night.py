"""The night stage: a deployment's source scored, judged, published to every sink, and noted in the ledger.

Each step is done once and finds itself done: scores have the version that their bundle, source and time make, a sink
says whether it holds the night, and the ledger has an entry for it. So a night that broke off anywhere is completed by
running it again, one that broke off among the sinks also by the next one, and one that is complete changes nothing.
"""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from medspark.bundles.bundle import Bundle
from medspark.deploy.deployment import Deployment, FileSink
from medspark.errors import GateError, InputError, RejectedError, TaskError
from medspark.monitor.verdict import ORDER
from medspark.runs.lock import alone
from medspark.runs.run import Run, as_own_run
from medspark.score.explain_options import Ask
from medspark.score.publish import tables_of
from medspark.sinks.meds import require_carried
from medspark.sinks.publication import night_id
from medspark.stages.append import append_stage
from medspark.stages.door import pass_door
from medspark.stages.due import Due, complete_due, note, publish_due
from medspark.stages.eligible import moved
from medspark.stages.kept_nights import newest_nights
from medspark.stages.observe import observed
from medspark.stages.retention import forget_old
from medspark.stages.score import score_stage
from medspark.stages.watch import Gate
from medspark.stages.why import manifests_of
from medspark.store.ledger import last_entry, newest_published
from medspark.store.tables import keep, withdraw
from medspark.task.event_task import EventTask


@dataclass(frozen=True)
class Night:
    """One run of a deployment."""

    deployment: Deployment
    bundle: Bundle
    as_of: datetime
    force: bool = False
    """Publish again what is published."""
    override: str | None = None
    """Why a night is published whatever its verdict."""

    @property
    def ask(self) -> Ask | None:
        asked = self.deployment.explain
        return None if asked is None else Ask(asked.top, asked.above, asked.share)

    @property
    def inputs(self) -> list[str]:
        """Addresses of what it reads, as far as they are places of files."""
        source = self.deployment.source or self.bundle.task.source.path
        return [str(place) for place in (source, self.bundle.path) if place is not None]


def night_stage(run: Run, night: Night) -> str:
    """Score, judge and publish one night, and tell of it as its deployment asks; its errors are `publish_night`'s."""
    with observed(run, night.deployment, night.as_of, night.inputs):
        return publish_night(run, night)


@alone
def publish_night(run: Run, night: Night) -> str:
    """Score, judge and publish one night.

    Args:
        run: its store is the deployment's.
        night: what is published.

    Returns:
        The night's name, by `night_id`.

    Raises:
        TaskError: the store is another deployment's, or a sink has no columns for the task's outcome.
        InputError: the source's files are not what the deployment expects, or the ledger's end was altered: nothing was
            read.
        GateError: its verdict is worse than the gate lets through: no sink was touched, and the ledger says so.
        RejectedError: too many rows have no score: no sink was touched.
        BusyError: another run has the store, or took it over from this one.
        AccountingError: what arrived at a sink is not what was sent; those before it have the night.
    """
    _require_own(run, night.deployment)
    if any(isinstance(sink, FileSink) and sink.layout == "meds" for sink in night.deployment.sinks):
        require_carried(night.bundle.task)
    complete_due(run, night.deployment, night.as_of)
    try:
        pass_door(run, night.deployment, night.bundle.task)
    except InputError as error:
        _refused(run, night, [str(error)])
        raise
    _grow(run, night)
    version = _scored(run, night)
    tables = tables_of(night.ask)
    until = datetime.now(UTC) + timedelta(days=night.deployment.keep_days)
    keep(run.context, run.store, tables, version, until.date().isoformat())
    due = Due(
        night_id(night.deployment.deployment, version, night.as_of),
        night.as_of.astimezone(UTC),
        version,
        night.bundle.bundle_id,
        night.bundle.task.outcome.name,
        night.ask is not None,
        manifests_of(run, version),
        _facts_of(run, night),
    )
    published = publish_due(run, night.deployment, due, night.force)
    forget_old(run, night.deployment.keep_days)
    return published


def backfill_stage(run: Run, deployment: Deployment, bundle: Bundle, moments: Sequence[datetime]) -> None:
    """Run a deployment's nights one after the other, each as a run of its own with a receipt of its own.

    Nights that were published find themselves done. One that is refused, by the gate or for lack of scores, does not
    keep the others from theirs.

    Args:
        run: which says what each night says, and counts them.
        deployment: whose nights.
        bundle: the deployment's.
        moments: their as-of times, in their order.

    Raises:
        GateError: some were refused; all others were run.
    """
    refused: list[str] = []
    counts = run.receipt.counts["backfill"] = {"nights": len(moments), "refused": refused}
    for moment in moments:
        run.say(f"night of {moment.isoformat()}")
        try:
            work = partial(night_stage, night=Night(deployment, bundle, moment))
            as_own_run(run, run.store, "night", {"as_of": moment.isoformat()}, work)
        except (GateError, RejectedError) as error:
            refused.append(moment.isoformat())
            run.say(str(error))
    if refused:
        raise GateError(f"{len(refused)} of {counts['nights']} nights were refused: {', '.join(refused)}")


def _require_own(run: Run, deployment: Deployment) -> None:
    """Refuse a store that another deployment publishes from: the two would take each other's nights for their own.

    Raises:
        TaskError: it is another's, by the ledger's last entry: each one before it passed here too.
        InputError: the ledger's end was altered: nothing is published that could not be noted.
    """
    last, mine = last_entry(run.context, run.store), deployment.deployment
    if last is not None and last.facts.get("deployment") != mine:
        raise TaskError("store", [f"expected a store of {mine} alone, received one of {last.facts.get('deployment')}"])


def _grow(run: Run, night: Night) -> None:
    """Of events whose records a store keeps: let it take what is new of the source, in a run of its own.

    Raises:
        InputError: what is new cannot be taken: no sink was touched, and the ledger says why.
    """
    task, store = night.bundle.task, night.deployment.history
    if not isinstance(task, EventTask) or store is None:
        return
    source = moved(task, night.deployment.source)
    try:
        own = as_own_run(run, store, "clean", {"append": True}, lambda own: append_stage(own, source))
    except InputError as error:
        _refused(run, night, [str(error)])
        raise
    run.receipt.counts["append"] = {"run_id": own.receipt.run_id, **own.receipt.counts.get("append", {})}


def _scored(run: Run, night: Night) -> str:
    """The version of the night's scores, made or found; where the night is refused, the ledger says why."""
    try:
        version = _score(run, night)
        again = _why_again(run, night, version)
        if again is not None:
            run.say(f"{again}: they are made again")
            withdraw(run.context, run.store, tables_of(night.ask), version)
            version = _score(run, night)
    except GateError as error:
        _refused(run, night, run.receipt.verdict_reasons)
        raise GateError(f"{error}\nNo sink was touched; each still has what it had.") from None
    except (InputError, RejectedError) as error:
        _refused(run, night, [str(error)])
        raise type(error)(f"{error}\nNo sink was touched; each still has what it had.") from None
    return version


def _score(run: Run, night: Night) -> str:
    deployment = night.deployment
    gate = Gate(deployment.gate, night.override) if deployment.gate is not None else None
    return score_stage(
        run,
        night.bundle,
        deployment.source,
        _cut(night),
        history=deployment.history,
        ask=night.ask,
        gate=gate,
    )


def _why_again(run: Run, night: Night, version: str) -> str | None:
    """Why scores that were found made are not to be trusted; None where they are, or where this run made them."""
    if run.receipt.made_by_run is None:
        return None
    published = _last_published(run, version).get("manifests")
    if published is not None and published != manifests_of(run, version):
        return "these scores are not those that were published"
    if _is_unjudged(run, night, version):
        return "these scores were made without the gate, which nobody asked then"
    return None


def _is_unjudged(run: Run, night: Night, version: str) -> bool:
    """Whether a gate is asked for and the scores, found made, never passed one: a plain `medspark score` made them, or
    a run that broke off as it published them."""
    if night.deployment.gate is None or run.receipt.verdict is not None:
        return False
    if _last_published(run, version):
        return False
    published = (one for one in newest_nights(run.context, run.store) if one.version == version and one.published)
    newest, worst = next((one for one in published if one.verdict is not None), None), night.deployment.gate
    if newest is None:
        return True
    return newest.override is None and ORDER.index(newest.verdict or "stop") > ORDER.index(worst)


def _cut(night: Night) -> str | None:
    """Until when the source is read; None where the task has no time to compare with, and the night is only named."""
    task = night.bundle.task
    if not isinstance(task, EventTask) and task.source.time is None:
        return None
    return night.as_of.astimezone(UTC).replace(tzinfo=None).isoformat()


def _last_published(run: Run, version: str) -> dict[str, Any]:
    """What the ledger says of the version as it was last published; nothing where it never was."""
    newest = (entry.facts for entry in newest_published(run.context, run.store))
    return next((facts for facts in newest if facts["version"] == version), {})


def _facts_of(run: Run, night: Night) -> dict[str, Any]:
    """What the ledger has of a run: what was asked, from what, by what, and by whom."""
    receipt = run.receipt
    return {
        "deployment": night.deployment.deployment,
        "as_of": night.as_of.astimezone(UTC).isoformat(),
        "bundle_id": night.bundle.bundle_id,
        "fingerprint": getattr(receipt.inputs.get("source"), "fingerprint", None),
        "run_id": receipt.run_id,
        "made_by_run": receipt.made_by_run or receipt.run_id,
        "verdict": receipt.verdict,
        "override": receipt.override,
        "forced": night.force,
        "arguments": receipt.arguments,
        "versions": receipt.versions,
        "user": _user(),
        "host": receipt.process.host,
        "door": receipt.counts.get("door"),
        "keep_days": night.deployment.keep_days,
    }


def _refused(run: Run, night: Night, because: Sequence[str]) -> None:
    note(run, {**_facts_of(run, night), "outcome": "refused", "because": list(because)})


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())
