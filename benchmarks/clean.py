"""How long cleaning takes, beside reading the same CSV with a schema in Spark and with pandas, in one run.

    python benchmarks/clean.py --patients 20000

The peers parse and write Parquet; they neither judge values nor keep what they could not read. Each way runs twice
in one session: the first time is cold (Spark generates and compiles its code), the second warm.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from medspark.clean.table import clean
from medspark.clean.typed_values import read_column
from medspark.schemas import quoted
from medspark.spark.session import start_session
from medspark.synth.write import write_hospital
from medspark.task.load import load_task
from medspark.task.table_task import TableTask


def with_medspark(spark: SparkSession, task: TableTask, out: str) -> int:
    cleaned = clean(spark, task)
    cleaned.records.write.mode("overwrite").parquet(f"{out}/records")
    cleaned.quarantine.write.mode("overwrite").parquet(f"{out}/quarantine")
    cleaned.release()
    return cleaned.counts.rows_in


def with_spark_csv(spark: SparkSession, task: TableTask, out: str) -> int:
    table = task.raw_table()
    schema = ", ".join(f"{quoted(name)} {read_column(name, 'string', table).kind.dtype}" for name in table.columns)
    frame = spark.read.csv(task.source.path, schema=schema, header=True, escape='"', mode="PERMISSIVE")
    frame.write.mode("overwrite").parquet(f"{out}/spark")
    return spark.read.parquet(f"{out}/spark").count()


def with_pandas(_: SparkSession, task: TableTask, out: str) -> int:
    parts = sorted(Path(task.source.path).glob("part-*"))
    frame = pd.concat([pd.read_csv(part, on_bad_lines="skip", encoding_errors="replace", dtype=str) for part in parts])
    frame.to_parquet(f"{out}/pandas.parquet")
    return len(frame)


WAYS: dict[str, Callable[[SparkSession, TableTask, str], int]] = {
    "medspark clean": with_medspark,
    "spark.read.csv, PERMISSIVE": with_spark_csv,
    "pandas.read_csv": with_pandas,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=20_000)
    arguments = parser.parse_args()
    spark = start_session("benchmark of cleaning")
    with tempfile.TemporaryDirectory() as folder:
        planted = write_hospital(spark, folder, arguments.patients, seed=0)
        os.environ["MEDSPARK_SYNTH"] = folder
        task = load_task(Path(__file__).parent.parent / "conf" / "tasks" / "readmission-synthetic.yaml")
        rows = planted["flat"]["admissions"]["rows"]
        seconds: dict[str, list[float]] = {}
        kept: dict[str, int] = {}
        for name, way in WAYS.items():
            for _ in range(2):
                start = time.perf_counter()
                kept[name] = way(spark, task, folder)
                seconds.setdefault(name, []).append(time.perf_counter() - start)
        show(rows, seconds, kept)


def show(rows: int, seconds: dict[str, list[float]], kept: dict[str, int]) -> None:
    ours = seconds["medspark clean"]
    table = Table("way", "cold s", "warm s", "warm rows/s", "medspark's time / this, warm", "rows accounted for")
    for name, (cold, warm) in seconds.items():
        table.add_row(
            name,
            f"{cold:.1f}",
            f"{warm:.1f}",
            f"{rows / warm:,.0f}",
            f"{ours[1] / warm:.2f}",
            f"{kept[name]:,} of {rows:,}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
