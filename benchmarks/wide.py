"""How long `medspark clean` takes from process start for a table of many columns: CSV by workers and by Spark, Parquet
with types of its own by Spark.

    python benchmarks/wide.py --columns 1000 --rows 1000

A third of the columns are numbers with a range, a third levels, a third times; one value in a hundred of the CSV
breaks its rule, and is null in Parquet.
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
import pandas as pd
import yaml
from rich.console import Console
from rich.table import Table

KINDS = (
    {"type": "double", "range": [0, 100], "otherwise": "missing"},
    {"type": "category", "levels": ["a", "b", "c"], "otherwise": "missing"},
    {"type": "timestamp", "format": "yyyy-MM-dd HH:mm:ss", "otherwise": "missing"},
)
AS_TYPED = (pd.to_numeric, pd.Series, lambda times: pd.to_datetime(times).astype("datetime64[us]"))


def write_table(folder: Path, columns: int, rows: int) -> dict[str, Path]:
    """A table of so many columns beside its key as CSV and as Parquet; the path of the task that reads each."""
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
    typed = {"id": np.arange(rows)}
    typed |= {f"x{at}": AS_TYPED[at % 3](pd.Series(found[1 + at]).replace("?!", None)) for at in range(columns)}
    pd.DataFrame(typed).to_parquet(folder / "wide.parquet")
    return {form: write_task(folder, form, columns) for form in ("csv", "parquet")}


def write_task(folder: Path, form: str, columns: int) -> Path:
    path = folder / f"wide.{form}"
    task = {
        "task": f"wide-{form}",
        "title": "A wide table",
        "source": {"kind": "table", "path": str(path), "format": form, "case": "id", "subject": "id"},
        "columns": {"id": {"type": "long"}, **{f"x{at}": KINDS[at % 3] for at in range(columns)}},
        "outcome": {"name": "none", "when": "x1 = 'a'"},
        "features": {"numeric": ["x0"]},
    }
    (folder / f"{form}.yaml").write_text(yaml.safe_dump(task, sort_keys=False))
    return folder / f"{form}.yaml"


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
    ways = ["csv:workers", "csv:spark", "parquet:spark"]
    parser.add_argument("--ways", nargs="+", default=ways, choices=ways)
    arguments = parser.parse_args()
    table = Table("format", "read by", "s", "CPU s")
    with tempfile.TemporaryDirectory() as folder:
        tasks = write_table(Path(folder), arguments.columns, arguments.rows)
        for form, reader in (way.split(":") for way in arguments.ways):
            seconds, cpu = timed(tasks[form], reader, Path(folder) / reader)
            table.add_row(form, reader, f"{seconds:.1f}", f"{cpu:.1f}")
    Console(width=80).print(table)


if __name__ == "__main__":
    main()
