"""A night that reads what is new: from an increment of the source to scores that are published.

    python benchmarks/nights.py --millions 1 10          the sizes, in millions of events, about

Every figure is of a process of its own, from its start to its end. A bundle learns from another, smaller hospital of
`medspark synth --parts meds`. Then `medspark clean` takes the large one into the store that keeps its records. Each
night every patient's first discharge is scored, with 40 codes x 5 numbers, and published as Parquet: once when the
source has one event in 200 more, once when nothing is new, and once as it would be without a store that keeps records,
reading the whole source.
"""

import argparse
import json
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from events import INCREMENT, MEDSPARK, PATIENTS_A_MILLION, Measured, run, write_increment, write_task

LEARNED = """
network: {members: 1}
training: {taught_by: none}
report: {bootstrap: 20}
"""
NIGHTS = {"an increment of 0.5 %": 2, "nothing new": 1, "the whole source": 1}
"""Each with how many days ago it was."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--learned", type=int, default=20_000, help="patients of the hospital that is learned from")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    given = parser.parse_args()
    work = given.folder or Path(tempfile.mkdtemp(prefix="medspark-nights-"))
    bundle = learned(work / "learned", given.learned)
    for millions in given.millions:
        measure(work / f"{millions:g}m", millions, bundle)
    if given.folder is None:
        shutil.rmtree(work)


def made(folder: Path, patients: int) -> int:
    """A hospital in `FOLDER/hospital`; how many events it has."""
    folder.mkdir(parents=True, exist_ok=True)
    run([str(MEDSPARK), "synth", "--parts", "meds", "--patients", str(patients), "--out", str(folder / "hospital")])
    return int(json.loads((folder / "hospital" / "planted.json").read_text())["meds"]["events"])


def learned(folder: Path, patients: int) -> Path:
    """The bundle of a hospital of its own."""
    made(folder, patients)
    task = write_task(folder, "learned", [365], "increment: {by: files}")
    task.write_text(task.read_text() + LEARNED)
    run([str(MEDSPARK), "run", str(task), "--store", str(folder / "store")])
    (bundle,) = (folder / "store" / "feed" / "bundles").iterdir()
    return bundle


def measure(folder: Path, millions: float, bundle: Path) -> None:
    """The records of one hospital, and its nights."""
    events = made(folder, int(millions * PATIENTS_A_MILLION))
    tell(millions, f"{events:,} events")
    task = write_task(folder, "grown", [365], "increment: {by: files}")
    tell(millions, "clean, once", run([str(MEDSPARK), "clean", str(task), "--store", str(folder / "records")]))
    write_increment(folder / "hospital" / "meds" / "data")
    for name, ago in NIGHTS.items():
        day = str(date.today() - timedelta(days=ago))
        deployment = deployed(folder, bundle, name)
        found = run([str(MEDSPARK), "night", str(deployment), "--as-of", f"{day}T06:00"])
        rows = sum(pq.read_metadata(file).num_rows for file in published(folder, name, day))
        tell(millions, f"night, {name}", found, f"{rows:,} scores published")
    (folder / "hospital" / "meds" / "data" / INCREMENT).unlink()


def way_of(name: str) -> str:
    """Two deployments, each with a store and a sink of its own."""
    return "whole" if name == "the whole source" else "kept"


def published(folder: Path, name: str, day: str) -> list[Path]:
    return [*folder.glob(f"published-{way_of(name)}/scores/as_of={day.replace('-', '')}*/*.parquet")]


def deployed(folder: Path, bundle: Path, name: str) -> Path:
    """The deployment that a night is of."""
    way = way_of(name)
    history = f"history: {folder / 'records' / 'feed'}\n" if way == "kept" else ""
    path = folder / f"{way}.yaml"
    meds, store, to = folder / "hospital" / "meds", folder / f"nights-{way}", folder / f"published-{way}"
    path.write_text(
        f"deployment: {way}\nbundle: {bundle}\nsource: {meds}\nstore: {store}\n{history}"
        f"as_of: {{at: '06:00', timezone: UTC}}\nsinks: [{{kind: parquet, path: {to}}}]\n"
    )
    return path


def tell(millions: float, name: str, found: Measured | None = None, more: str = "") -> None:
    figures = "" if found is None else f"{found.seconds:>8.1f} s{found.peak_gb:>8.1f} GB  {more}"
    print(f"{millions:>5g} M  {name:<30}{figures}", flush=True)


if __name__ == "__main__":
    main()
