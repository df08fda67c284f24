"""A night at scale: from new events to published scores, by the commands that a hospital's scheduler runs.

    python benchmarks/nights.py --millions 1 10          the sizes, in millions of events, about

A bundle learns on the smallest size, for two epochs: what it says does not matter here. Of each size `medspark clean`
takes the synthetic hospital's events into a store that grows, by patient, and a first night is published. Then one
event in 200 more comes in a file, and `medspark night` takes it, scores every patient's first discharge, and publishes
the scores as Parquet; then the same night once more, which has nothing to do. Every figure is of a process of its own,
from its start to its end, with local[2] and 4 GiB of driver. The plan of the cases is shown to hold no exchange. Beside
it DuckDB's long form, as in benchmarks/events.py: it aggregates the same features, and neither takes an increment nor
makes cases, scores or anything that is published.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import events
import yaml
from events import INCREMENT, MEDSPARK, PATIENTS_A_MILLION, Measured, run, write_increment, write_task

AS_OF = ("2026-11-25T06:00", "2026-11-26T06:00")
LEARNING = "training: {epochs: 2, batch_size: 256}\nreport: {bootstrap: 20}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    given = parser.parse_args()
    work = given.folder or Path(tempfile.mkdtemp(prefix="medspark-nights-"))
    bundle = None
    for millions in sorted(given.millions):
        folder = work / f"{millions}m"
        count = make_hospital(folder, millions)
        task = write_task(folder, "nights", [365], "increment: {by: files}")
        task.write_text(task.read_text() + LEARNING)
        bundle = bundle or learned(folder, task)
        found = {**nights(folder, task, bundle), **beside(folder)}
        print(f"{millions:>4} M  {count:,} events; exchanges in the plan of the cases: {exchanges(folder, task)}")
        for name, one in found.items():
            print(f"{millions:>4} M  {name:<26}{one.seconds:>8.1f} s{one.peak_gb:>8.1f} GB", flush=True)
    if given.folder is None:
        shutil.rmtree(work)


def make_hospital(folder: Path, millions: int) -> int:
    """The hospital's events, once; how many they are."""
    planted = folder / "hospital" / "planted.json"
    if not planted.exists():
        folder.mkdir(parents=True, exist_ok=True)
        patients = str(millions * PATIENTS_A_MILLION)
        run([str(MEDSPARK), "synth", "--parts", "meds", "--patients", patients, "--out", str(planted.parent)])
    (folder / "hospital" / "meds" / "data" / INCREMENT).unlink(missing_ok=True)
    return int(json.loads(planted.read_text())["meds"]["events"])


def learned(folder: Path, task: Path) -> Path:
    """The folder of a bundle of a task."""
    run([str(MEDSPARK), "run", str(task), "--store", str(folder / "learned")])
    return next((folder / "learned" / "bundles").iterdir())


def nights(folder: Path, task: Path, bundle: Path) -> dict[str, Measured]:
    """A store that is filled, and nights of it: the first, one of new events, and that one again."""
    deployment = folder / "deployment.yaml"
    given = {
        "deployment": "feed",
        "bundle": str(bundle),
        "source": str(folder / "hospital" / "meds"),
        "store": str(folder / "nights"),
        "history": str(folder / "records"),
        "sinks": [{"kind": "parquet", "path": str(folder / "published")}],
    }
    deployment.write_text(yaml.safe_dump(given))
    for name in ("nights", "records", "published"):
        shutil.rmtree(folder / name, ignore_errors=True)
    night = [str(MEDSPARK), "night", str(deployment), "--as-of"]
    found = {"clean, once": run([str(MEDSPARK), "clean", str(task), "--store", str(folder / "records")])}
    found["first night"] = run([*night, AS_OF[0]])
    write_increment(folder / "hospital" / "meds" / "data")
    found["night of 0.5 % new events"] = run([*night, AS_OF[1]])
    for table, seconds in newest_seconds(folder / "nights").items():
        print(f"        of it {table:<20}{seconds:>8.1f} s")
    found["the same night again"] = run([*night, AS_OF[1]])
    return found


def newest_seconds(store: Path) -> dict[str, float]:
    """What a store's newest run took, stage by stage, by its receipt."""
    return dict(json.loads(max((store / "runs").glob("*.json")).read_text())["seconds"])


def exchanges(folder: Path, task: Path) -> int:
    """How many exchanges the plan of the cases holds, of the records that the nights keep."""
    from medspark.cases.events import build_candidates
    from medspark.cases.worker.candidates import Plan
    from medspark.spark.session import start_session
    from medspark.stages.records import kept_records
    from medspark.store.facts import EventCounts, RecordsFacts, read_facts
    from medspark.store.manifest import whole_path
    from medspark.store.tables import read_parquet
    from medspark.task.event_task import EventTask
    from medspark.task.load import load_task

    spark, read = start_session("plan"), load_task(task)
    path = whole_path(spark.sparkContext, str(folder / "records"), "records")
    facts = read_facts(spark.sparkContext, path, RecordsFacts)
    assert isinstance(read, EventTask)
    assert isinstance(facts.counts, EventCounts)
    kept = kept_records(spark.sparkContext, path, facts)
    cases = build_candidates(read_parquet(spark, path), Plan(read, scoring=True), facts.counts.records, kept)
    plan = str(cases._jdf.queryExecution().executedPlan().toString())
    spark.stop()
    return plan.count("Exchange ")


def beside(folder: Path) -> dict[str, Measured]:
    """DuckDB's long form on the same files."""
    return {"duckdb, long form": run([sys.executable, events.__file__, "--one", "duckdb best", str(folder)])}


if __name__ == "__main__":
    main()
