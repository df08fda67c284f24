"""Events to cases at scale: the `clean` and `features` commands beside DuckDB, on the synthetic hospital's events.

    python benchmarks/events.py --millions 1 10          the sizes, in millions of events, about
    python benchmarks/events.py --millions 100           takes about 20 minutes and 10 GB of disk

Every figure is of a process of its own, from its start to its end: `medspark clean` brings the MEDS dataset that
`medspark synth --parts meds` made into a store, `medspark features` makes a case a patient of it, the discharge from
the first stay, with 40 codes x 5 numbers = 200 features for each window. DuckDB reads the same MEDS files for the same
cases and the first window, once grouped by patient and code (its best way: a row for each code that a patient has) and
once with 200 filtered aggregates (the obvious way: a column for each feature). Both Sparks are local[2], 4 GiB of
driver. Last, a source with `increment` is cleaned, one event in 200 more comes in a file, which `clean --append` takes,
and `features` makes cases of both.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from processes import resident

from medspark.synth.vocabulary import PANEL

PATIENTS_A_MILLION = 10_000
"""A patient of the hospital has about 100 events."""
LABS = [f"LAB/{test.name}" for test in PANEL[:40]]
WINDOWS = {"1 window": [365], "2 windows": [365, 7], "3 windows": [365, 7, 2]}
"""Days; a first stay is mostly shorter than a week and never longer than 40 days."""
INCREMENT = "zz-increment.parquet"
SETTINGS = {"MEDSPARK_MASTER": "local[2,4]", "MEDSPARK_DRIVER_MEMORY": "4g"}
MEDSPARK = Path(sys.executable).parent / "medspark"


class Measured(NamedTuple):
    seconds: float
    peak_gb: float
    """Of the process and all below it, resident."""


class Size(NamedTuple):
    events: int
    ways: dict[str, Measured]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    parser.add_argument("--no-duckdb", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        ONE[given.one[0]](Path(given.one[1]))
        return
    work = given.folder or Path(tempfile.mkdtemp(prefix="medspark-events-"))
    found = {millions: measure(work / f"{millions}m", millions, not given.no_duckdb) for millions in given.millions}
    tell(found)
    if given.folder is None:
        shutil.rmtree(work)


def measure(folder: Path, millions: int, with_duckdb: bool) -> Size:
    """All ways on one size."""
    folder.mkdir(parents=True, exist_ok=True)
    planted = folder / "hospital" / "planted.json"
    if not planted.exists():
        patients = str(millions * PATIENTS_A_MILLION)
        out = str(planted.parent)
        run([str(MEDSPARK), "synth", "--parts", "meds", "--patients", patients, "--out", out])
    hospital = json.loads(planted.read_text())
    events = hospital["meds"]["events"]
    print(f"{millions:>4} M  {events:,} events of {hospital['patients']:,} patients", flush=True)
    found = {}
    tasks = {name: write_task(folder, name, days) for name, days in WINDOWS.items()}
    first = tasks["1 window"]
    found["clean"] = run([str(MEDSPARK), "clean", str(first), "--store", str(folder / "store")])
    for name, task in tasks.items():
        found[f"features, {name}"] = run([str(MEDSPARK), "features", str(task), "--store", str(folder / "store")])
    found |= measure_grown(folder)
    for way in ("duckdb best", "duckdb obvious") if with_duckdb else ():
        found[way] = run([sys.executable, __file__, "--one", way, str(folder)])
    for name, one in found.items():
        print(f"{millions:>4} M  {name:<22}{one.seconds:>8.1f} s{one.peak_gb:>8.1f} GB", flush=True)
    return Size(events, found)


def measure_grown(folder: Path) -> dict[str, Measured]:
    """The same records in a store that grows: by an increment of its source, then cases of both."""
    task = write_task(folder, "grown", [365], "increment: {by: files}")
    store = ["--store", str(folder / "grown")]
    found = {"clean, grows": run([str(MEDSPARK), "clean", str(task), *store])}
    write_increment(folder / "hospital" / "meds" / "data")
    found["append 0.5 %"] = run([str(MEDSPARK), "clean", str(task), *store, "--append"])
    found["features, grown"] = run([str(MEDSPARK), "features", str(task), *store])
    (folder / "hospital" / "meds" / "data" / INCREMENT).unlink()
    return found


def write_increment(data: Path) -> None:
    """A file of one in 200 of a folder's events, an hour later, so that they are new ones of the same patients."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    whole = pa.concat_tables([pq.read_table(file) for file in sorted(data.glob("*.parquet"))])
    some = whole.take(pa.array(range(0, whole.num_rows, 200)))
    at = some.schema.get_field_index("time")
    later = pc.add(some["time"], pa.scalar(3_600_000_000, pa.duration("us"))).cast(some.schema.field("time").type)
    pq.write_table(some.set_column(at, some.schema.field("time"), later), data / INCREMENT)


