"""How long raw CSV to scores takes, beside spark.read.csv with predict_batch_udf and pandas with Keras, in one run.

    python benchmarks/raw_to_score.py --patients 5000 --times 4

All run one network, trained here on the rows before they are repeated. The peers read with the declared types, encode
with medspark's own function, and write a key and a probability; they judge no value, and neither keep nor count what
they could not read. Each way runs twice in one session: the first time is cold, the second warm.
"""

import argparse
import inspect
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from clean import repeat_rows
from processes import cpu_seconds
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from medspark.bundles.bundle import load_bundle
from medspark.clean.typed_values import read_column
from medspark.encode.statistics import from_json
from medspark.encode.worker.encoder import encode
from medspark.runs.chosen import Asked
from medspark.runs.receipt import Receipt
from medspark.runs.run import Run
from medspark.schemas import quoted
from medspark.score.by_spark import count_by
from medspark.spark.session import start_session
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.score import score_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table
from medspark.synth.write import write_hospital
from medspark.task.load import load_task
from medspark.task.table_task import TableTask
from medspark.task.training import Gates

BATCH = 10_000
ARROW = {"bigint": pa.float64(), "int": pa.float64(), "double": pa.float64()}


def run_in(spark: SparkSession, store: str) -> Run:
    quiet = Console(quiet=True)
    return Run(spark.sparkContext, store, quiet, Receipt("benchmark", Path(store).name, {}), quiet)


def with_medspark(reader: Asked, spark: SparkSession, task: TableTask, bundle: str, out: str) -> int:
    run = run_in(spark, f"{out}/{reader}-{time.monotonic_ns()}")
    score_stage(run, load_bundle(bundle), task.source.path, reader=reader)
    rejected = count_by(spark, run.receipt.outputs["rejected"], "reason")
    return read_table(spark, run.store, "scores").count() + sum(rejected.values())


# ---------------------------------------------------------------- the peers


def types_of(task: TableTask) -> dict[str, str]:
    table = task.raw_table()
    return {name: read_column(name, "string", table).kind.dtype for name in table.columns}


def risks(bundle: str, types: dict[str, str]) -> tuple[list[str], Callable[..., npt.NDArray[Any]]]:
    """The columns that the network reads, and what makes probabilities of them."""
    import keras

    statistics = from_json(Path(bundle, "statistics.json").read_text())
    model = keras.saving.load_model(f"{bundle}/model.keras", compile=False)
    names = list(statistics.columns())

    def predict(*columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
        kinds = [ARROW.get(types[name], pa.string()) for name in names]
        arrays = [pa.array(column, kind, from_pandas=True) for column, kind in zip(columns, kinds, strict=True)]
        tensors = encode(pa.RecordBatch.from_arrays(arrays, names=names), statistics)
        logit = np.asarray(model.predict(tensors, batch_size=1024, verbose=0), np.float64)[:, 0]
        return np.asarray(1 / (1 + np.exp(-logit)))

    return names, predict


def with_batch_udf(spark: SparkSession, task: TableTask, bundle: str, out: str) -> int:
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import DoubleType

    types = types_of(task)
    names = list(from_json(Path(bundle, "statistics.json").read_text()).columns())

    def make_predict() -> Callable[..., npt.NDArray[Any]]:
        _, predict = risks(bundle, types)
        one = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(f"x{at}", one) for at in range(len(names))]
        predict.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return predict

    schema = ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())
    frame = spark.read.csv(task.source.path, schema=schema, header=True, escape='"', mode="PERMISSIVE")
    udf = predict_batch_udf(make_predict, return_type=DoubleType(), batch_size=BATCH)
    scored = frame.select(F.col(quoted(task.source.case)), udf(*map(quoted, names)).alias("probability"))
    scored.write.mode("overwrite").parquet(f"{out}/udf")
    return spark.read.parquet(f"{out}/udf").where(F.col(quoted(task.source.case)).isNotNull()).count()


def with_pandas(_: SparkSession, task: TableTask, bundle: str, out: str) -> int:
    types = types_of(task)
    names, predict = risks(bundle, types)
    parts = sorted(Path(task.source.path).glob("part-*"))
    frame = pd.concat([pd.read_csv(part, on_bad_lines="skip", encoding_errors="replace", dtype=str) for part in parts])
    columns = [pd.to_numeric(frame[name], errors="coerce") if types[name] in ARROW else frame[name] for name in names]
    found = frame[[task.source.case]].assign(probability=predict(*(column.to_numpy() for column in columns)))
    found.to_parquet(f"{out}/pandas.parquet")
    return len(found)


WAYS: dict[str, Callable[[SparkSession, TableTask, str, str], int]] = {
    "medspark, by workers": partial(with_medspark, "workers"),
    "medspark, by Spark": partial(with_medspark, "spark"),
    "spark.read.csv + predict_batch_udf": with_batch_udf,
    "pandas + Keras": with_pandas,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=5_000)
    parser.add_argument("--times", type=int, default=1, help="the same rows so many times, with other keys")
    parser.add_argument("--bundle", help="of conf/tasks/readmission-synthetic.yaml; without it one is trained first")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    arguments = parser.parse_args()
    spark = start_session("benchmark from raw to score")
    with tempfile.TemporaryDirectory() as folder:
        planted = write_hospital(spark, folder, arguments.patients, seed=0)
        os.environ["MEDSPARK_SYNTH"] = folder
        task = load_task(Path(__file__).parent.parent / "conf" / "tasks" / "readmission-synthetic.yaml")
        assert isinstance(task, TableTask)
        bundle = arguments.bundle or trained(spark, task, f"{folder}/store")
        repeat_rows(Path(folder) / "flat" / "admissions", arguments.times)
        rows = planted["flat"]["admissions"]["rows"] * arguments.times
        print(f"{rows:,} rows", flush=True)
        measure(spark, task, bundle, folder, rows, arguments.ways)


def trained(spark: SparkSession, task: TableTask, store: str) -> str:
    quick = task.model_copy(update={"gates": Gates(), "training": task.training.model_copy(update={"epochs": 2})})
    run = run_in(spark, store)
    frozen = clean_stage(run, quick)
    features_stage(run, frozen)
    return str(train_stage(run, frozen))


def measure(spark: SparkSession, task: TableTask, bundle: str, folder: str, rows: int, ways: list[str]) -> None:
    names = ("way", "cold s", "warm s", "warm rows/s", "this / workers, warm", "CPU s", "this / workers, CPU")
    table = Table(*names, "rows accounted for")
    ours: tuple[float, float] | None = None
    for name in ways:
        took = []
        for _ in range(2):
            start, cpu = time.perf_counter(), cpu_seconds(os.getpid())
            kept = WAYS[name](spark, task, bundle, folder)
            took.append((time.perf_counter() - start, cpu_seconds(os.getpid()) - cpu))
        (cold, _), (warm, busy) = took
        ours = ours or (warm, busy)
        figures = (f"{cold:.1f}", f"{warm:.1f}", f"{rows / warm:,.0f}", f"{warm / ours[0]:.2f}", f"{busy:.1f}")
        table.add_row(name, *figures, f"{busy / ours[1]:.2f}", f"{kept:,} of {rows:,}")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
