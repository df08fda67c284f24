"""Commands on task files, without Spark."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medspark.cli.options import TaskFile
from medspark.cli.run_command import exit_code_of, terminal
from medspark.errors import TaskError

if TYPE_CHECKING:
    from medspark.task.tasks import Task


ForScoring = Annotated[bool, typer.Option("--for-scoring", help="List what scoring will ask of the source.")]


LookAtData = Annotated[bool, typer.Option("--data", help="Look for the source's files too, and at their columns.")]


def check(task: TaskFile, for_scoring: ForScoring = False, data: LookAtData = False) -> None:
    """Report every problem in a task file, without starting Spark."""
    from medspark.draft.look import data_problems
    from medspark.task.load import load_task
    from medspark.task.notes import notes
    from medspark.task.scoring import asked_by_scoring

    with exit_code_of(terminal()):
        found = load_task(task)
        if data and (problems := data_problems(found)):
            raise TaskError(str(task), problems)
        print(f"{task}: fine. {summary(found)}")
        for note in notes(found):
            print(f"  {note}")
        for line in asked_by_scoring(found) if for_scoring else ():
            print(line)


def summary(task: "Task") -> str:
    """What a task reads and learns from, in one sentence."""
    from medspark.task.event_task import EventTask

    if isinstance(task, EventTask):
        groups = [column.name for column in task.features.columns()]
        return f"Events by {task.source.mapping}; features: {', '.join([*task.features.demographics, *groups])}."
    return f"{len(task.columns)} columns; {task.features.summary()}."


def schema(
    of: Annotated[Literal["task", "deployment"], typer.Option(help="What kind of file.")] = "task",
) -> None:
    """Print the JSON Schema of task files, or of deployment files, for editors."""
    from pydantic import TypeAdapter

    from medspark.deploy.deployment import Deployment
    from medspark.task.tasks import Task

    kind: TypeAdapter[Any] = TypeAdapter(Task if of == "task" else Deployment)
    print(json.dumps(kind.json_schema(by_alias=True), indent=1))
