"""The nightly job, and what its store can tell of the nights before."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medspark.cli.options import Json, absolute
from medspark.cli.run_command import exit_code_of, run_command, terminal
from medspark.errors import TaskError

if TYPE_CHECKING:  # imported where Spark is needed, so that `medspark --help` is quick
    from medspark.deploy.deployment import Deployment
    from medspark.runs.run import Run

DeploymentFile = Annotated[Path, typer.Argument(metavar="DEPLOYMENT", help="Such as conf/deployments/NAME.yaml.")]
NightStore = Annotated[str, typer.Argument(metavar="STORE", help="A deployment's store.")]
CaseId = Annotated[
    str,
    typer.Argument(
        metavar="CASE",
        help="The id of a case; - reads it from standard input, so that no list of processes shows it.",
    ),
]
NightOf = Annotated[
    str | None, typer.Option(help="The time that the night is of, such as 2026-11-27T06:00 (UTC); else the last due.")
]
Force = Annotated[bool, typer.Option("--force", help="Publish again what is published, in place of what is there.")]
Override = Annotated[
    str | None, typer.Option(metavar="REASON", help="Publish whatever the verdict; the ledger keeps the reason.")
]
Noted = Annotated[str | None, typer.Option(help="The digest of an entry, noted elsewhere, that must be among them.")]


def night(
    deployment: DeploymentFile,
    as_of: NightOf = None,
    force: Force = False,
    override: Override = None,
    json_: Json = False,
) -> None:
    """Score, judge and publish one night of a deployment. Run again, it completes what is missing and changes nothing
    else.
    """
    from medspark.deploy.load import load_deployment
    from medspark.stages.night import Night, publish_night
    from medspark.stages.observe import observed
    from medspark.stages.open_bundle import open_bundle

    with exit_code_of(terminal()):
        read = load_deployment(deployment)
        moment = _moment(read, as_of)
        if read.update is not None and find_spec("tensorflow") is None:
            raise TaskError("update", ["expected TensorFlow here, by which a champion learns, received none"])
        if override is not None and (read.gate is None or not override.strip()):
            raise TaskError("--override", ["expected a reason, and a deployment with a gate"])
    given: dict[str, Any] = {
        "deployment": str(deployment),
        "as_of": moment.isoformat(),
        "force": force,
        "override": override,
    }
    with _told(read, moment) as runs:
        with exit_code_of(terminal()):
            found, bundle = _at_home(read, moment)
        with run_command("night", found.store, json_, lambda: _packages(found, bundle), **given) as run:
            runs.append(run)
            inputs = [place for place in (found.source, bundle) if place is not None]
            with observed(run, found, moment, inputs):
                opened = Night(found, open_bundle(run, bundle, found.expect), moment, force, override)
                inputs[:] = opened.inputs
                publish_night(run, opened)
            if found.update is not None:
                from medspark.stages.each_night import learn_tonight  # TensorFlow takes seconds to import

                learn_tonight(run, opened)


@contextmanager
def _told(found: "Deployment", moment: datetime) -> Iterator[list["Run"]]:
    """Where the block ends before it has a run, which tells of itself, the deployment's metrics get its exit code."""
    from medspark.stages.observe import tell_unbegun

    runs: list[Run] = []
    try:
        yield runs
    except typer.Exit as ended:
        if not runs:
            tell_unbegun(found, moment, ended.exit_code)
        raise


def backfill(
    deployment: DeploymentFile,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")],
    json_: Json = False,
) -> None:
    """Run the nights of all days from one to another, in their order. Run again, it goes on where it broke off."""
    from medspark.deploy.load import load_deployment
    from medspark.stages.night import backfill_stage
    from medspark.stages.open_bundle import open_bundle

    with exit_code_of(terminal()):
        found, bundle = _at_home(load_deployment(deployment))
        if last < first:
            raise TaskError("--to", ["expected a day not before that of --from, received an earlier one"])
        moments = found.as_of.between(first.date(), last.date())
        if moments[-1] > datetime.now(UTC):
            raise TaskError("--to", ["expected nights that have been, received one to come"])
    given: dict[str, Any] = {"deployment": str(deployment), "first": str(first.date()), "last": str(last.date())}
    with run_command("backfill", found.store, json_, lambda: _packages(found, bundle), **given) as run:
        backfill_stage(run, found, open_bundle(run, bundle, found.expect), moments)