def run(command: list[str]) -> Measured:
    """A command in a process of its own: seconds from start to end, and the most memory it had."""
    begun = time.monotonic()
    process = subprocess.Popen(
        command, env={**os.environ, **SETTINGS}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.1)
    seconds = time.monotonic() - begun
    if process.returncode:
        assert process.stdout is not None
        sys.exit(f"{' '.join(command)} failed:\n{process.stdout.read().decode()}")
    return Measured(seconds, peak / 2**30)


def tell(found: dict[int, Size]) -> None:
    """What it comes to: ratios, and the growth from one size to the next."""
    for events, ways in found.values():
        one = ways["features, 1 window"]
        rate = events / one.seconds
        print(f"\n{events:,} events: {rate:,.0f} events/s from process start to cases; peak {one.peak_gb:.1f} GB")
        for before, after in (("1 window", "2 windows"), ("2 windows", "3 windows")):
            more = ways[f"features, {after}"].seconds / ways[f"features, {before}"].seconds - 1
            print(f"  from {before} to {after}: {more:+.0%}")
        for way in ("duckdb best", "duckdb obvious"):
            if way in ways:
                print(f"  {way} takes {ways[way].seconds / one.seconds:.2f} of medspark's time")
    sizes = sorted(found)
    for small, large in pairwise(sizes):
        times = found[large].events / found[small].events
        print(f"\nfrom {small} to {large} M events, {times:.3g} times as many")
        for way in ("clean", *(f"features, {name}" for name in WINDOWS)):
            before, after = (found[size].ways[way].seconds for size in (small, large))
            print(f"  {way:<22}{after / before:>8.1f} times the time")


def write_task(folder: Path, name: str, days: list[int], grows: str = "") -> Path:
    """The task of one number of windows; all have one mapping, so they share the records of a store.

    Events at the discharge itself are no history, so that who died in the first stay is a case too: one a patient.
    """
    grows = f", {grows}" if grows else ""
    path = folder / f"{name.replace(' ', '-')}.yaml"
    path.write_text(
        f"""
task: feed
title: Events to cases
source: {{kind: events, mapping: meds, format: parquet, path: "{folder / "hospital" / "meds"}"{grows}}}
concepts:
  admission: {{codes: [HOSPITAL_ADMISSION]}}
  discharge: {{codes: [HOSPITAL_DISCHARGE]}}
  labs: {{codes: {json.dumps(LABS)}}}
population: {{index: {{event: discharge, take: first}}}}
outcome: {{name: readmitted within 30 days, event: admission, to_days: 30, follow_up: keep_all}}
time: {{at_prediction_time: excluded}}
features:
  values:
    labs: {{of: [labs], look_back_days: {json.dumps(days)}, take: [count, mean, min, max, last]}}
"""
    )
    return path


# ---------------------------------------------------------------- one way, in a process of its own

WINDOW = f"""
    FROM (SELECT subject_id, min(time) AS at FROM read_parquet('{{data}}/*.parquet')
          WHERE code = 'HOSPITAL_DISCHARGE' GROUP BY subject_id) c
    LEFT JOIN (SELECT * FROM read_parquet('{{data}}/*.parquet') WHERE code IN ({str(LABS)[1:-1]})) e
    ON e.subject_id = c.subject_id AND e.time >= c.at - INTERVAL 365 DAY AND e.time < c.at
"""  # noqa: S608 (this script's own codes)


def duckdb_best(folder: Path) -> None:
    """A row for each patient and code: what DuckDB does well."""
    duckdb_to(
        folder,
        "SELECT c.subject_id, code, count(code) AS n, avg(numeric_value) AS mean, min(numeric_value) AS low, "
        "max(numeric_value) AS high, arg_max(numeric_value, time) AS last" + WINDOW + "GROUP BY c.subject_id, code",
    )


def duckdb_obvious(folder: Path) -> None:
    """A column for each feature."""
    columns = []
    for place, code in enumerate(LABS):
        of = f"FILTER (WHERE code = '{code}') AS"
        columns += [
            f"count(*) {of} n{place}",
            f"avg(numeric_value) {of} mean{place}",
            f"min(numeric_value) {of} low{place}",
        ]
        columns += [f"max(numeric_value) {of} high{place}", f"arg_max(numeric_value, time) {of} last{place}"]
    duckdb_to(folder, f"SELECT c.subject_id, {', '.join(columns)}" + WINDOW + "GROUP BY c.subject_id")


def duckdb_to(folder: Path, query: str) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = 2; SET memory_limit = '6GB'; SET temp_directory = '{folder / 'spill'}'")
    out = folder / "duckdb.parquet"
    data = folder / "hospital" / "meds" / "data"
    connection.execute(f"COPY ({query.format(data=data)}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


ONE = {"duckdb best": duckdb_best, "duckdb obvious": duckdb_obvious}


if __name__ == "__main__":
    main()
