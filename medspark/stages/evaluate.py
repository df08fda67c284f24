"""The evaluate stage: a bundle on data whose outcomes are known, to the same page as training makes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundles.bundle import METRICS, REPORT, STATISTICS, Bundle, decides_scores
from medspark.cases.period import months_of
from medspark.encode.statistics import from_json
from medspark.errors import InputError, TaskError
from medspark.evaluate.censoring import Truth
from medspark.evaluate.evaluation import evaluate_cases
from medspark.evaluate.logistic import Floats
from medspark.evaluate.report.data import Evaluated, ReportData
from medspark.evaluate.report.features import characteristics, feature_rows
from medspark.evaluate.report.format import performance_lines
from medspark.evaluate.report.model_card import card_files
from medspark.evaluate.report.page import render_report
from medspark.evaluate.truth import reading_of, truth_of
from medspark.runs.lock import alone
from medspark.runs.receipt import now
from medspark.runs.run import Run
from medspark.runs.tables import require_publishable
from medspark.schemas import CASE_ID, LABEL, PROBABILITY, SUBJECT_ID, quoted
from medspark.score.by_spark import predict_cases
from medspark.score.serve import serve
from medspark.score.ship import ship
from medspark.stages.clean import CleanSource, clean_source
from medspark.stages.eligible import moved, require_what_training_read
from medspark.stages.features import Built, built_cases
from medspark.stages.freeze import freeze
from medspark.stages.past import read_earlier
from medspark.store.facts import EventCounts, labels_of
from medspark.store.files import write_text
from medspark.task.event_task import EventTask
from medspark.task.table_task import TableTask, has_history
from medspark.task.tasks import Task

EVALUATIONS = "evaluations"


@alone
def evaluate_stage(
    run: Run,
    bundle: Bundle,
    source: str | None = None,
    task: Task | None = None,
    history: str | None = None,
    engine: str = "auto",
) -> str:
    """A source with outcomes and a bundle to `evaluations/RUN_ID`: metrics.json, report.html, card.json and card.xml.

    The network, its statistics, its calibration and the risk bands are the bundle's.

    Args:
        run: its store is where the evaluation goes.
        bundle: verified.
        source: the path that takes the place of the task's.
        task: says how the source is read, who is a case, what the outcome is and which subgroups there are, where that
            is another than the bundle's; its features and the targets of its outcome must be the bundle's.
        history: a store whose `records` are part of the cases' past, of a task that has `history`.
        engine: litert, tensorflow, or auto: litert where the bundle has it.

    Returns:
        The folder of what was written.

    Raises:
        TaskError: the task asks for other features or targets than the bundle has.
        InputError: the source breaks its contract, or no case has a known outcome.
    """
    asked = asked_of(run, bundle, source, task)
    split = asked.split.model_copy(update={"subjects": None})  # all cases are evaluated, whoever was learned from
    asked = asked.model_copy(update={"split": split})
    if history is not None and not has_history(asked):
        raise TaskError("--history", ["the task has no features.history, so that nobody reads earlier rows"])
    run.receipt.bundle_id = bundle.bundle_id
    with clean_source(run, asked) as found:
        run.receipt.inputs["source"] = found.read
        run.receipt.count("evaluate", found.counts)
        require_what_training_read(run, bundle, found.counts)
        with run.receipt.timed("evaluate"), run.progress("evaluate"), built_of(run, asked, found, history) as built:
            scored = _scored(run, bundle, asked, built.cases, engine)
            metrics = evaluate_cases(scored.frame, asked, scored.truth, scored.risk, {})
            about = _Made(bundle, asked, found, built, scored, months_of(built.cases))
            folder = _written(run, about, metrics)
    _tell(run, bundle, scored, metrics)
    return folder


def asked_of(run: Run, bundle: Bundle, source: str | None, task: Task | None) -> Task:
    """The task that the source is read by, with the bundle's risk bands.

    Raises:
        TaskError: its features or targets are not the bundle's, or the labels that it says are of another source.
    """
    if task is None:
        if source is not None and labels_of(bundle.task) is not None:
            raise TaskError(
                bundle.task.task,
                ["population.labels: they are of the source that the bundle learned from; say TASK, with this one's"],
            )
        return moved(bundle.task, source)
    frozen = freeze(run, moved(task, source))
    if isinstance(frozen, EventTask) and isinstance(bundle.task, EventTask) and bundle.task.observation is None:
        frozen = frozen.observed_as(())
    problems = []
    if type(frozen) is not type(bundle.task) or frozen.features != bundle.task.features:
        problems.append("features: expected those of the bundle's task, since its network reads nothing else")
    wanted, received = bundle.task.outcome.targets, frozen.outcome.targets
    if received != wanted:
        problems.append(
            f"outcome: expected the bundle's targets, {wanted.kind} of {', '.join(wanted.names)}; received "
            f"{received.kind} of {', '.join(received.names)}"
        )
    if problems:
        raise TaskError(task.task, problems)
    return frozen.model_copy(update={"risk_bands": bundle.task.risk_bands})


@contextmanager
def built_of(
    run: Run, task: Task, found: CleanSource, history: str | None, as_of: int | None = None
) -> Iterator[Built]:
    """The cases with their outcomes, kept while they are read twice; `history` is that of `evaluate_stage`, `as_of`
    that of `built_cases`."""
    earlier, read = read_earlier(run, task, history) if isinstance(task, TableTask) else (None, None)
    if read is not None:
        run.receipt.inputs["history"] = read
    built = built_cases(found.records, task, found.counts.records, earlier, as_of=as_of)
    cases = built.cases.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield built._replace(cases=cases)
    finally:
        cases.unpersist()


class _Scored(NamedTuple):
    """The cases that have a score and a target that is known."""

    frame: pd.DataFrame
    truth: Truth
    risk: Floats
    """(n, k)."""
    unscored: dict[str, int]
    """Cases without a score, by reason."""
    unknown: int
    """Cases without a target that is known."""


def known_of(cases: DataFrame, task: Task) -> tuple[pa.Table, Truth]:
    """The keys, labels and subgroups of cases, and what is known of their outcomes."""
    subgroups = [F.col(quoted(name)).cast("string").alias(name) for name in task.report.subgroups]
    columns = [*map(F.col, (CASE_ID, SUBJECT_ID, *task.outcome.targets.labels)), *subgroups]
    known: pa.Table = cases.select(*columns).toArrow()
    return known, truth_of(known, reading_of(task.outcome, known))


def _scored(run: Run, bundle: Bundle, task: Task, cases: DataFrame, engine: str) -> _Scored:
    """The risks that the bundle gives, beside what is known of the outcomes.

    Raises:
        InputError: nothing is known of any case's outcome.
    """
    targets = task.outcome.targets
    known, truth = known_of(cases, task)
    there = np.asarray((truth.weight > 0).any(axis=1))
    if not there.any():
        raise InputError(
            f"expected a source with known outcomes, received none among {len(there)} cases: {task.outcome.name!r} is "
            "not known of any. To score without outcomes use `medspark score`."
        )
    probabilities = list(targets.columns or (PROBABILITY,))
    answered = predict_cases(cases, ship(run.context, serve(bundle, engine)))
    answers = answered.select(CASE_ID, *map(quoted, dict.fromkeys([PROBABILITY, *probabilities])), "reason").toPandas()
    keys = [CASE_ID, SUBJECT_ID, LABEL, *task.report.subgroups]
    frame = known.select(keys).to_pandas().merge(answers, on=CASE_ID, how="left", validate="one_to_one", sort=False)
    kept = there & frame[PROBABILITY].notna().to_numpy()
    risk = frame[probabilities].to_numpy(np.float64)[kept]
    unscored = {str(reason): int(cases) for reason, cases in answers["reason"].value_counts().items()}
    rows = frame[kept].reset_index(drop=True)
    return _Scored(rows, truth.take(kept), risk, unscored, int((~there).sum()))


@dataclass(frozen=True)
class _Made:
    """What an evaluation is of."""

    bundle: Bundle
    task: Task
    found: CleanSource
    built: Built
    scored: _Scored
    period: tuple[str, str] | None


def _written(run: Run, made: _Made, metrics: dict[str, Any]) -> str:
    """The files of an evaluation, in a folder of its own."""
    data = _report(run, made, metrics)
    require_publishable(run)
    folder = f"{run.store}/{EVALUATIONS}/{run.version}"
    texts = {METRICS: json.dumps(metrics, indent=1), REPORT: render_report(data), **card_files(data)}
    for name, text in texts.items():
        write_text(run.context, f"{folder}/{name}", text)
    run.receipt.outputs |= {"metrics": f"{folder}/{METRICS}", "report": f"{folder}/{REPORT}"}
    return folder


def _report(run: Run, made: _Made, metrics: dict[str, Any]) -> ReportData:
    bundle, manifest = made.bundle, made.bundle.manifest
    then = bundle.read_json(METRICS)
    statistics = from_json(bundle.read_text(STATISTICS))
    first, *criteria = (asdict(row) for row in made.built.counted().attrition)
    candidates = {"candidates": first["remaining"]} if isinstance(made.found.counts, EventCounts) else {}
    return ReportData(
        task=made.task,
        decides_scores=decides_scores(bundle.path),
        created_at=now(),
        metrics=metrics,
        attrition=criteria,
        counts={**asdict(made.found.counts), **candidates},
        features=feature_rows(statistics),
        history=then.get("history", ()),
        versions=run.receipt.versions,
        engine=manifest.get("engine", {}),
        seconds=run.receipt.seconds,
        parent=manifest.get("parent"),
        period=made.period,
        characteristics=characteristics(statistics),
        evaluated=Evaluated(
            bundle_id=bundle.bundle_id,
            made_at=manifest["created_at"],
            source=_place(made),
            same_source=made.found.read.fingerprint == manifest.get("fingerprint"),
            unscored=sum(made.scored.unscored.values()),
            unknown=made.scored.unknown,
            then=then["test"],
        ),
    )


def _place(made: _Made) -> str:
    """The source's own name, without where it lies."""
    return (made.found.read.path or "the source").rstrip("/").rsplit("/", 1)[-1]


def _tell(run: Run, bundle: Bundle, scored: _Scored, metrics: dict[str, Any]) -> None:
    test, then = metrics["test"], bundle.read_json(METRICS)["test"]
    counts = {"evaluated": test["cases"], "unknown": scored.unknown, "unscored": scored.unscored}
    run.receipt.counts["evaluate"] |= counts
    run.say(f"  cases       {test['cases']:>12,}  with a known outcome")
    if scored.unknown:
        run.say(f"  unknown     {scored.unknown:>12,}  cases whose outcome is not known")
    for reason, cases in scored.unscored.items():
        run.say(f"  unscored    {cases:>12,}  {reason}")
    rows = {"these data": test["metrics"], "its own test split": then["metrics"]}
    for line in performance_lines("", rows):
        run.say(line)
