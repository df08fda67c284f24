"""A task with all it reads beside its source put into it, so that scoring needs nothing but the bundle."""

from functools import partial

from medspark.cases.split import digest_of
from medspark.clean.lookups import freeze_lookups
from medspark.events import labels
from medspark.events.concepts import freeze_concepts
from medspark.runs.run import Run
from medspark.store.files import read_text
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task


def freeze(run: Run, task: Task) -> Task:
    """The task with its look-up tables, or the descendants and mappings of its concepts, among its sections, and the
    digests of the file that divides its patients and of its labels.

    Raises:
        InputError: with everything that cannot be read, by name.
    """
    task = _divided_by(run, task)
    if isinstance(task, EventTask):
        return freeze_concepts(run.spark, _labelled_by(run, task), task.mapping)
    return freeze_lookups(task, partial(read_text, run.context))


def _divided_by(run: Run, task: Task) -> Task:
    subjects = task.split.subjects
    if subjects is None or subjects.sha256 is not None:  # a bundle's is read by nobody who only scores
        return task
    told = subjects.model_copy(update={"sha256": digest_of(run.context, subjects)})
    return task.model_copy(update={"split": task.split.model_copy(update={"subjects": told})})


def _labelled_by(run: Run, task: EventTask) -> EventTask:
    found = task.population.labels
    if found is None or found.sha256 is not None:
        return task
    told = found.model_copy(update={"sha256": labels.digest_of(run.context, found)})
    return task.model_copy(update={"population": task.population.model_copy(update={"labels": told})})
