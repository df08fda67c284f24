"""The update stage: a bundle and new outcomes to a challenger, kept where it is no worse than the champion."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundles.bundle import BUNDLES, METRICS, MONITOR, STATISTICS, Bundle, save_bundle
from medspark.cases.attrition import count_cases
from medspark.cases.period import months_of
from medspark.cases.split import faults_of_splits
from medspark.encode.statistics import from_json
from medspark.errors import GateError, InputError, TaskError
from medspark.evaluate.challenge import NAMES, refusals
from medspark.evaluate.report.format import performance_lines
from medspark.events.names import code_names
from medspark.runs.console import epoch_progress
from medspark.runs.lock import alone
from medspark.runs.receipt import now
from medspark.runs.run import Run, local_path
from medspark.runs.scratch import scratch
from medspark.runs.tables import making, publish_tables, require_publishable
from medspark.schemas import CASE_ID, CASES, PREDICTIONS, SPLIT, TENSORS, TEST, TRAIN, VALID
from medspark.stages.clean import CleanSource, clean_source
from medspark.stages.eligible import require_what_training_read
from medspark.stages.evaluate import asked_of, built_of
from medspark.stages.features import Built, require_cases
from medspark.stages.train import other_groups
from medspark.store.facts import CasesFacts, SplitCounts, case_rules, clean_rules, labels_of
from medspark.store.tables import current_version, read_table
from medspark.task.event_task import EventTask
from medspark.task.population import STILL_AT_RISK
from medspark.task.tasks import Task
from medspark.task.updating import Updating
from medspark.train.checkpoints import CHECKPOINTS, Checkpoints
from medspark.train.distribute.barrier import learning_of, require_workers
from medspark.train.fill_bundle import Made, fill_bundle
from medspark.train.gates import require_gates
from medspark.train.train_network import subgroups_of, write_predictions, write_tensors
from medspark.train.update import CHAMPION, Given, How, Updated, update_network

MOST_BEFORE: Final = 20_000
"""Old held-out cases that champion and challenger are compared on."""


@alone
def update_stage(
    run: Run,
    bundle: Bundle,
    task: Task,
    source: str | None,
    how: How = "weights",
    history: str | None = None,
    promoted: Bundle | None = None,
    until: datetime | None = None,
) -> Path:
    """A bundle and new cases to a bundle that names it as its parent.

    Whoever is on the test side of the split stays there, so that neither network learned from those on whom both are
    compared.

    Args:
        run: its store has the cases of before, of which some are rehearsed, and gets the bundle.
        bundle: verified; the champion.
        task: says how the new source is read, and how the update learns; split, features and targets must be the
            bundle's, and the network and its seed are.
        source: the new cases; None where the task's own source has them.
        how: whether all weights go on learning, those of the head alone, or only the calibration is fitted anew.
        history: a store whose `records` are part of the new cases' past.
        promoted: of an update of each night, the bundle that a person promoted last: the step is bounded, and the
            challenger may not be worse than that one either.
        until: of events, a time: what came later is not read, and cases whose time at risk is not over by then are left
            out and counted. Of a table the source alone says whose outcome is known.

    Returns:
        The challenger's folder; that of the bundle itself where, each night, the source is the one it learned from.

    Raises:
        TaskError: split, features or targets are others.
        InputError: the source breaks its contract, the store's cases are of other rules, or outcomes are lacking.
        GateError: the challenger is worse than the champion beyond the task's margins; no bundle is kept.
    """
    asked = _asked(run, bundle, source, task, how)
    require_workers(run.context, asked.training.workers)
    checkpoints = Checkpoints(local_path(run.store) / CHECKPOINTS, run.say).below(f"{how}-of-{bundle.bundle_id}")
    run.receipt.arguments["parent"] = bundle.bundle_id
    as_of = int(until.timestamp()) * 1_000_000 if until is not None else None
    with clean_source(run, asked) as found:
        run.receipt.inputs["source"] = found.read
        run.receipt.count("update", found.counts)
        if promoted is not None and found.read.fingerprint == bundle.manifest.get("fingerprint"):
            return bundle.path
        require_what_training_read(run, bundle, found.counts)
        with built_of(run, asked, found, history, as_of) as built:
            splits = count_cases(built.cases, asked.outcome.targets)
            if as_of is not None and isinstance(asked, EventTask):
                _tell_still_at_risk(run, built)
            if faults := faults_of_splits(splits, asked):
                raise InputError("; ".join(faults))
            with making(run, (TENSORS, PREDICTIONS), run.version):
                given = partial(Given, checkpoints=checkpoints, promoted=promoted)
                updated = _learned(run, bundle, asked, built, how, splits, given)
                try:
                    _require_no_worse(run, bundle, updated, asked)
                except GateError:
                    checkpoints.delete()
                    raise
                place = _kept(run, bundle, asked, found, built, updated, splits)
    checkpoints.delete()
    run.receipt.bundle_id = place.name
    run.receipt.outputs["bundle"] = str(place)
    return place


def _tell_still_at_risk(run: Run, built: Built) -> None:
    for row in built.counted().attrition:
        if row.criterion == STILL_AT_RISK:
            run.receipt.counts["update"]["still_at_risk"] = row.removed
            run.say(f"  left out    {row.removed:>12,}  whose {row.criterion}")


def _asked(run: Run, bundle: Bundle, source: str | None, task: Task, how: How) -> Task:
    """The task of an update: what it may not change is the bundle's."""
    old = bundle.task
    if old.split.subjects is not None:
        raise TaskError(
            task.task, ["split.subjects: the file may have moved a patient to another side since: nobody is updated"]
        )
    asked = asked_of(run, bundle, source, task)
    if asked.split != old.split:
        raise TaskError(
            task.task, ["split: expected the bundle's, or patients that it learned from would be among the held-out"]
        )
    if old.split.site is not None:
        raise TaskError(task.task, ["split.site: a patient of a site held out may come to another: nobody is updated"])
    if old.network.student is not None and how != "calibration":
        raise TaskError(
            task.task,
            [
                "network.student: it learned from all patients, so that none could say when to stop. Expected "
                "--calibration-only, or a new training"
            ],
        )
    training = asked.training.model_copy(update={"seed": old.training.seed, "pretrain": old.training.pretrain})
    return asked.model_copy(update={"network": old.network, "training": training})


