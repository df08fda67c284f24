"""What a sound task does that its author should know of. No Spark here."""

from collections.abc import Iterator

from medspark.task.checks.levels import exclusions_are_reached, levels_exist, numbers_are_in_range
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
        yield from levels_exist(task)
        yield from numbers_are_in_range(task)
        yield from exclusions_are_reached(task)
        yield from _past(task)
    yield from _advice(task)


def _advice(task: Task) -> Iterator[str]:
    """Sections that a task may do without, and what is then not there."""
    if not task.risk_bands:
        yield "risk_bands: without them no score has a band, and the report shows no threshold."
    if not task.report.subgroups:
        yield "report.subgroups: without them the report cannot say whom the model serves worse."
    if isinstance(task, TableTask) and task.source.case == task.source.subject:
        yield (
            f"source.subject: {task.source.case!r} is case and patient, so each row is another patient; where one has "
            "several rows, name the column with the patient, or a patient is learned from and tested on."
        )


def _past(task: TableTask) -> Iterator[str]:
    history = task.features.history
    if history is not None:
        also = f" and in the records of {history.records}" if history.records is not None else ""
        yield (
            f"features.history: scoring finds earlier rows in its source{also}; `medspark score --history STORE` "
            "names a store with others."
        )


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
