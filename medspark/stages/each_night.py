"""A champion that learns each night: updated by a bounded step from outcomes that came since, and promoted where no
bundle is worse for it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from medspark.bundles.bundle import load_bundle
from medspark.bundles.champion import champion_of, history, last_promoted, promote_update
from medspark.errors import GateError, MedsparkError, TaskError
from medspark.runs.lock import alone
from medspark.runs.run import Run, as_own_run, local_path
from medspark.stages.night import Night
from medspark.stages.observe import tell_update
from medspark.stages.update import update_stage
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task

OfWeights = Literal["weights", "head"]
PROMOTED, UNCHANGED, REFUSED, FAILED = ("promoted", "unchanged", "refused", "failed")
"""What may become of a night's update."""
WHY: Final = "a bounded step, no worse on held-out patients"


@alone
def each_night_stage(
    run: Run,
    source: str | None,
    task: Task | None = None,
    how: OfWeights = "weights",
    past: str | None = None,
    night: datetime | None = None,
) -> Path:
    """The champion of the run's store, updated by a bounded step and promoted.

    Args:
        run: its store has the champion, and the cases that are rehearsed.
        source: cases whose outcomes are known by now.
        task: says how they are read, where that is another than the champion's.
        how: whether all weights learn, or those of the head.
        past: a store whose `records` are part of their past.
        night: the as-of time of the night that it follows, else now: of events, nothing that came later is learned, and
            nobody whose time at risk is not over.

    Returns:
        The champion's folder, which is the one of before where the source has nothing new or was learned from, and
        where this night or a later one learned already.

    Raises:
        GateError: the challenger is worse, or a person took the last update back: the champion stays.
        BundleError: there is no champion, or somebody decided meanwhile.
        TaskError: the task's time at risk has no end; or as `update_stage`, and so is InputError.
    """
    store = local_path(run.store)
    champion = load_bundle(champion_of(store))
    decisions = history(store)
    newest = decisions[-1]
    if newest.action == "rollback":
        raise GateError(
            f"nothing was learned: {newest.by} rolled back to {newest.bundle_id} at {newest.at}. To let nights update "
            f"it again: medspark promote {run.store} {newest.bundle_id}"
        )
    if night is not None and any(line.night is not None and line.night >= night for line in decisions):
        return champion.path
    promoted, asked = load_bundle(last_promoted(store)), task or champion.task
    _require_end(asked)
    made = update_stage(run, champion, asked, source, how, past, promoted, night or datetime.now(UTC))
    if made != champion.path:
        promote_update(store, made, newest, night, WHY)
    return made


def _require_end(task: Task) -> None:
    """Refuse a task by which nobody's outcome is ever known: those seen so far are the early ones alone."""
    if isinstance(task, EventTask) and task.outcome.label is not None:
        raise TaskError(
            task.task, ["population.labels: they do not say when an outcome became known, and nights learn what is"]
        )
    if isinstance(task, EventTask) and None in task.outcome.ends:
        raise TaskError(
            task.task, ["outcome.to_days: expected the last day at risk, or no night can say whose outcome is known"]
        )


def learn_tonight(run: Run, night: Night) -> None:
    """After a night of a deployment that asks for it, once that was told of: let its champion learn, in its own run.

    The night stands whatever comes of it, which its receipt and its metrics have as `update`.
    """
    asked, store = night.deployment.update, night.deployment.champion
    if asked is None or store is None:
        return
    moment = night.as_of.astimezone(UTC)
    told = run.receipt.counts["update"] = {"outcome": FAILED}

    def work(own: Run) -> None:
        before = champion_of(own.store)
        made = each_night_stage(own, asked.source, None, asked.how, asked.history, moment)
        told.update(outcome=UNCHANGED if made == before else PROMOTED, bundle_id=made.name, run_id=own.receipt.run_id)

    more = {"each_night": True, "source": asked.source, "how": asked.how}
    try:
        as_own_run(run, store, "update", more, work)
        run.say(f"champion: {told['bundle_id']}, {told['outcome']}")
    except Exception as error:
        because = str(error) if isinstance(error, MedsparkError) else type(error).__name__
        told.update(outcome=REFUSED if isinstance(error, GateError) else FAILED, because=because)
        run.say(f"  warning     the champion did not learn tonight: {because}")
    tell_update(run, night.deployment)
