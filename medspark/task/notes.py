"""What a sound task does that its author should know of. No Spark here."""

from collections.abc import Iterator

from medspark.task.checks.levels import exclusions_are_reached, levels_exist, numbers_are_in_range
from medspark.task.columns import DateColumn
from medspark.task.event_task import EventTask
from medspark.task.scoring import columns_asked_for, exclusions_not_applied, outcome_columns
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task
from medspark.task.training import LEAST_FOLDS
from medspark.task.tuning import boosting_may_teach


def notes(task: Task) -> Iterator[str]:
    """A sentence each."""
    if isinstance(task, EventTask):
        yield from _gap(task)
        yield from _periods(task)
        yield from _lost(task)
    if isinstance(task, TableTask):
        for name in exclusions_not_applied(task):
            yield f"exclude.{name} reads the outcome's columns: training applies it, scoring does not."
        yield from levels_exist(task)
        yield from numbers_are_in_range(task)
        yield from exclusions_are_reached(task)
        yield from _past(task)
        yield from _any_day(task)
    yield from _taught(task)
    yield from _advice(task)


def _taught(task: Task) -> Iterator[str]:
    training = task.training
    if training.taught_by == "boosting" and "taught_by" in training.model_fields_set and not boosting_may_teach(task):
        yield (
            f"training.taught_by: boosting teaches a tabular network of {LEAST_FOLDS} members or more that reads "
            "numbers, categories and codes alone, with loss: cross_entropy and neither class_weight nor "
            "label_smoothing. Here members learn from the outcomes."
        )


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


def _any_day(task: TableTask) -> Iterator[str]:
    """Dates that a feature, a rule or the outcome reads, and that may be any."""
    read = {*columns_asked_for(task), *outcome_columns(task)}
    columns = ((name, column) for name, column in task.columns.items() if name in read)
    if dates := [name for name, column in columns if isinstance(column, DateColumn) and column.range is None]:
        yield (
            f"columns {', '.join(dates)}: without a range, what stands for no day, as 0001-01-01 or 9999-12-31, is a "
            "day like any other, and a length of stay may be 2,000 years. Add range: [1875-01-01, 2100-12-31]."
        )


_GAP = {
    "exclude": "excludes its case from learning",
    "outcome": "is an outcome",
    "ignore": "is as if there were none: such a case may be learnt as one without the outcome",
}


def _gap(task: EventTask) -> Iterator[str]:
    if task.outcome.label is not None:
        return
    dated = any(rule.date is not None for table in task.mapping.tables.values() for rule in table.events)
    if dated or task.outcome.from_days > 0:
        yield (
            "outcome.gap: an outcome of the prediction's day that is not known by then, as a diagnosis without a time, "
            f"or one before day {task.outcome.from_days:g}, {_GAP[task.outcome.gap]}."
        )


def _periods(task: EventTask) -> Iterator[str]:
    tables = task.mapping.period_tables
    if task.observation is not None and tables and all(task.mapping.tables[name].optional for name in tables):
        yield (
            f"population.observed_by: patients are observed by the periods of {' or '.join(tables)}; learned from a "
            "source without, from their first event to their last, and so is then every night. A bundle that learned "
            "from periods stops on a night without them, unless its `scoring: absent` is warn."
        )


def _lost(task: EventTask) -> Iterator[str]:
    unobserved, ends = task.observation is None, task.outcome.ends[-1] is not None
    if unobserved and ends and task.outcome.follow_up == "keep_outcomes" and not task.outcome.horizons_days:
        yield (
            "outcome.follow_up: the mapping names no period of observation, so whoever has no event after the time at "
            "risk counts as lost, and of those mostly the ones with the outcome stay: risks come out too high. Say "
            "follow_up: keep_all where nobody is lost to the source."
        )
