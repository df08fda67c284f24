"""The stages, one function each, for every kind of source."""

from typing import Any

from medspark.bundle import Bundle
from medspark.columns import CASES
from medspark.event_task import EventTask
from medspark.stages import events, table
from medspark.stages.run import Run, read_facts, require_rules, rules_digest, save_receipt
from medspark.tables import table_path
from medspark.task import Task

__all__ = ["Run", "clean_stage", "features_stage", "freeze", "require_cases", "save_receipt", "score_stage"]


def freeze(run: Run, task: Task) -> Task:
    """The task with what it reads beside the source put into it: look-up tables, descendants of concepts.

    Raises:
        InputError: with everything that cannot be read, by name.
    """
    return events.with_concepts(run, task) if isinstance(task, EventTask) else table.with_lookups(run, task)


def clean_stage(run: Run, task: Task, repairs_path: str | None = None) -> Task:
    """Source to `records` and `quarantine`; returns the task frozen.

    Raises:
        InputError: the source cannot be read, or breaks a rule that fails the run.
        AccountingError: rows do not add up.
    """
    if isinstance(task, EventTask):
        return events.clean_stage(run, task, repairs_path)
    return table.clean_stage(run, task, repairs_path)


def features_stage(run: Run, task: Task) -> None:
    """`records` to `cases` and `attrition`; the task is frozen."""
    if isinstance(task, EventTask):
        events.features_stage(run, task)
    else:
        table.features_stage(run, task)


def require_cases(run: Run, task: Task) -> dict[str, Any]:
    """The facts of the current cases.

    Raises:
        InputError: there are none, or another task file made them.
    """
    facts = read_facts(run.spark, table_path(run.spark, run.store, CASES))
    sections = events if isinstance(task, EventTask) else table
    require_rules(facts, "rules", rules_digest(task, sections.CLEAN_SECTIONS), "clean")
    require_rules(facts, "case_rules", rules_digest(task, sections.CASE_SECTIONS), "features")
    return facts


def score_stage(run: Run, bundle: Bundle, source: str | None, as_of: str | None = None, engine: str = "auto") -> str:
    """A source and a bundle to `scores` and `rejected`: one score for each eligible case, or a reason.

    The rules and features are the bundle's. A run's id is made of what decides its result, so that the same run
    again finds its scores there and changes nothing.

    Args:
        run: its store is where the scores go.
        bundle: verified.
        source: the path that takes the place of the task's; none to read where training read.
        as_of: a timestamp; what happens later is not known yet.
        engine: litert, tensorflow, or auto: litert where the bundle has it.

    Returns:
        The scoring run's id, which is also the version of the two tables.

    Raises:
        InputError: the source breaks its contract.
        AccountingError: rows or cases do not add up.
    """
    task = bundle.task
    if isinstance(task, EventTask):
        return events.score_stage(run, bundle, task, source, as_of, engine)
    return table.score_stage(run, bundle, task, source or task.source.path, as_of, engine)
