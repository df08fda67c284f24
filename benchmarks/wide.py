"""How long `medspark clean` takes from process start for a table of many columns, by workers and by Spark.

    python benchmarks/wide.py --columns 1000 --rows 1000

A third of the columns are numbers with a range, a third levels, a third times; one value in a hundred breaks its rule.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

KINDS = (
    {"type": "double", "range": [0, 100], "otherwise": "missing"},
    {"type": "category", "levels": ["a", "b", "c"], "otherwise": "missing"},
    {"type": "timestamp", "format": "yyyy-MM-dd HH:mm:ss", "otherwise": "missing"},
)


def write_table(folder: Path, columns: int, rows: int) -> Path:
    """A CSV file of so many columns beside its key, and the task that reads it; returns the task's path."""
    rng = np.random.default_rng(0)
    found = [[str(n) for n in range(rows)]]
    for at in range(columns):
        sound = (rng.uniform(0, 100, rows).round(3).astype(str), rng.choice(list("abc"), rows))
        hours = rng.integers(0, 24, rows)
        cells = sound[at % 3] if at % 3 < 2 else np.array([f"2024-05-{1 + h:02} {h:02}:30:00" for h in hours])
        found.append(np.where(rng.random(rows) < 0.01, "?!", cells).tolist())
    names = ["id", *(f"x{at}" for at in range(columns))]
    lines = [",".join(names), *(",".join(row) for row in zip(*found, strict=True))]
    (folder / "wide.csv").write_text("\n".join(lines) + "\n")
    task = {
        "task": "wide",
        "title": "A wide table",
        "source": {"kind": "table", "path": str(folder / "wide.csv"), "format": "csv", "case": "id", "subject": "id"},
        "columns": {"id": {"type": "long"}, **{f"x{at}": KINDS[at % 3] for at in range(columns)}},
        "outcome": {"name": "none", "when": "x1 = 'a'"},
        "features": {"numeric": ["x0"]},
    }
    (folder / "wide.yaml").write_text(yaml.safe_dump(task, sort_keys=False))
    return folder / "wide.yaml"


def timed(task: Path, reader: str, store: Path) -> tuple[float, float]:
    """Seconds and seconds of CPU of the command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from medspark.cli.main import main; main()",
        "clean",
        str(task),
        "--store",
        str(store),
        "--reader",
        reader,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--readers", nargs="+", default=["workers", "spark"])
    arguments = parser.parse_args()
    table = Table("read by", "s", "CPU s")
    with tempfile.TemporaryDirectory() as folder:
        task = write_table(Path(folder), arguments.columns, arguments.rows)
        for reader in arguments.readers:
            seconds, cpu = timed(task, reader, Path(folder) / reader)
            table.add_row(reader, f"{seconds:.1f}", f"{cpu:.1f}")
    Console(width=80).print(table)


if __name__ == "__main__":
    main()
