"""The command that brings a bundle up to date."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from medspark.cli.options import STORE, Expect, History, Json, Store, TaskFile, absolute
from medspark.cli.run_command import run_task
from medspark.errors import TaskError

if TYPE_CHECKING:
    from medspark.train.update import How


def update(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="The bundle's folder; or `champion`: the one promoted in the store.")
    ],
    task: TaskFile,
    with_: Annotated[
        str | None,
        typer.Option("--with", metavar="SOURCE", help="New cases with outcomes; without it the task's own source."),
    ] = None,
    store: Store = STORE,
    history: History = None,
    head_only: Annotated[bool, typer.Option("--head-only", help="Only the layers next to the logits learn.")] = False,
    calibration_only: Annotated[
        bool, typer.Option("--calibration-only", help="No weight changes: only the calibration is fitted anew.")
    ] = False,
    each_night: Annotated[
        bool,
        typer.Option("--each-night", help="The champion learns by a bounded step, and what it becomes is promoted."),
    ] = False,
    expect: Expect = None,
    json_: Json = False,
) -> None:
    """A bundle and new outcomes to a challenger; where it is worse than the bundle it is refused (exit 4)."""
    from medspark.bundles.bundle import REPORT, load_bundle
    from medspark.bundles.champion import CHAMPION, champion_of
    from medspark.runs.run import local_path
    from medspark.stages.open_bundle import open_bundle
    from medspark.store.files import is_elsewhere

    past = absolute(history) if history is not None else None
    asked: dict[str, Any] = {"bundle": bundle, "with": with_, "history": past, "expect": expect}
    asked |= {"head_only": head_only, "calibration_only": calibration_only, "each_night": each_night}

    def place_in(folder: str) -> str:
        return str(champion_of(folder)) if bundle == CHAMPION else bundle

    def open_here(folder: str) -> None:
        if not is_elsewhere(place := place_in(folder)):
            load_bundle(local_path(place), expect)

    with run_task("update", task, store, json_, before=open_here, **asked) as (run, found):
        if head_only and calibration_only:
            raise TaskError("--head-only", ["expected one of --head-only and --calibration-only, received both"])
        how: How = "head" if head_only else "calibration" if calibration_only else "weights"
        if each_night:
            if bundle != CHAMPION or how == "calibration":
                raise TaskError("--each-night", ["expected it of `champion`, and without --calibration-only"])
            from medspark.stages.each_night import each_night_stage

            made = each_night_stage(run, with_, found, how, past)
            run.say(f"champion: {made}")
            run.say(f"take it back: medspark rollback {run.store}")
            return
        from medspark.stages.update import update_stage  # TensorFlow takes seconds to import

        challenger = update_stage(run, open_bundle(run, place_in(run.store), expect), found, with_, how, past)
        run.say(f"bundle: {challenger}")
        run.say(f"report: {challenger / REPORT}")
        run.say(f"use it: medspark promote {run.store} {challenger.name}")
