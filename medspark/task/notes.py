"""What a sound task does that its author should know of. No Spark here."""

from collections.abc import Iterator

from medspark.task.event_task import EventTask
from medspark.task.scoring import exclusions_not_applied
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task


def notes(task: Task) -> Iterator[str]:
    """A sentence each."""
    if isinstance(task, EventTask):
        yield from _gap(task)
    if isinstance(task, TableTask):
        for name in exclusions_not_applied(task):
            yield f"exclude.{name} reads the outcome's columns: training applies it, scoring does not."


_GAP = {
    "exclude": "excludes its case from learning",
    "outcome": "is an outcome",
    "ignore": "is as if there were none: such a case may be learnt as one without the outcome",
}


def _gap(task: EventTask) -> Iterator[str]:
    dated = any(rule.date is not None for table in task.mapping.tables.values() for rule in table.events)
    if dated or task.outcome.from_days > 0:
        yield (
            "outcome.gap: an outcome of the prediction's day that is not known by then, as a diagnosis without a time, "
            f"or one before day {task.outcome.from_days:g}, {_GAP[task.outcome.gap]}."
        )
