"""What a sound task does that its author should know of. No Spark here."""

from collections.abc import Iterator

from medspark.task.scoring import exclusions_not_applied
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task


def notes(task: Task) -> Iterator[str]:
    """A sentence each."""
    if isinstance(task, TableTask):
        for name in exclusions_not_applied(task):
            yield f"exclude.{name} reads the outcome's columns: training applies it, scoring does not."