def _learned(
    run: Run,
    bundle: Bundle,
    task: Task,
    built: Built,
    how: How,
    splits: dict[str, SplitCounts],
    given: Callable[..., Given],
) -> Updated:
    statistics = from_json(bundle.read_text(STATISTICS))
    learned = sum(split.cases for name, split in splits.items() if name in (TRAIN, VALID))
    with run.receipt.timed("update"), epoch_progress(run.terminal) as progress:
        table = write_tensors(built.cases, statistics, f"{run.store}/{TENSORS}/{run.version}")
        with _before(run, bundle, task, built.cases, 0 if how == "calibration" else learned) as (before, groups):
            named = pd.concat([subgroups_of(built.cases, task), groups], ignore_index=True)
            cases = given(table, before, named, learn=learning_of(run.context, task.training))
            return update_network(bundle, task, cases, how, progress)


@contextmanager
def _before(
    run: Run, bundle: Bundle, task: Task, new: DataFrame, learned: int
) -> Iterator[tuple[str | None, pd.DataFrame | None]]:
    """Tensors of old cases of the store, and the subgroups of those held out: as many to rehearse as the task says, for
    each bundle others, and the held-out ones of before, which stay the same.

    None where the store has no cases, which the task must then want.
    """
    rehearsed = round((task.updating or Updating()).rehearse * learned)
    if current_version(run.context, run.store, CASES) is None:
        if rehearsed:
            raise InputError(
                f"{run.store} has no cases of before: expected some to rehearse, since a network that learns new cases "
                "alone forgets the old. Run the update in the store of training, or say `updating: {rehearse: 0}`."
            )
        yield None, None
        return
    require_cases(run, bundle.task)
    old = read_table(run.spark, run.store, CASES).join(new.select(CASE_ID), CASE_ID, "left_anti")
    place, anew = F.xxhash64(F.lit("rehearsed"), CASE_ID), F.xxhash64(F.lit(bundle.bundle_id), CASE_ID)
    statistics = from_json(bundle.read_text(STATISTICS))
    sample = old.where(F.col(SPLIT).isin(TRAIN, VALID)).orderBy(anew).limit(rehearsed)
    held_out = old.where(F.col(SPLIT) == TEST).orderBy(place).limit(MOST_BEFORE)
    with scratch(run, "before") as folder:
        yield write_tensors(sample.unionByName(held_out), statistics, folder), subgroups_of(held_out, task)


