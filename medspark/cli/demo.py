"""What `make demo` runs: a synthetic hospital, the whole road on it, dirt planted beside dirt caught, three nights."""

import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
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
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same hospital.")] = 0,
    task: Annotated[Path, typer.Option(help="The task to run on it.")] = Path("conf/tasks/readmission-synthetic.yaml"),
) -> None:
    """A synthetic hospital, the whole road on it, its newest stays scored, and three nights, one of them refused."""
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
        _three_nights(run, bundle, hospital)
        run.say(f"report: {bundle / REPORT}")
        run.say(f"scores: {tonight.receipt.outputs['scores']}")


def _score_newest(run: "Run", bundle: Path, source: str) -> "Run":
    """Score the newest stays as a night's run of its own would."""
    from medspark.runs.run import as_own_run
    from medspark.stages.open_bundle import open_bundle
    from medspark.stages.score import score_stage

    def work(tonight: "Run") -> None:
        score_stage(tonight, open_bundle(tonight, str(bundle)), source)
        tonight.say(f"scores: {tonight.receipt.outputs['scores']}")

    run.say("The newest stays, whose outcome nobody knows yet")
    return as_own_run(run, f"{run.store}/tonight", "score", {"bundle": str(bundle)}, work)


def _three_nights(run: "Run", bundle: Path, hospital: str) -> None:
    """A deployment's night, the next one with the stays that have come since, and one whose extract lost most of a
    column.

    Raises:
        AccountingError: the monitor let the last one through.
    """
    from medspark.deploy.load import load_deployment
    from medspark.errors import GateError
    from medspark.runs.run import as_own_run
    from medspark.stages.night import Night, night_stage
    from medspark.stages.open_bundle import open_bundle
    from medspark.synth.hospital import LAST_DAY

    tonight, last = Path(hospital) / "flat" / "tonight", datetime.fromisoformat(f"{LAST_DAY}").replace(tzinfo=UTC)
    folder = Path(f"{run.store}/nights")
    broken = _without_most(tonight, folder / "broken", "sodium")
    file = _deployment_file(folder, bundle, tonight)
    nights = (
        (10, tonight, "A night"),
        (1, tonight, "The next one"),
        (0, broken, "One whose extract has hardly a sodium"),
    )
    refused = []
    for days, source, told in nights:
        run.say(f"{told}, as of {last - timedelta(days=days):%Y-%m-%d}")
        deployment = load_deployment(file).model_copy(update={"source": str(source)})
        night = Night(deployment, open_bundle(run, str(bundle)), last - timedelta(days=days))
        try:
            as_own_run(run, deployment.store, "night", {"bundle": str(bundle)}, partial(night_stage, night=night))
        except GateError as error:
            run.say(str(error))
            refused.append(source)
    if refused != [broken]:
        raise AccountingError(f"one night of three was to be refused, the last; {len(refused)} were")
    run.say(f"published: {folder / 'published'}, by {file}")


def _deployment_file(folder: Path, bundle: Path, source: Path) -> Path:
    """Write a deployment, as `medspark night` reads it."""
    from medspark.task.yaml_text import write_yaml

    sinks = [{"kind": "parquet", "path": str(folder / "published")}]
    given = {"deployment": "demo", "bundle": str(bundle), "source": str(source), "store": str(folder / "store")}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "deployment.yaml").write_text(write_yaml({**given, "gate": "warn", "sinks": sinks}), encoding="utf-8")
    return folder / "deployment.yaml"


def _without_most(source: Path, folder: Path, column: str) -> Path:
    """A copy of an extract in which a column before the free text has one value in twenty, as where a feed fails."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.glob("part-*"):
        header, *lines = file.read_bytes().splitlines()
        at, rows = header.decode().split(",").index(column), [line.split(b",") for line in lines]
        for row in [row for number, row in enumerate(rows) if number % 20 and len(row) > at]:
            row[at] = b""
        (folder / file.name).write_bytes(b"\n".join([header, *map(b",".join, rows), b""]))
    return folder


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
