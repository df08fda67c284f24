"""How long cleaning takes, beside reading the same CSV with its types in Spark, DuckDB and pandas, in one run.

    python benchmarks/clean.py --patients 20000 --times 8

The peers parse and write Parquet; they neither judge values nor keep what they could not read, but for DuckDB, which
keeps lines that it could not convert. Each way runs twice in one session: the first time is cold (Spark generates and
compiles its code), the second warm. On a machine that does other work too, the seconds of CPU tell more.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
from processes import cpu_seconds
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from medspark.clean.table import clean
from medspark.clean.typed_values import read_column
from medspark.runs.chosen import Asked
from medspark.schemas import quoted
from medspark.spark.session import start_session
from medspark.store.tables import take_version, write_version
from medspark.synth.write import write_hospital
from medspark.task.load import load_task
from medspark.task.table_task import TableTask


def with_medspark(reader: Asked, spark: SparkSession, task: TableTask, out: str) -> int:
    """As the stage does it, but for the ledger of the store."""
    cleaned = clean(spark, task, reader=reader)
    tables = {"records": cleaned.records, "quarantine": cleaned.quarantine}
    for files, (name, rows) in zip(cleaned.written, tables.items(), strict=True):
        if files:
            take_version(spark.sparkContext, files, out, name, reader)
        else:
            write_version(rows, out, name, reader)
    cleaned.release()
    return cleaned.counts.rows_in


def with_spark_csv(spark: SparkSession, task: TableTask, out: str) -> int:
    table = task.raw_table()
    schema = ", ".join(f"{quoted(name)} {read_column(name, 'string', table).kind.dtype}" for name in table.columns)
    frame = spark.read.csv(task.source.path, schema=schema, header=True, escape='"', mode="PERMISSIVE")
    frame.write.mode("overwrite").parquet(f"{out}/spark")
    return spark.read.parquet(f"{out}/spark").count()


DUCKDB = {"bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "timestamp": "TIMESTAMP", "string": "VARCHAR"}


def with_duckdb(_: SparkSession, task: TableTask, out: str) -> int:
    table = task.raw_table()
    kinds = {name: read_column(name, "string", table).kind.dtype for name in table.columns}
    types = {name: DUCKDB.get(kind, "VARCHAR") for name, kind in kinds.items()}  # yes and no are no booleans to it
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(
            "CREATE TABLE found AS SELECT * FROM read_csv(?, header = true, columns = ?, quote = '\"', escape = '\"', "
            "delim = ',', auto_detect = false, null_padding = false, nullstr = ['NA', 'unknown', ''], "
            "store_rejects = true, rejects_limit = 0)",
            [f"{task.source.path}/part-*", types],
        )
        connection.execute(f"COPY found TO '{out}/duckdb.parquet' (FORMAT parquet)")
        (kept,) = connection.execute("SELECT count(*) FROM found").fetchall()[0]
        (aside,) = connection.execute("SELECT count(DISTINCT (file_id, line)) FROM reject_errors").fetchall()[0]
    return int(kept + aside)


def with_pandas(_: SparkSession, task: TableTask, out: str) -> int:
    parts = sorted(Path(task.source.path).glob("part-*"))
    frame = pd.concat([pd.read_csv(part, on_bad_lines="skip", encoding_errors="replace", dtype=str) for part in parts])
    frame.to_parquet(f"{out}/pandas.parquet")
    return len(frame)


WAYS: dict[str, Callable[[SparkSession, TableTask, str], int]] = {
    "medspark clean, by workers": partial(with_medspark, "workers"),
    "medspark clean, by Spark": partial(with_medspark, "spark"),
    "spark.read.csv, PERMISSIVE": with_spark_csv,
    "DuckDB read_csv, store_rejects": with_duckdb,
    "pandas.read_csv": with_pandas,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=1, help="the same rows so many times, with other keys")
    arguments = parser.parse_args()
    spark = start_session("benchmark of cleaning")
    with tempfile.TemporaryDirectory() as folder:
        planted = write_hospital(spark, folder, arguments.patients, seed=0)
        os.environ["MEDSPARK_SYNTH"] = folder
        task = load_task(Path(__file__).parent.parent / "conf" / "tasks" / "readmission-synthetic.yaml")
        repeat_rows(Path(folder) / "flat" / "admissions", arguments.times)
        rows = planted["flat"]["admissions"]["rows"] * arguments.times
        seconds: dict[str, list[tuple[float, float]]] = {}
        kept: dict[str, int] = {}
        for name, way in WAYS.items():
            for _ in range(2):
                start, cpu = time.perf_counter(), cpu_seconds(os.getpid())
                kept[name] = way(spark, task, folder)
                took = (time.perf_counter() - start, cpu_seconds(os.getpid()) - cpu)
                seconds.setdefault(name, []).append(took)
        show(rows, seconds, kept)


def repeat_rows(folder: Path, times: int) -> None:
    """Write each file's rows so many times, each time with other keys in the first column."""
    for part in folder.glob("part-*"):
        header, *lines = part.read_bytes().splitlines(keepends=True)
        keys = [line.partition(b",") for line in lines]
        with part.open("wb") as file:
            file.write(header)
            for turn in range(times):
                file.writelines(b"%d%s,%s" % (turn + 1, key.zfill(12), rest) if rest else key for key, _, rest in keys)
        part.with_name(f".{part.name}.crc").unlink(missing_ok=True)


def show(rows: int, seconds: dict[str, list[tuple[float, float]]], kept: dict[str, int]) -> None:
    names = ("way", "cold s", "warm s", "warm rows/s", "this / workers, warm", "CPU s", "this / workers, CPU")
    ours = next(iter(seconds.values()))[1]
    table = Table(*names, "rows accounted for")
    for name, (cold, warm) in seconds.items():
        table.add_row(
            name,
            f"{cold[0]:.1f}",
            f"{warm[0]:.1f}",
            f"{rows / warm[0]:,.0f}",
            f"{warm[0] / ours[0]:.2f}",
            f"{warm[1]:.1f}",
            f"{warm[1] / ours[1]:.2f}",
            f"{kept[name]:,} of {rows:,}",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
