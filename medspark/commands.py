"""What each command does, composed of stages. Imported only when a command runs, so that `medspark --help` is quick."""

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medspark.bundles.bundle import MANIFEST, METRICS, REPORT, Bundle, load_bundle
from medspark.errors import AccountingError, BundleError, TaskError
from medspark.runs.receipt import Receipt, new_run_id
from medspark.runs.run import local_path
from medspark.score.choose import Asked
from medspark.sinks.meds import export_stage
from medspark.sources.databases.packages import packages_for
from medspark.stages import (
    Run,
    clean_stage,
    encode_stage,
    features_stage,
    freeze,
    save_receipt,
    score_stage,
    score_tensors_stage,
)
from medspark.stages.events import concepts_stage
from medspark.store.files import copy_to_local, exists, is_elsewhere
from medspark.synth import DEFAULT_PARTS
from medspark.task.event_task import EventTask
from medspark.task.load import load_task
from medspark.task.tasks import Task


def packages_of(task: Task) -> tuple[str, ...]:
    """The Maven coordinates that a session needs to read a task's source."""
    return packages_for(task.source) if isinstance(task, EventTask) else ()


def packages_of_bundle(place: str) -> tuple[str, ...]:
    """Those of a bundle on this machine. One elsewhere is read by Spark: by then it is too late for packages."""
    return () if is_elsewhere(place) else packages_of(load_bundle(local_path(place)).task)


