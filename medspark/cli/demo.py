"""What `make demo` runs: a synthetic hospital, the whole road on it, and dirt planted beside dirt caught."""

import json
import os
from dataclasses import replace
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
    """A synthetic hospital, the whole road on it, and its newest stays scored."""
    from medspark.bundles.bundle import REPORT
    from medspark.task.load import load_task

    with run_command("demo", out, False, patients=patients, seed=seed) as run:
        hospital = f"{run.store}/hospital"
        planted = make_hospital(run, hospital, patients, seed)
        os.environ["MEDSPARK_SYNTH"] = hospital
        bundle = walk(run, load_task(task))
        tonight = _score_newest(run, bundle, f"{hospital}/flat/tonight")
        caught = {"admissions": run.receipt.counts["clean"], "tonight": tonight.receipt.counts["score"]}
        _compare(run, planted, caught)
        run.say(f"report: {bundle / REPORT}")
        run.say(f"scores: {tonight.receipt.outputs['scores']}")


def _score_newest(run: "Run", bundle: Path, source: str) -> "Run":
    """Score the newest stays as a night's run of its own would, with a receipt of its own."""
    from medspark.runs.receipt import Receipt, new_run_id
    from medspark.runs.run import open_receipt, save_receipt
    from medspark.stages.open_bundle import open_bundle
    from medspark.stages.score import score_stage

    run.say("The newest stays, whose outcome nobody knows yet")
    receipt = Receipt("score", new_run_id(), {"bundle": str(bundle)})
    tonight = replace(run, store=f"{run.store}/tonight", receipt=receipt)
    open_receipt(tonight)
    score_stage(tonight, open_bundle(tonight, str(bundle)), source)
    tonight.say(f"scores: {receipt.outputs['scores']}")
    save_receipt(tonight)
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
