"""The stages, one function each, for every kind of source."""

from contextlib import AbstractContextManager
from typing import Any

from medspark.bundles.bundle import Bundle
from medspark.cases.eligible import Eligible
from medspark.runs.run import Run, save_receipt
from medspark.schemas import CASES
from medspark.score.choose import Asked
from medspark.stages import events, table
from medspark.stages.score import is_scored, score_cases, score_id
from medspark.stages.tensors import is_encoded, score_tensors_stage, write_tensors
from medspark.store.facts import read_facts, require_rules, rules_digest
from medspark.store.tables import table_path
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task

__all__ = [
    "Run",
    "clean_stage",
    "encode_stage",
    "features_stage",
    "freeze",
    "require_cases",
    "save_receipt",
    "score_stage",
    "score_tensors_stage",
]


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
    facts = read_facts(run.context, table_path(run.context, run.store, CASES))
    sections = events if isinstance(task, EventTask) else table
    require_rules(facts, "rules", rules_digest(task, sections.CLEAN_SECTIONS), "clean")
    require_rules(facts, "case_rules", rules_digest(task, sections.CASE_SECTIONS), "features")
    return facts


def eligible(run: Run, task: Task, source: str | None, as_of: str | None) -> AbstractContextManager[Eligible]:
    """What a source comes to at a time: its eligible cases, and every other row with a reason.

    Raises:
        TaskError: what is asked for does not suit the task.
        InputError: the source breaks its contract.
        AccountingError: rows do not add up.
    """
    if isinstance(task, EventTask):
        return events.eligible(run, task, source, as_of)
    return table.eligible(run, task, source, as_of)


def score_stage(
    run: Run,
    bundle: Bundle,
    source: str | None,
    as_of: str | None = None,
    engine: str = "auto",
    writer: Asked = "auto",
) -> str:
    """A source and a bundle to `scores` and `rejected`: one score for each eligible case, or a reason.

    The rules and features are the bundle's. A run's id is made of what decides its result, so that the same run
    again finds its scores there and changes nothing.

    Args:
        run: its store is where the scores go.
        bundle: verified.
        source: the path that takes the place of the task's; none to read where training read.
        as_of: a timestamp; what happens later is not known yet.
        engine: litert, tensorflow, or auto: litert where the bundle has it.
        writer: workers: each task writes its scores itself; spark: Spark does; auto: workers where they can.

    Returns:
        The scoring run's id, which is also the version of the two tables.

    Raises:
        InputError: the source breaks its contract.
        AccountingError: rows or cases do not add up.
    """
    with eligible(run, bundle.task, source, as_of) as found:
        run_id = _begin(run, bundle, found, as_of)
        if not is_scored(run, run_id):
            with run.receipt.timed("score"), run.progress("score"):
                score_cases(run, bundle, found, run_id, engine, writer)
    return run_id


def encode_stage(run: Run, bundle: Bundle, source: str | None, as_of: str | None = None) -> str:
    """A source and a bundle to `tensors` and `rejected`, which `score_tensors_stage` then scores.

    Args and errors as `score_stage` has them; the version returned is the id that the scores will have.
    """
    with eligible(run, bundle.task, source, as_of) as found:
        version = _begin(run, bundle, found, as_of)
        if not is_encoded(run, version):
            with run.receipt.timed("encode"), run.progress("encode"):
                write_tensors(run, bundle, found, version)
    return version


def _begin(run: Run, bundle: Bundle, found: Eligible, as_of: str | None) -> str:
    """Note in the receipt what is scored, and give the scoring run's id."""
    run.receipt.bundle_id = bundle.bundle_id
    run.receipt.inputs["source"] = found.inputs
    run.receipt.counts["score"] = found.counts
    return score_id(bundle.bundle_id, found.fingerprint, as_of)
