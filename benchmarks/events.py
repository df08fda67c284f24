"""Events to cases at scale: the `clean` and `features` commands beside DuckDB, on one feed of laboratory events.

    python benchmarks/events.py --millions 1 10          the sizes, in millions of events
    python benchmarks/events.py --millions 100           takes about 20 minutes and 10 GB of disk

Every figure is of a process of its own, from its start to its end: `medspark clean` brings a MEDS dataset into a store,
`medspark features` makes a case a patient of it, with 40 codes x 5 numbers = 200 features for each window. DuckDB reads
the same MEDS files, once grouped by patient and code (its best way: a row for each code that a patient has) and once
with 200 filtered aggregates (the obvious way: a column for each feature). Both Sparks are local[2], 4 GiB of driver.
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

EVENTS_A_PATIENT = 100
CODES, USED = 60, 40
WINDOWS = {"1 window": [365], "2 windows": [365, 90], "3 windows": [365, 90, 30]}
START = 1_600_000_000
INDEX = START + 2 * 365 * 86_400
SETTINGS = {"MEDSPARK_MASTER": "local[2,4]", "MEDSPARK_DRIVER_MEMORY": "4g"}
MEDSPARK = Path(sys.executable).parent / "medspark"


class Measured(NamedTuple):
    seconds: float
    peak_gb: float
    """Of the process and all below it, resident."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    parser.add_argument("--no-duckdb", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        ONE[given.one[0]](Path(given.one[1]), given.millions[0])
        return
    work = given.folder or Path(tempfile.mkdtemp(prefix="medspark-events-"))
    found = {millions: measure(work / f"{millions}m", millions, not given.no_duckdb) for millions in given.millions}
    tell(found)
    if given.folder is None:
        shutil.rmtree(work)


def measure(folder: Path, millions: int, with_duckdb: bool) -> dict[str, Measured]:
    """All ways on one size."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "data" / "_SUCCESS").exists():
        run([sys.executable, __file__, "--millions", str(millions), "--one", "feed", str(folder)])
    found = {}
    tasks = {name: write_task(folder, name, days) for name, days in WINDOWS.items()}
    first = tasks["1 window"]
    found["clean"] = run([str(MEDSPARK), "clean", str(first), "--store", str(folder / "store")])
    for name, task in tasks.items():
        found[f"features, {name}"] = run([str(MEDSPARK), "features", str(task), "--store", str(folder / "store")])
    for way in ("duckdb best", "duckdb obvious") if with_duckdb else ():
        found[way] = run([sys.executable, __file__, "--millions", str(millions), "--one", way, str(folder)])
    for name, one in found.items():
        print(f"{millions:>4} M  {name:<22}{one.seconds:>8.1f} s{one.peak_gb:>8.1f} GB", flush=True)
    return found


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


def resident(root: int) -> int:
    """The proportional memory of a process and all below it, bytes: pages that two share count once."""
    parents, sizes = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
    below = {root}
    while new := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= new
    for pid in below:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            sizes[pid] = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return sum(sizes.values())


def tell(found: dict[int, dict[str, Measured]]) -> None:
    """What it comes to: ratios, and the growth from one size to the next."""
    for millions, ways in found.items():
        one = ways["features, 1 window"]
        events = millions * 1e6 / one.seconds
        print(f"\n{millions} M events: {events:,.0f} events/s from process start to cases; peak {one.peak_gb:.1f} GB")
        for before, after in (("1 window", "2 windows"), ("2 windows", "3 windows")):
            more = ways[f"features, {after}"].seconds / ways[f"features, {before}"].seconds - 1
            print(f"  from {before} to {after}: {more:+.0%}")
        for way in ("duckdb best", "duckdb obvious"):
            if way in ways:
                print(f"  {way} takes {ways[way].seconds / one.seconds:.2f} of medspark's time")
    sizes = sorted(found)
    for small, large in pairwise(sizes):
        growth = found[large]["features, 1 window"].seconds / found[small]["features, 1 window"].seconds
        print(f"\nfrom {small} to {large} M events, {large / small:g} times as many: {growth:.1f} times the time")


def write_task(folder: Path, name: str, days: list[int]) -> Path:
    """The task of one number of windows; all have one mapping, so they share the records of a store."""
    used = ", ".join(f"LAB/{code:04d}" for code in range(USED))
    path = folder / f"{name.replace(' ', '-')}.yaml"
    path.write_text(
        f"""