def _at_home(found: "Deployment", moment: datetime | None = None) -> tuple["Deployment", str]:
    """The deployment with its own places in full, and the folder of its bundle, as it was before the update of the
    night of that moment; the source is the task's to read."""
    from medspark.bundles.champion import champion_of

    sinks = tuple(
        sink.model_copy(update={"path": absolute(sink.path)}) if sink.kind != "jdbc" else sink for sink in found.sinks
    )
    history = absolute(found.history) if found.history is not None else None
    bundle = found.bundle or str(champion_of(absolute(str(found.champion)), moment))
    told = {
        name: absolute(place) for name in ("log", "metrics", "lineage") if (place := getattr(found, name)) is not None
    }
    champion, update = absolute(found.champion) if found.champion is not None else None, found.update
    if update is not None and update.history is not None:
        update = update.model_copy(update={"history": absolute(update.history)})
    places = {
        "store": absolute(found.store),
        "champion": champion,
        "sinks": sinks,
        "history": history,
        "update": update,
        **told,
    }
    return found.model_copy(update=places), bundle


def _moment(found: "Deployment", as_of: str | None) -> datetime:
    if as_of is None:
        return found.as_of.last(datetime.now(UTC))
    try:
        given = datetime.fromisoformat(as_of)
    except ValueError:
        raise TaskError("--as-of", ["expected a time such as 2026-11-27T06:00, received something else"]) from None
    moment = (given if given.tzinfo else given.replace(tzinfo=UTC)).replace(microsecond=0)
    if moment > datetime.now(UTC):
        raise TaskError("--as-of", ["expected a time that has been, received one to come"])
    return moment


def _packages(found: "Deployment", bundle: str) -> tuple[str, ...]:
    """Those of the bundle's source, of the sinks' drivers, and Delta Lake's where one is of it."""
    from medspark.sources.databases.packages import DELTA, driver_package
    from medspark.stages.open_bundle import packages_of_bundle

    drivers = [driver_package(sink.database.url) for sink in found.sinks if sink.kind == "jdbc"]
    of_bundle = packages_of_bundle(bundle, found.expect, {"source": found.source})
    delta = [DELTA for sink in found.sinks if sink.kind == "delta"]
    return tuple(dict.fromkeys([*of_bundle, *delta, *(driver for driver in drivers if driver is not None)]))


def why(
    store: NightStore,
    case: CaseId,
    json_: Json = False,
) -> None:
    """Print each score that a case ever got: when, from what, by which bundle, by whom, and why."""
    from medspark.stages.why import why_stage

    with run_command("why", store, False) as run:
        run.console.quiet = json_
        found = why_stage(run, sys.stdin.readline().rstrip("\r\n") if case == "-" else case)
        if json_:
            print(json.dumps(found, indent=1, default=str))


def tidy(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A store of a task, or of a deployment.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it.")] = False,
    json_: Json = False,
) -> None:
    """Say what a store and its sinks have that nobody needs: outdated versions, what dead runs left, receipts that are
    older than scores are kept. With --yes, remove it.
    """
    from medspark.stages.tidy import tidy_stage

    with run_command("tidy", store, json_, session=False, yes=yes) as run:
        tidy_stage(run, yes)


def verify(store: NightStore, expect: Noted = None, json_: Json = False) -> None:
    """Prove that nothing in a deployment's ledger, nor any score it published, was altered, removed or reordered."""
    from medspark.stages.why import verify_stage

    with run_command("verify", store, json_, expect=expect) as run:
        verify_stage(run, expect)
