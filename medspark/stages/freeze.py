"""A task with all it reads beside its source put into it, so that scoring needs nothing but the bundle."""

from functools import partial

from medspark.clean.lookups import freeze_lookups
from medspark.events.concepts import freeze_concepts
from medspark.runs.run import Run
from medspark.store.files import read_text
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task


def freeze(run: Run, task: Task) -> Task:
    """The task with its look-up tables, or the descendants and mappings of its concepts, among its sections.

    Raises:
        InputError: with everything that cannot be read, by name.
    """
    if isinstance(task, EventTask):
        return freeze_concepts(run.spark, task, task.mapping)
    return freeze_lookups(task, partial(read_text, run.context))
