"""What it costs to count a night while it is scored, and to judge it: the same tensors with and without, by turns.

    python benchmarks/monitoring.py                     2 million rows, 64 numbers a row
    python benchmarks/monitoring.py --inputs mixed      numbers, categories and codes

Warm, in one process: the workers are there, and each turn writes a store of its own. Judging is what
`medspark monitor` does with the counts, on the driver.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scoring_place import bundle_of, draw, made_statistics, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", default="64", help="numbers a row, or `mixed`")
    parser.add_argument("--millions", type=float, default=2)
    parser.add_argument("--repeat", type=int, default=15)
    given = parser.parse_args()
    os.environ.setdefault("MEDSPARK_MASTER", "local[2,4]")
    here = str(Path(__file__).parent)  # where Spark's workers find what makes the tensors
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    place = Path(tempfile.mkdtemp(prefix="medspark-monitoring-"))
    rows = int(given.millions * 1e6)
    try:
        prepare(place, given.inputs, rows)
        bundles = {"not counted": bundle_of(place)}
        bundles["counted"] = watched(place, given.inputs, bundles["not counted"])
        took: dict[str, list[float]] = {name: [] for name in bundles}
        for turn in range(given.repeat + 1):
            for name, bundle in bundles.items():
                seconds, store = score(place, bundle, f"{name}-{turn}")
                if turn:  # the first one warms up
                    took[name].append(seconds)
                last = store
                if turn < given.repeat or name == "not counted":
                    shutil.rmtree(store)
        for name, found in took.items():
            print(f"{name:<12} {rows / statistics.median(found):>12,.0f} rows/s, {statistics.median(found):.3f} s")
        more = statistics.median(one - other for one, other in zip(took["counted"], took["not counted"], strict=True))
        print(f"counting costs {more:.3f} s of {rows:,} rows; judging {judged(last):.2f} s")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def watched(place: Path, inputs: str, plain: Path) -> Path:
    """The same bundle with a reference in it."""
    from medspark.bundles.bundle import MONITOR, save_bundle
    from medspark.bundles.manifest import MANIFEST
    from medspark.monitor.reference import fit_reference, plan_of
    from medspark.monitor.worker.tally import tally_of

    fitted = made_statistics(inputs)
    tensors = draw(fitted, 1, 20_000)
    plan = plan_of(fitted, tensors, ())
    seen = tally_of(plan, tensors, np.random.default_rng(0).random(20_000), {})

    def fill(folder: Path) -> dict[str, Any]:
        for path in plain.iterdir():
            if path.name != MANIFEST:
                shutil.copy(path, folder / path.name)
        (folder / MONITOR).write_text(fit_reference(plan, seen, seen).model_dump_json())
        return {"created_at": "benchmark"}

    return save_bundle(place / "watched", fill)


def new_run(store: Path) -> Any:
    from medspark.runs.receipt import Receipt, new_run_id
    from medspark.runs.run import Run
    from medspark.spark.session import start_session

    quiet = Console(quiet=True)
    return Run(start_session("monitoring").sparkContext, str(store), quiet, Receipt("score", new_run_id(), {}), quiet)


def score(place: Path, bundle: Path, name: str) -> tuple[float, Path]:
    from medspark.bundles.bundle import load_bundle
    from medspark.stages.score import score_tensors_stage

    run, opened = new_run(place / name), load_bundle(bundle)
    begun = time.perf_counter()
    score_tensors_stage(run, opened, str(place / "store"), reader="workers")
    return time.perf_counter() - begun, place / name


def judged(store: Path) -> float:
    from medspark.errors import GateError
    from medspark.stages.monitor import monitor_stage

    run = new_run(store)
    begun = time.perf_counter()
    try:
        monitor_stage(run)
    except GateError as refused:
        print(refused)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
