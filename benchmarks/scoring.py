"""Scoring at scale: medspark beside the other ways to run a Keras network over Parquet with Spark, and the limit.

    python benchmarks/scoring.py                                  2 million rows, 64 numbers a row: the main table
    python benchmarks/scoring.py --inputs 16 64 256 mixed         other shapes; mixed has numbers, categories and codes
    python benchmarks/scoring.py --inputs large --millions 0.02      51 million weights, 64 numbers a row
    python benchmarks/scoring.py --millions 1 2 4 8 --ways medspark medspark-spark limit       how the time grows
    python benchmarks/scoring.py --cores 1 2 --ways medspark limit                             and with the cores
    python benchmarks/scoring.py --millions 50 --ways medspark    takes 13 GB of disk

All read the same Parquet, which medspark's writer made, and run the same network. Each way is a process of its own.
Cold is from the start of that process to its output whole on disk, warm the same work again in the same process, the
median of the repetitions. CPU is of the process and all below it during a warm run; memory the most that one Python
worker ever had resident. The limit is as many plain processes as cores, pyarrow and LiteRT, no Spark and nobody to
count; it writes as much as the peers do, a key and a probability, where medspark writes all columns of `scores`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from processes import cpu_seconds, peak_of_workers, proportional_memory
from scoring_place import bundle_of, prepare
from scoring_ways import SLOW, WAYS

MEDSPARK = Path(sys.executable).parent / "medspark"
HERE = str(Path(__file__).parent)
"""Where Spark's workers find the functions of the ways."""
PYTHON_PATH = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
SETTINGS = {"MEDSPARK_DRIVER_MEMORY": "4g", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": PYTHON_PATH}


class Measured(NamedTuple):
    cold: float
    warm: float
    cpu: float
    worker_mb: float
    whole_gb: float
    """Of the process and all below it, pages that two share counted once."""
    rows: int
    mean: float
    """Of all probabilities: every way must find the same."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", nargs="+", default=["64"], help="numbers a row, `mixed` or `large`")
    parser.add_argument("--millions", nargs="+", type=float, default=[2])
    parser.add_argument("--cores", nargs="+", type=int, default=[2])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--repeat", type=int, default=25, help="warm runs of each way; of the slow ones one")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    parser.add_argument("--one", nargs=4, metavar=("WAY", "PLACE", "CORES", "TIMES"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", nargs=3, metavar=("PLACE", "INPUTS", "ROWS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        way, place, cores, times = given.one
        one(WAYS[way], Path(place), int(cores), int(times))
    elif given.prepare is not None:
        place, inputs, rows = given.prepare
        prepare(Path(place), inputs, int(rows))
    else:
        compare(given)


def compare(given: argparse.Namespace) -> None:
    work = given.folder or Path(tempfile.mkdtemp(prefix="medspark-scoring-"))
    for inputs in given.inputs:
        for millions in given.millions:
            rows = int(millions * 1e6)
            place = work / f"{inputs}-{rows}"
            if not (place / "ready").exists():
                run([sys.executable, __file__, "--prepare", str(place), inputs, str(rows)], {})
            for cores in given.cores:
                print(f"\n{rows:,} rows, inputs: {inputs}, {cores} cores", flush=True)
                found = {}
                for way in given.ways:
                    found[way] = measure(way, place, cores, given.repeat)
                    tell_one(way, found[way], rows)
                tell(found, rows)
                if "medspark" in found:
                    seconds = cold_command(place, cores, with_classes(work))
                    print(f"\nmedspark after `medspark share-classes`: cold {seconds:.1f} s")
            if given.folder is None:
                shutil.rmtree(place)
    if given.folder is None:
        shutil.rmtree(work)


def tell_one(way: str, found: Measured, rows: int) -> None:
    print(
        f"  {way:<28} warm {rows / found.warm:>11,.0f} rows/s  cold {found.cold:>7.1f} s  warm {found.warm:>7.2f} s"
        f"  cpu {found.cpu:>6.1f} s  worker {found.worker_mb:>5.0f} MB  all {found.whole_gb:.1f} GB",
        flush=True,
    )


def tell(found: dict[str, Measured], rows: int) -> None:
    """The table of the README: each way's figures, and how many times as fast medspark is."""
    if "medspark" not in found or len(found) == 1:
        return
    means = {way: one.mean for way, one in found.items()}
    if max(means.values()) - min(means.values()) > 1e-5 or {one.rows for one in found.values()} != {rows}:
        sys.exit(f"the ways do not agree: {means}, rows { ({way: one.rows for way, one in found.items()}) }")
    ours = found["medspark"]
    print("\n| way | rows/s, warm | medspark is | cold, s | medspark is | CPU, s | a worker's memory, MB |")
    print("|---|---|---|---|---|---|---|")
    for way, one in found.items():
        print(
            f"| {way} | {rows / one.warm:,.0f} | {one.warm / ours.warm:.2f} × | {one.cold:.1f} "
            f"| {one.cold / ours.cold:.2f} × | {one.cpu:.1f} | {one.worker_mb:.0f} |"
        )


# ---------------------------------------------------------------- a way in a process of its own, watched


def measure(way: str, place: Path, cores: int, repeat: int) -> Measured:
    times = 1 + (repeat if way not in SLOW else 1)
    empty = place / "cache"  # of no archive of classes
    cold = cold_command(place, cores, empty) if way == "medspark" else None
    begun = time.time()
    command = [sys.executable, __file__, "--one", way, str(place), str(cores), str(times)]
    done = watch(command, {"MEDSPARK_MASTER": f"local[{cores},4]", "XDG_CACHE_HOME": str(empty)})
    marks = done["marks"]
    lasted = [stop - start for start, stop in zip(marks[0:-1:2], marks[1::2], strict=True)]
    cpus = [stop - start for start, stop in zip(done["cpu"][0:-1:2], done["cpu"][1::2], strict=True)]
    return Measured(
        cold=cold if cold is not None else marks[1] - begun,
        warm=statistics.median(lasted[1:]),
        cpu=statistics.median(cpus[1:]),
        worker_mb=done["worker"] / 2**20,
        whole_gb=done["whole"] / 2**30,
        rows=done["rows"],
        mean=done["mean"],
    )


def with_classes(work: Path) -> Path:
    """A cache that has Java's archive of classes."""
    cache = work / "classes"
    if not cache.exists():
        run([str(MEDSPARK), "share-classes"], {"XDG_CACHE_HOME": str(cache)})
    return cache


def cold_command(place: Path, cores: int, cache: Path) -> float:
    """The command that a night's job runs, from its start to its end."""
    out = place / "out-cold"
    shutil.rmtree(out, ignore_errors=True)
    begun = time.time()
    score = [str(MEDSPARK), "score", str(bundle_of(place)), "--tensors", str(place / "store"), "--to", str(out)]
    run(score, {"MEDSPARK_MASTER": f"local[{cores},4]", "XDG_CACHE_HOME": str(cache)})
    seconds = time.time() - begun
    shutil.rmtree(out)
    return seconds


def run(command: list[str], more: dict[str, str]) -> None:
    environment = {**os.environ, **SETTINGS, **more}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def watch(command: list[str], more: dict[str, str]) -> dict[str, Any]:
    """Run a way, and note at each line it prints the time and the CPU used so far, and all the while the memory."""
    most = {"worker": 0, "whole": 0}
    marks, cpu, last = [], [], {}
    over = threading.Event()
    environment = {**os.environ, **SETTINGS, **more}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)

        def sample() -> None:
            # Seldom, as adding up shared pages takes a core for 20 ms, which is then not there for what is measured
            while not over.wait(2):
                most["worker"] = max(most["worker"], peak_of_workers(process.pid))  # a high-water mark
                most["whole"] = max(most["whole"], proportional_memory(process.pid))

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("mark"):
                marks.append(float(line.split()[1]))
                cpu.append(cpu_seconds(process.pid))
            elif line.startswith("{"):
                last = json.loads(line)
        over.set()
        sampler.join()
        if process.wait():
            log.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{log.read()[-4000:]}")
    return {"marks": marks, "cpu": cpu, **most, **last}


def one(way: Callable[[Path, int], Callable[[Path], str]], place: Path, cores: int, times: int) -> None:
    """Score `times` times, each into a folder of its own, marking when each begins and is done."""
    score = way(place, cores)
    for at in range(times):
        out = place / f"out-{at}"
        shutil.rmtree(out, ignore_errors=True)
        mark()
        written = score(out)
        mark()
        if at < times - 1:
            shutil.rmtree(out)
    column = pq.read_table(written, columns=["probability"])["probability"].to_numpy()
    print(json.dumps({"rows": len(column), "mean": float(np.mean(column))}), flush=True)
    shutil.rmtree(out)


def mark() -> None:
    print("mark", time.time(), flush=True)


if __name__ == "__main__":
    main()