def bundle_at(run: Run, place: str) -> Bundle:
    """The bundle of a folder on any file system; from elsewhere it is copied here for as long as this process lives.

    Raises:
        BundleError: it is none, or not as it was written.
    """
    if not is_elsewhere(place):
        return load_bundle(local_path(place))
    if not exists(run.context, f"{place}/{MANIFEST}"):
        raise BundleError(f"{place} is no bundle: it has no {MANIFEST}")
    folder = Path(tempfile.mkdtemp(prefix="medspark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = folder / "bundle"
    copy_to_local(run.context, place, copy)
    try:
        return load_bundle(copy)
    except BundleError as error:
        raise BundleError(str(error).replace(str(copy), place)) from None


def is_left_to_workers(tensors: str | None, store: str, reader: Asked, writer: Asked) -> bool:
    """Whether workers will read and write all of a scoring, as far as its addresses tell: on disks of this machine."""
    here = tensors is not None and not is_elsewhere(tensors) and not is_elsewhere(store)
    return here and "spark" not in (reader, writer)


def clean_command(run: Run, task: Task, repairs: str | None) -> None:
    clean_stage(run, task, repairs)
    run.say(f"quarantine: {run.receipt.outputs['quarantine']}")


def features_command(run: Run, task: Task) -> None:
    features_stage(run, freeze(run, task))
    run.say(f"cases: {run.receipt.outputs['cases']}")


def concepts_command(run: Run, task: Task) -> None:
    concepts_stage(run, _of_events(task))


def meds_command(run: Run, task: Task, out: str, threshold: float) -> None:
    export_stage(run, _of_events(task), out, threshold)
    run.say(f"dataset: {out}")


def _of_events(task: Task) -> EventTask:
    """The task, where its source is events.

    Raises:
        TaskError: it is a table.
    """
    if not isinstance(task, EventTask):
        raise TaskError(task.task, ["expected a task whose source is events, received one of a table"])
    return task


def train_command(run: Run, task: Task, with_folds: bool) -> Path:
    from medspark.stages.train import train_stage  # TensorFlow takes seconds to import

    bundle = train_stage(run, freeze(run, task), with_folds)
    run.say(f"bundle: {bundle}")
    run.say(f"report: {bundle / REPORT}")
    return bundle


def run_command(run: Run, task: Task, with_folds: bool) -> Path:
    """The whole road; the source is scored from the bundle alone, as every night after will be."""
    run.say(task.title)
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    from medspark.stages.train import train_stage

    bundle = train_stage(run, frozen, with_folds)
    score_stage(run, load_bundle(bundle), None)
    run.say(f"bundle: {bundle}")
    run.say(f"report: {bundle / REPORT}")
    run.say(f"scores: {run.receipt.outputs['scores']}")
    return bundle


def score_command(
    run: Run,
    bundle: str,
    source: str | None,
    as_of: str | None,
    tensors: str | None = None,
    engine: str = "auto",
    reader: Asked = "auto",
    writer: Asked = "auto",
) -> None:
    if tensors is not None:
        if source is not None or as_of is not None:
            raise TaskError("--tensors", ["--source and --as-of were decided when the tensors were encoded"])
        run.receipt.run_id = score_tensors_stage(run, bundle_at(run, bundle), tensors, engine, reader, writer)
    elif reader != "auto":
        raise TaskError("--reader", ["there is a choice for --tensors only: a raw source is read by Spark"])
    else:
        run.receipt.run_id = score_stage(run, bundle_at(run, bundle), source, as_of, engine, writer)
    run.say(f"scores: {run.receipt.outputs['scores']}")


def encode_command(run: Run, bundle: str, source: str | None, as_of: str | None) -> None:
    encode_stage(run, bundle_at(run, bundle), source, as_of)
    run.say(f"tensors: {run.receipt.outputs['tensors']}")


def report_command(path: Path) -> None:
    bundle = load_bundle(path)
    metrics = bundle.read_json(METRICS)
    test = metrics["test"]
    print(f"{bundle.task.title}: bundle {bundle.bundle_id}, {bundle.manifest['created_at']}, every file as written")
    for name, found in test["metrics"].items():
        print(f"  {name:<22} {found['value']:.4f} ({found['low']:.4f} to {found['high']:.4f})")
    print(f"report: {bundle.path / REPORT}")


def pack_command(out: Path, with_tensorflow: bool) -> None:
    from medspark.deploy.pack import SCORING, TENSORFLOW, pack

    versions = pack(out, SCORING + TENSORFLOW if with_tensorflow else SCORING)
    print(f"{len(versions)} packages, {out.stat().st_size / 1e6:,.0f} MB: {out}")
    print(f"spark-submit --archives {out}#environment --conf spark.pyspark.python=./environment/bin/python ...")


def synth_command(run: Run, patients: int, out: str, seed: int, parts: Sequence[str] = DEFAULT_PARTS) -> dict[str, Any]:
    from medspark.synth.write import write_hospital

    with run.receipt.timed("synth"), run.progress("synthetic hospital"):
        planted = write_hospital(run.spark, out, patients, seed, parts=parts)
    run.receipt.counts["synth"] = planted
    run.say(f"  patients    {planted['patients']:>12,}")
    run.say(f"  stays       {planted['admissions']:>12,}")
    if "meds" in planted:
        run.say(f"  events      {planted['meds']['events']:>12,}")
    run.say(f"hospital: {out}")
    return planted


def demo_command(run: Run, task_file: Path, patients: int, out: str, seed: int) -> None:
    """Make the hospital, run the road on it, score the newest stays, and compare dirt planted with dirt caught."""
    hospital = f"{out}/hospital"
    planted = synth_command(run, patients, hospital, seed)
    os.environ["MEDSPARK_SYNTH"] = hospital
    task = load_task(task_file)
    bundle = run_command(run, task, with_folds=False)
    run.say("The newest stays, whose outcome nobody knows yet")
    tonight = replace(run, store=f"{out}/tonight", receipt=Receipt("score", new_run_id(), {"bundle": str(bundle)}))
    score_command(tonight, str(bundle), f"{hospital}/flat/tonight", None)
    save_receipt(tonight)
    caught = {"admissions": run.receipt.counts["clean"], "tonight": tonight.receipt.counts["score"]}
    _compare(run, planted, caught)
    run.say(f"report: {bundle / REPORT}")
    run.say(f"scores: {tonight.receipt.outputs['scores']}")


def _compare(run: Run, planted: dict[str, Any], caught: dict[str, Any]) -> None:
    """Print each kind of dirt with how many rows were planted and how many caught.

    Raises:
        AccountingError: they differ.
    """
    run.say(f"  {'dirt':<34}{'planted':>9}{'caught':>9}")
    missed = []
    for part, counts in caught.items():
        rules = {**counts["quarantined"], **counts["set_missing"], "duplicate": counts["duplicates"]}
        for kind, found in planted["flat"][part]["planted"].items():
            got = rules.pop(found["rule"], 0)
            run.say(f"  {part + ', ' + kind:<34}{found['rows']:>9,}{got:>9,}")
            missed += [kind] if got != found["rows"] else []
        missed += [rule for rule, rows in rules.items() if rows]
    if missed:
        raise AccountingError(f"dirt planted and dirt caught differ: {json.dumps(missed)}")
