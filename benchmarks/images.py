"""How well and how fast the network of images learns: chest X-rays of MedMNIST, on the test set that they come with.

    python benchmarks/images.py --npz pneumoniamnist.npz

Writes each image as a PNG and two tables of their paths, learn.csv (train and val) and test.csv, then runs the commands
that a user would: `medspark run` with conf/tasks/pneumonia-medmnist.yaml, and `medspark score` on test.csv.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).parent.parent
TASK = ROOT / "conf" / "tasks" / "pneumonia-medmnist.yaml"
TABLES = {"learn": ("train", "val"), "test": ("test",)}


def write_images(npz: Path, folder: Path) -> dict[str, int]:
    """One PNG an image, and the tables of paths; returns the outcomes of the test set by image."""
    arrays = np.load(npz)
    outcomes = {}
    for table, parts in TABLES.items():
        with (folder / f"{table}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["image", "xray", "pneumonia"])
            for part in parts:
                (folder / part).mkdir()
                for at, pixels in enumerate(arrays[f"{part}_images"]):
                    place, outcome = f"{part}/{at:05}.png", int(arrays[f"{part}_labels"][at].item())
                    Image.fromarray(pixels).save(folder / place)
                    rows.writerow([f"{part}-{at:05}", place, outcome])
                    if table == "test":
                        outcomes[f"{part}-{at:05}"] = outcome
    return outcomes


def medspark(*arguments: str) -> dict[str, object]:
    """The receipt of a command."""
    command = [sys.executable, "-m", "medspark.cli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{\n"))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("MEDSPARK_DATA", ROOT.parent / "shared" / "data")) / "medmnist" / "pneumoniamnist.npz"
    parser.add_argument("--npz", type=Path, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = write_images(arguments.npz, folder)
        os.environ["MEDMNIST"] = name
        start = time.perf_counter()
        run = medspark("run", str(TASK), "--store", f"{name}/store")
        seconds = time.perf_counter() - start
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        bundle = Path(str(run["outputs"]["bundle"]))  # type: ignore[index]
        medspark("score", str(bundle), "--to", f"{name}/scores", "--source", f"{name}/test.csv")
        show(
            bundle,
            probabilities(folder / "scores"),
            outcomes,
            f"{seconds:.0f} s, {spent.ru_utime + spent.ru_stime:.0f} s of CPU",
        )


def probabilities(store: Path) -> dict[str, float]:
    (version,) = (path for path in (store / "scores").iterdir() if path.is_dir())
    rows = ds.dataset(sorted(version.glob("*.parquet"))).to_table(columns=["case_id", "probability"]).to_pylist()
    return {row["case_id"]: row["probability"] for row in rows}


def show(bundle: Path, found: dict[str, float], outcomes: dict[str, int], took: str) -> None:
    metrics = json.loads((bundle / "metrics.json").read_text())
    manifest = json.loads((bundle / "manifest.json").read_text())
    table = Table("", "AUROC")
    names = sorted(outcomes)
    given = roc_auc_score([outcomes[name] for name in names], [found[name] for name in names])
    table.add_row(f"network, the given test set ({len(names)} images)", f"{given:.4f}")
    table.add_row("network, the task's own test split", f"{metrics['test']['metrics']['auroc']['value']:.4f}")
    for name, baseline in metrics["baselines"].items():
        table.add_row(f"{name.replace('_', ' ')}, the same", f"{baseline['metrics']['auroc']['value']:.4f}")
    console = Console(width=100)
    console.print(table)
    stages = ", ".join(f"{stage} {spent:.0f}" for stage, spent in manifest["seconds"].items())
    epochs, engine = len(metrics["history"]), metrics["engine"]
    console.print(f"medspark run: {took} ({stages}); {epochs} epochs, {engine['parameters']:,} weights")
    console.print(f"LiteRT differs from Keras by at most {engine['litert_max_difference']:.1e}")


if __name__ == "__main__":
    main()