task: feed
title: Events to cases
source: {{kind: events, mapping: meds, format: parquet, path: "{folder}"}}
concepts:
  discharge: {{codes: [DISCHARGE]}}
  outcome: {{codes: [LAB/{CODES - 1:04d}]}}
  labs: {{codes: [{used}]}}
population: {{index: {{event: discharge, take: first}}}}
outcome: {{name: a late result, event: outcome, from_days: 1}}
features:
  values:
    labs: {{of: [labs], look_back_days: {json.dumps(days)}, take: [count, mean, min, max, last]}}
"""
    )
    return path


# ---------------------------------------------------------------- one way, in a process of its own


def write_feed(folder: Path, millions: int) -> None:
    """A MEDS dataset: for each patient 99 results of 60 codes over two years, then a discharge."""
    from pyspark.sql import functions as F

    from medspark.session import start_session

    spark = start_session("feed")
    ids = spark.range(0, millions * 1_000_000, numPartitions=max(2, millions // 2))

    def draw(salt: int):
        return F.pmod(F.xxhash64("id", F.lit(salt)), F.lit(1_000_003)) / 1_000_003

    last = F.pmod("id", F.lit(EVENTS_A_PATIENT)) == EVENTS_A_PATIENT - 1
    lab = F.concat(F.lit("LAB/"), F.lpad((draw(1) * CODES).cast("int").cast("string"), 4, "0"))
    at = F.when(last, INDEX).otherwise(START + (draw(2) * (INDEX - START)).cast("bigint"))
    ids.select(
        F.floor(F.col("id") / EVENTS_A_PATIENT).alias("subject_id"),
        at.cast("timestamp").alias("time"),
        F.when(last, "DISCHARGE").otherwise(lab).alias("code"),
        F.when(~last, F.round(100 * draw(3), 2)).cast("float").alias("numeric_value"),
    ).write.parquet(str(folder / "data"))


LABS = ", ".join(f"'LAB/{code:04d}'" for code in range(USED))
WINDOW = f"""
    FROM read_parquet('{{data}}/*.parquet') e
    JOIN (SELECT subject_id, min(time) AS at FROM read_parquet('{{data}}/*.parquet')
          WHERE code = 'DISCHARGE' GROUP BY 1) c USING (subject_id)
    WHERE e.time BETWEEN c.at - INTERVAL 365 DAY AND c.at AND e.code IN ({LABS})
"""  # noqa: S608 (this script's own codes)


def duckdb_best(folder: Path, _: int) -> None:
    """A row for each patient and code: what DuckDB does well."""
    duckdb_to(
        folder,
        "SELECT subject_id, code, count(*) AS n, avg(numeric_value) AS mean, min(numeric_value) AS low, "
        "max(numeric_value) AS high, arg_max(numeric_value, time) AS last" + WINDOW + "GROUP BY subject_id, code",
    )


def duckdb_obvious(folder: Path, _: int) -> None:
    """A column for each feature."""
    columns = []
    for code in range(USED):
        of = f"FILTER (WHERE code = 'LAB/{code:04d}') AS"
        columns += [
            f"count(*) {of} n{code}",
            f"avg(numeric_value) {of} mean{code}",
            f"min(numeric_value) {of} low{code}",
        ]
        columns += [f"max(numeric_value) {of} high{code}", f"arg_max(numeric_value, time) {of} last{code}"]
    duckdb_to(folder, f"SELECT subject_id, {', '.join(columns)}" + WINDOW + "GROUP BY subject_id")


def duckdb_to(folder: Path, query: str) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = 2; SET memory_limit = '6GB'; SET temp_directory = '{folder / 'spill'}'")
    out = folder / "duckdb.parquet"
    connection.execute(f"COPY ({query.format(data=folder / 'data')}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


ONE = {"feed": write_feed, "duckdb best": duckdb_best, "duckdb obvious": duckdb_obvious}


if __name__ == "__main__":
    main()
