"""What `make demo` runs: a synthetic hospital, the whole road on it, and dirt planted beside dirt caught."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medspark.cli.data import make_hospital
from medspark.cli.model import walk
from medspark.cli.run_command import run_command
from medspark.errors import AccountingError

if TYPE_CHECKING:
    from medspark.runs.run import Run


def demo(
    patients: Annotated[int, typer.Option(min=2000, help="Of the synthetic hospital.")] = 20_000,
    out: Annotated[str, typer.Option(help="The folder to write.")] = "build/demo",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    task: Annotated[Path, typer.Option(help="The task to run on it.")] = Path("conf/tasks/readmission-synthetic.yaml"),
) -> None:
    """A synthetic hospital, the whole road on it, and its newest stays scored and published by the nightly job."""
    from medspark.bundles.bundle import REPORT
    from medspark.task.load import load_task

    with run_command("demo", out, False, patients=patients, seed=seed) as run:
        hospital = f"{run.store}/hospital"
        planted = make_hospital(run, hospital, patients, seed)
        os.environ["MEDSPARK_SYNTH"] = hospital
        bundle = walk(run, load_task(task))
        tonight = _publish_newest(run, bundle, f"{hospital}/flat/tonight")
        caught = {"admissions": run.receipt.counts["clean"], "tonight": tonight.receipt.counts["score"]}
        _compare(run, planted, caught)
        run.say(f"report: {bundle / REPORT}")
        run.say(f"scores: {tonight.receipt.outputs['scores']}")


def _publish_newest(run: "Run", bundle: Path, source: str) -> "Run":
    """The newest stays as a night of the nightly job; then the same night again, which finds everything done."""
    from medspark.deploy.deployment import Deployment, FileSink
    from medspark.stages.night import Night, night_run
    from medspark.stages.open_bundle import open_bundle

    sinks = (FileSink(kind="parquet", path=f"{run.store}/published"), FileSink(kind="csv", path=f"{run.store}/csv"))
    store = f"{run.store}/tonight"
    nightly = Deployment(deployment="demo", bundle=str(bundle), store=store, source=source, sinks=sinks)
    night = Night(nightly, open_bundle(run, str(bundle)), nightly.as_of.last(datetime.now(UTC)))
    here = replace(run, store=store)
    run.say("The newest stays, whose outcome nobody knows yet, as a night of the nightly job")
    tonight = night_run(here, night)
    run.say("The same night again")
    night_run(here, night)
    return tonight


def _compare(run: "Run", planted: dict[str, Any], caught: dict[str, Any]) -> None:
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
