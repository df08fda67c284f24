"""Commands from a source to cases, and to other people's formats."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from medspark.cli.options import STORE, Json, Reader, Store, TaskFile, absolute
from medspark.cli.run_command import run_command, run_task
from medspark.errors import TaskError
from medspark.synth import DEFAULT_PARTS

if TYPE_CHECKING:
    from medspark.runs.run import Run
    from medspark.task.event_task import EventTask
    from medspark.task.tasks import Task

CLEANING: Final = "medspark.stages.append"
CASES: Final = "medspark.stages.features"
"""What takes a second to import, with what is below it."""


def synth(
    patients: Annotated[int, typer.Option(min=1, help="How many.")] = 20_000,
    out: Annotated[str, typer.Option(help="The folder to write.")] = "hospital",
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same hospital.")] = 0,
    parts: Annotated[str, typer.Option(help="What to write of flat, omop, meds and fhir.")] = ",".join(DEFAULT_PARTS),
    json_: Json = False,
) -> None:
    """Make a synthetic hospital, dirty on purpose, with a known signal."""
    named = tuple(part.strip() for part in parts.split(",") if part.strip())
    with run_command("synth", out, json_, seed=seed, patients=patients, parts=named) as run:
        make_hospital(run, run.store, patients, seed, named)


def make_hospital(
    run: "Run", out: str, patients: int, seed: int, parts: tuple[str, ...] = DEFAULT_PARTS
) -> dict[str, Any]:
    """Write a hospital, alone in its folder, and say what was planted in it.

    Raises:
        BusyError: another run writes there.
    """
    from medspark.runs.lock import holding
    from medspark.synth.write import write_hospital

    alone = holding(replace(run, store=out, holds_lock=False))
    with alone, run.receipt.timed("synth"), run.progress("synthetic hospital"):
        planted = write_hospital(run.spark, out, patients, seed, parts=parts)
    run.receipt.counts["synth"] = planted
    run.say(f"  patients    {planted['patients']:>12,}")
    run.say(f"  stays       {planted['admissions']:>12,}")
    if "meds" in planted:
        run.say(f"  events      {planted['meds']['events']:>12,}")
    run.say(f"hospital: {out}")
    return planted


def clean(
    task: TaskFile,
    store: Store = STORE,
    replay: Annotated[str | None, typer.Option(help="Repaired quarantine rows: Parquet, or JSON lines.")] = None,
    reader: Reader = "auto",
    append: Annotated[
        bool, typer.Option("--append", help="Take only what is new of a source with `increment`.")
    ] = False,
    compact: Annotated[bool, typer.Option("--compact", help="Read nothing: merge what was appended.")] = False,
    json_: Json = False,
) -> None:
    """Source to records and quarantine."""
    asked: dict[str, Any] = {"append": append, "compact": compact, "replay": replay, "reader": reader}
    ways = append + compact + (replay is not None or reader != "auto")
    with run_task("clean", task, store, json_, imports=CLEANING, **asked) as (run, found):
        if ways > 1:
            raise TaskError("--append", ["expected it, --compact, or --replay and --reader, received more than one"])
        from medspark.stages.append import append_stage, compact_stage
        from medspark.stages.clean import clean_stage

        if compact:
            compact_stage(run, found)
            return
        if append:
            append_stage(run, found)
        else:
            clean_stage(run, found, replay, reader)
        if "quarantine" not in run.receipt.outputs:
            return
        run.say(f"quarantine: {run.receipt.outputs['quarantine']}")


def features(task: TaskFile, store: Store = STORE, json_: Json = False) -> None:
    """Records to cases and attrition."""
    with run_task("features", task, store, json_, imports=CASES) as (run, found):
        from medspark.stages.features import features_stage
        from medspark.stages.freeze import freeze

        features_stage(run, freeze(run, found))
        run.say(f"cases: {run.receipt.outputs['cases']}")


def concepts(task: TaskFile, store: Store = STORE, json_: Json = False) -> None:
    """Count the codes, events and patients of each concept of an event task."""
    from medspark.stages.concepts import concepts_stage

    with run_task("concepts", task, store, json_) as (run, found):
        concepts_stage(run, of_events(found))


def meds(
    task: TaskFile,
    out: Annotated[str, typer.Option(help="The dataset's folder, empty or absent.")],
    store: Store = STORE,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="From which a prediction is positive.")] = 0.5,
    json_: Json = False,
) -> None:
    """Write an event task's records, labels and predictions as a MEDS dataset."""
    from medspark.stages.meds import meds_stage

    place = absolute(out)
    with run_task("meds", task, store, json_, out=out) as (run, found):
        meds_stage(run, of_events(found), place, threshold)
        run.say(f"dataset: {place}")


def of_events(task: "Task") -> "EventTask":
    """The task, where its source is events.

    Raises:
        TaskError: it is a table.
    """
    from medspark.task.event_task import EventTask

    if not isinstance(task, EventTask):
        raise TaskError(task.task, ["expected a task whose source is events, received one of a table"])
    return task