def _require_no_worse(run: Run, bundle: Bundle, updated: Updated, task: Task) -> None:
    """Say how the two compare, and refuse a challenger that is worse.

    Raises:
        GateError: naming each figure.
    """
    metrics = updated.trained.metrics
    rows = {"challenger": metrics["test"]["metrics"], CHAMPION: metrics["baselines"][CHAMPION]["metrics"]}
    for line in performance_lines("recent patients", rows):
        run.say(line)
    told = _refused(updated, task.updating or Updating())
    compared = {**updated.champion._asdict(), "refused": told, "let_through": 1 + _let_through(bundle)}
    if updated.step is not None:
        compared["step"] = updated.step._asdict()
    if updated.promoted is not None:
        compared["promoted"] = updated.promoted._asdict()
    metrics["update"] = compared
    run.receipt.counts["update"]["comparison"] = compared
    if told:
        raise GateError("the challenger was not kept: " + "; ".join(told))
    require_gates(metrics, task)
    for name, words in NAMES.items():
        found = updated.champion.recent[0].get("worse_by", {}).get(name, {})
        if found.get("low") is not None:
            run.say(f"  worse by    {found['value']:+.4f}  {words}, {found['low']:+.4f} to {found['high']:+.4f}")


def _let_through(bundle: Bundle) -> int:
    """How many updates, one after the other, made a bundle, each let through by patients of the test split."""
    update = bundle.read_json(METRICS).get("update")
    return 0 if update is None else int(update.get("let_through", 1))


def _refused(updated: Updated, margins: Updating) -> list[str]:
    """Why the challenger is not kept, a sentence each."""
    told = refusals(*updated.champion, margins)
    if updated.step is not None and not updated.step.moved:
        told.append("no epoch was better than the champion's own weights")
    if updated.promoted is not None:
        told += [f"beside the bundle that was promoted last, {one}" for one in refusals(*updated.promoted, margins)]
    return told


def _monitor_of(bundle: Bundle, task: Task) -> str | None:
    """What the nights of an update of each night are compared with: with what its parent's are, or a drift that each
    update goes along with would never be found. None where other subgroups are counted."""
    if MONITOR not in bundle.manifest["files"] or task.report.subgroups != bundle.task.report.subgroups:
        return None
    return bundle.read_text(MONITOR)


def _kept(
    run: Run,
    bundle: Bundle,
    task: Task,
    found: CleanSource,
    built: Built,
    updated: Updated,
    splits: dict[str, SplitCounts],
) -> Path:
    """The challenger's bundle, with the comparison among its metrics."""
    store, trained = local_path(run.store), updated.trained
    rules: dict[str, Any] = {"rules": clean_rules(task), "fingerprint": found.read.fingerprint}
    facts = CasesFacts(
        **rules,
        counts=found.counts,
        case_rules=case_rules(task),
        attrition=built.counted().attrition,
        splits=splits,
        labels=labels_of(task),
    )
    with run.receipt.timed("bundle"), scratch(run, "bundle") as aside:
        write_predictions(trained.predictions, store / PREDICTIONS / run.version)
        names = code_names(run.spark, task, trained.statistics) if isinstance(task, EventTask) else {}
        made = Made(
            task,
            f"{run.store}/{TENSORS}/{run.version}",
            facts,
            run.receipt.versions,
            run.receipt.seconds,
            run.version,
            created_at=now(),
            groups=other_groups(built.cases.where(F.col(SPLIT) != VALID), task),
            parent=bundle.bundle_id,
            names=names,
            period=months_of(built.cases),
            monitor=_monitor_of(bundle, task) if updated.step is not None else None,
        )
        fill = partial(fill_bundle, trained=trained, made=made)
        made_at = save_bundle(store / BUNDLES, fill, partial(require_publishable, run), Path(aside))
    publish_tables(run, (TENSORS, PREDICTIONS), run.version)
    return made_at
