"""The command that measures a bundle on data whose outcomes are known."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medspark.cli.options import BundleFolder, Expect, History, Json, ServedBy, absolute
from medspark.cli.run_command import exit_code_of, run_bundle, run_command, terminal

if TYPE_CHECKING:
    from medspark.runs.run import Run
    from medspark.task.tasks import Task


def evaluate(
    bundle: BundleFolder,
    task: Annotated[
        Path | None,
        typer.Argument(metavar="[TASK]", help="How the source is read, where that is not as the bundle's task says."),
    ] = None,
    to: Annotated[str, typer.Option(help="The store that the evaluation goes to.")] = "store",
    source: Annotated[
        str | None, typer.Option(help="The file, folder or pattern with outcomes; without it the task's own.")
    ] = None,
    history: History = None,
    engine: ServedBy = "auto",
    expect: Expect = None,
    json_: Json = False,
) -> None:
    """Measure a bundle on a source whose outcomes are known: the page that training makes, of other data."""
    from medspark.stages.evaluate import evaluate_stage
    from medspark.stages.open_bundle import open_bundle

    with exit_code_of(terminal()):
        found = _task(task, source)
    past = absolute(history) if history is not None else None
    asked: dict[str, Any] = {"source": source, "history": past, "engine": engine, "expect": expect}
    with _run(bundle, found, to, json_, {**asked, "task": None if task is None else str(task)}) as run:
        evaluate_stage(run, open_bundle(run, bundle, expect), source, found, past, engine)
        run.say(f"metrics: {run.receipt.outputs['metrics']}")
        run.say(f"report: {run.receipt.outputs['report']}")


def _task(path: Path | None, source: str | None) -> "Task | None":
    if path is None:
        return None
    from medspark.sources.fasta import require_fasta
    from medspark.task.load import load_task

    task = load_task(path)
    require_fasta(task, source)
    return task


def _run(
    bundle: str, task: "Task | None", store: str, as_json: bool, asked: dict[str, Any]
) -> "AbstractContextManager[Run]":
    """The run, with the packages that the source needs: by the task that is given, else by the bundle's."""
    if task is None:
        return run_bundle("evaluate", bundle, store, as_json, **asked)
    from medspark.sources.databases.packages import packages_of

    return run_command("evaluate", store, as_json, lambda: packages_of(task), bundle=bundle, **asked)
