"""Scoring at scale: medspark beside the other ways to run a Keras network over Parquet with Spark, and the limit.

    python benchmarks/scoring.py                                  2 million rows, 64 numbers a row: the main table
    python benchmarks/scoring.py --inputs 16 64 256 mixed         other shapes; mixed has numbers, categories and codes
    python benchmarks/scoring.py --inputs large --millions 0.02      51 million weights, 64 numbers a row
    python benchmarks/scoring.py --millions 1 2 4 8 --ways medspark medspark-spark limit       how the time grows
    python benchmarks/scoring.py --cores 1 2 --ways medspark limit                             and with the cores
    python benchmarks/scoring.py --millions 50 --ways medspark    takes 13 GB of disk

All read the same Parquet, which medspark's writer made, and run the same network. Each way is a process of its own.
Cold is from the start of that process to its output whole on disk, warm the same work again in the same session, the
median of the repetitions. CPU is of the process and all below it during a warm run; memory the most that one Python
worker ever had resident. The limit is as many plain processes as cores, pyarrow and LiteRT, no Spark and nobody to
count; it writes as much as the peers do, a key and a probability, where medspark writes all columns of `scores`.
"""

import argparse
import inspect
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from processes import cpu_seconds, peak_of_workers, proportional_memory

MEDSPARK = Path(sys.executable).parent / "medspark"
SETTINGS = {"MEDSPARK_DRIVER_MEMORY": "4g", "TF_CPP_MIN_LOG_LEVEL": "3"}
MIXED, LARGE = "mixed", "large"
LEVELS, CATEGORIES, CODES, BAG = 12, 8, 500, 16
BATCH = 10_000
"""Rows of a batch of the peers: their best, of 1,000, 10,000 and 100,000."""


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


# ---------------------------------------------------------------- the same Parquet and network for all


def prepare(place: Path, inputs: str, rows: int) -> None:
    """A bundle, and a store with its tensors as `medspark encode` writes them."""
    from medspark.bundle import load_bundle
    from medspark.session import start_session
    from medspark.stages.run import write_facts
    from medspark.stages.tensors import statistics_digest
    from medspark.tables import publish

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write_bundle(place, inputs)
    bundle = load_bundle(bundle_of(place))
    spark = start_session("prepare")
    version = "benchmark"
    tensors = str(place / "store" / "tensors" / version)
    write_tensors(spark, tensors, made_statistics(inputs), rows)
    write_facts(spark, tensors, {"statistics": statistics_digest(bundle), "rows": rows, "fingerprint": version})
    publish(spark, str(place / "store"), ["tensors"], version)
    (place / "ready").touch()


def bundle_of(place: Path) -> Path:
    (bundle,) = (path for path in (place / "bundles").iterdir() if not path.name.startswith("."))
    return bundle


def numbers_of(inputs: str) -> int:
    return 64 if inputs in (MIXED, LARGE) else int(inputs)


def made_statistics(inputs: str) -> Any:
    """What a training run would have fitted."""
    from medspark.encode.statistics import (
        KNOTS,
        CategoricalStatistics,
        CodesStatistics,
        NumericStatistics,
        Statistics,
    )

    numeric = tuple(
        NumericStatistics(
            column=f"n{at}",
            scaling="standard",
            center=0.0,
            scale=1.0,
            knots=KNOTS,
            impute=0.0,
            missing_indicator=False,
            mean=0.0,
            sd=1.0,
            missing_share=0.0,
        )
        for at in range(numbers_of(inputs))
    )
    mixed = inputs == MIXED
    levels = tuple(f"level {at}" for at in range(LEVELS))
    categorical = tuple(
        CategoricalStatistics(column=f"c{at}", levels=levels, counts=(1,) * LEVELS, rare=0, missing_share=0.0)
        for at in range(CATEGORIES if mixed else 0)
    )
    codes = CodesStatistics(
        name="diagnoses",
        columns=tuple(f"d{at}" for at in range(BAG)),
        codes=tuple(f"{at:04d}" for at in range(CODES)),
        counts=(1,) * CODES,
        rare=0,
        missing_share=0.0,
    )
    return Statistics(cases=1, numeric=numeric, categorical=categorical, codes=(codes,) if mixed else ())


def write_bundle(place: Path, inputs: str) -> None:
    from medspark.bundle import CALIBRATION, KERAS, LITERT, METRICS, REPORT, SCHEMA, STATISTICS, TASK, save_bundle
    from medspark.encode.statistics import to_json
    from medspark.evaluate.calibration import Calibration
    from medspark.task import dump_task
    from medspark.task_checks import check_task
    from medspark.train.export import export_litert

    fitted = made_statistics(inputs)
    columns = {feature.column: {"type": "double"} for feature in fitted.numeric}
    columns |= {feature.column: {"type": "string"} for feature in fitted.categorical}
    columns |= {column: {"type": "string"} for bag in fitted.codes for column in bag.columns}
    features: dict[str, Any] = {"numeric": [feature.column for feature in fitted.numeric]}
    if inputs == MIXED:
        features["categorical"] = [feature.column for feature in fitted.categorical]
        features["codes"] = {"diagnoses": {"from": list(fitted.codes[0].columns)}}
    task, problems = check_task(
        {
            "task": "scoring",
            "title": "Scoring at scale",
            "source": {"kind": "table", "path": "unset", "format": "parquet", "case": "id", "subject": "subject"},
            "columns": {"id": {"type": "long"}, "subject": {"type": "long"}, "y": {"type": "boolean"}, **columns},
            "outcome": {"name": "y", "when": "y"},
            "features": features,
            "risk_bands": {"raised": 0.4, "high": 0.6},
        }
    )
    if task is None:
        sys.exit(f"the benchmark's task is wrong: {problems}")

    def fill(folder: Path) -> dict[str, Any]:
        network = made_network(fitted, (8192, 6144) if inputs == LARGE else (128, 64))
        network.save(folder / KERAS)
        if export_litert(network, folder / LITERT, draw(fitted, 0, 2000)) is None:
            sys.exit("LiteRT does not serve the benchmark's network")
        texts = {TASK: dump_task(task), STATISTICS: to_json(fitted), SCHEMA: "{}", METRICS: "{}", REPORT: "<html/>"}
        texts[CALIBRATION] = json.dumps(Calibration(method="none").to_dict())
        for name, text in texts.items():
            (folder / name).write_text(text)
        return {"created_at": "benchmark"}

    save_bundle(place / "bundles", fill)


def made_network(fitted: Any, widths: tuple[int, ...]) -> Any:
    """Hidden layers of some widths; embeddings of 6 and 24 for categories and codes."""
    import keras

    from medspark.encode.statistics import dtype_of

    keras.utils.set_random_seed(0)
    inputs = {name: keras.Input((width,), dtype=dtype_of(name), name=name) for name, width in fitted.widths().items()}
    sizes, parts = fitted.sizes(), []
    for name, part in inputs.items():
        if dtype_of(name) == "int32":
            vectors = keras.layers.Embedding(sizes[name], 6 if name == "categories" else 24)(part)
            pool = keras.layers.Flatten() if name == "categories" else keras.layers.GlobalAveragePooling1D()
            parts.append(pool(vectors))
        else:
            parts.append(part)
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for width in widths:
        hidden = keras.layers.Dense(width, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def draw(fitted: Any, seed: int, rows: int) -> dict[str, npt.NDArray[Any]]:
    from medspark.encode.statistics import dtype_of

    rng = np.random.default_rng(seed)
    sizes = fitted.sizes()
    return {
        name: rng.integers(0, sizes[name], (rows, width), np.int32)
        if dtype_of(name) == "int32"
        else rng.standard_normal((rows, width), np.float32)
        for name, width in fitted.widths().items()
    }


def write_tensors(spark: Any, path: str, fitted: Any, rows: int) -> None:
    """Random tensors with their keys, by the writer and with the options that `medspark encode` has."""
    from pyspark.sql import types

    from medspark.encode.apply import tensors_options, tensors_schema
    from medspark.encode.encoder import as_list

    names = fitted.widths()
    keys = {"case_id": types.LongType(), "subject_id": types.LongType(), "prediction_time": types.TimestampType()}
    keys |= {"split": types.StringType(), "boolean_value": types.BooleanType()}
    schema = tensors_schema(keys, fitted)

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = batch.column(0)
            if not len(ids):
                continue
            made = draw(fitted, ids[0].as_py(), len(ids))
            time_ = pa.repeat(pa.scalar(1_700_000_000_000_000, pa.int64()), len(ids)).cast(pa.timestamp("us", "UTC"))
            columns = [ids, ids, time_, pa.repeat("test", len(ids)), pa.nulls(len(ids), pa.bool_())]
            arrays = [as_list(made[name]) for name in names]
            yield pa.RecordBatch.from_arrays([*columns, *arrays], names=[*keys, *names])

    frame = spark.range(0, rows, 1, max(2, rows // 1_000_000)).mapInArrow(make, schema)
    frame.write.options(**tensors_options(fitted)).parquet(path)


# ---------------------------------------------------------------- the ways


def session(cores: int) -> Any:
    """The session that a notebook would start, with Arrow batches as large as medspark's."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{cores}]").appName("peer").config("spark.driver.memory", "4g")
    builder = builder.config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    return builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH)).getOrCreate()


def tensors_of(place: Path) -> str:
    return str(place / "store" / "tensors" / "benchmark")


def names_of(place: Path) -> list[str]:
    return [name for name in pq.read_schema(next(Path(tensors_of(place)).glob("*.parquet"))).names if name in INPUTS]


INPUTS = ("numeric", "categories", "codes_diagnoses")


def medspark(reader: str) -> Callable[[Path, int], Callable[[Path], str]]:
    def way(place: Path, cores: int) -> Callable[[Path], str]:
        from rich.console import Console

        from medspark.bundle import load_bundle
        from medspark.receipt import Receipt
        from medspark.session import start_session
        from medspark.stages import Run, score_tensors_stage

        spark = start_session("medspark")
        quiet = Console(quiet=True)

        def score(out: Path) -> str:
            run = Run(spark, str(out), quiet, Receipt("score", out.name, {}), quiet)
            score_tensors_stage(run, load_bundle(bundle_of(place)), str(place / "store"), reader=reader)
            return run.receipt.outputs["scores"]

        return score

    return way


def through_udf(make_udf: Callable[[Any, Path], Any]) -> Callable[[Path, int], Callable[[Path], str]]:
    """A peer: a UDF over the inputs' columns, and Spark's own reader and writer."""

    def way(place: Path, cores: int) -> Callable[[Path], str]:
        spark = session(cores)

        def score(out: Path) -> str:
            udf = make_udf(spark, place)
            frame = spark.read.parquet(tensors_of(place))
            scored = frame.select("case_id", udf(*names_of(place)).alias("probability"))
            scored.write.parquet(str(out))
            return str(out)

        return score

    return way


def risk(logit: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return 1 / (1 + np.exp(-np.asarray(logit, np.float64).reshape(-1)))


def documented(spark: Any, place: Path) -> Any:
    """predict_batch_udf as its documentation shows it: the Keras model, loaded by each worker, and model.predict."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import DoubleType

    model_file, names = str(bundle_of(place) / "model.keras"), names_of(place)

    def make_predict() -> Callable[..., npt.NDArray[Any]]:
        import keras

        model = keras.saving.load_model(model_file, compile=False)

        def predict(*inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return risk(model.predict(dict(zip(names, inputs, strict=True)), verbose=0))

        return with_inputs(predict, names)

    shapes = [[width] for width in widths_of(place).values()]
    return predict_batch_udf(make_predict, return_type=DoubleType(), batch_size=BATCH, input_tensor_shapes=shapes)


def with_inputs(predict: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """The function with a signature that says how many inputs there are, which predict_batch_udf looks at."""
    one = inspect.Parameter.POSITIONAL_OR_KEYWORD
    predict.__signature__ = inspect.Signature([inspect.Parameter(name, one) for name in names])  # type: ignore[attr-defined]
    return predict


def tuned(spark: Any, place: Path) -> Any:
    """predict_batch_udf with medspark's LiteRT engine."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import DoubleType

    model_file, names = bundle_of(place) / "model.tflite", names_of(place)

    def make_predict() -> Callable[..., npt.NDArray[Any]]:
        from medspark.score.engine import litert_engine

        engine = litert_engine(model_file)
        kinds = {name: np.float32 if name == "numeric" else np.int32 for name in names}

        def predict(*inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
            given = zip(names, inputs, strict=True)
            return risk(engine({name: array.astype(kinds[name], copy=False) for name, array in given}))

        return with_inputs(predict, names)

    shapes = [[width] for width in widths_of(place).values()]
    return predict_batch_udf(make_predict, return_type=DoubleType(), batch_size=BATCH, input_tensor_shapes=shapes)


def widths_of(place: Path) -> dict[str, int]:
    file = pq.ParquetFile(next(Path(tensors_of(place)).glob("*.parquet")))
    row = next(file.iter_batches(1, columns=names_of(place)))
    return {name: len(row.column(name)[0]) for name in names_of(place)}


def iterator(spark: Any, place: Path) -> Any:
    """An iterator of pandas batches over broadcast weights, as Spark's guide to pandas UDFs and its users have it."""
    import keras
    import pandas as pd
    from pyspark.sql.functions import pandas_udf

    model = keras.saving.load_model(bundle_of(place) / "model.keras", compile=False)
    shared = spark.sparkContext.broadcast((model.to_json(), model.get_weights()))
    names = names_of(place)

    def load() -> Any:
        import keras

        text, weights = shared.value
        built = keras.models.model_from_json(text)
        built.set_weights(weights)
        return built

    def inputs_of(columns: Any) -> dict[str, npt.NDArray[Any]]:
        return {name: np.stack(column.to_numpy()) for name, column in zip(names, columns, strict=True)}

    if len(names) == 1:

        def alone(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
            built = load()
            for column in batches:
                given = inputs_of([column])
                yield pd.Series(risk(built.predict(given, batch_size=len(column), verbose=0)))

        alone.__annotations__ = {"batches": Iterator[pd.Series], "return": Iterator[pd.Series]}
        return pandas_udf(alone, "double")

    def several(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.Series]:
        built = load()
        for columns in batches:
            yield pd.Series(risk(built.predict(inputs_of(columns), batch_size=len(columns[0]), verbose=0)))

    several.__annotations__ = {"batches": Iterator[tuple[pd.Series, ...]], "return": Iterator[pd.Series]}
    return pandas_udf(several, "double")


def mlflow_udf(spark: Any, place: Path) -> Any:
    """mlflow.pyfunc.spark_udf over a model that was saved with its Keras network."""
    import mlflow
    import pandas as pd

    names = names_of(place)

    class Network(mlflow.pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            import keras

            self.model = keras.saving.load_model(context.artifacts["network"], compile=False)

        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
            given = {name: np.stack(model_input[name].to_numpy()) for name in names}
            return risk(self.model.predict(given, batch_size=len(model_input), verbose=0))

    saved = place / "mlflow"
    if not saved.exists():
        network = str(bundle_of(place) / "model.keras")
        mlflow.pyfunc.save_model(
            str(saved), python_model=Network(), artifacts={"network": network}, pip_requirements=[]
        )
    udf = mlflow.pyfunc.spark_udf(spark, str(saved), result_type="double", env_manager="local")
    from pyspark.sql import functions as F

    return lambda *columns: udf(F.struct(*columns))


def limit(place: Path, cores: int) -> Callable[[Path], str]:
    """As many plain processes as cores, each with its share of the row groups; no Spark, and no one to count."""
    import multiprocessing

    files = sorted(Path(tensors_of(place)).glob("*.parquet"))
    groups = [(str(file), at) for file in files for at in range(pq.read_metadata(file).num_row_groups)]
    context = multiprocessing.get_context("spawn")
    pool = context.Pool(cores, initializer=limit_loads, initargs=(str(bundle_of(place) / "model.tflite"),))

    def score(out: Path) -> str:
        out.mkdir()
        names = names_of(place)
        tasks = [(file, at, names, str(out / f"{place_}.parquet")) for place_, (file, at) in enumerate(groups)]
        pool.map(limit_scores, tasks, chunksize=1)
        return str(out)

    return score


LOADED: dict[str, Any] = {}


def limit_loads(network: str) -> None:
    from medspark.score.engine import litert_engine

    LOADED["engine"] = litert_engine(Path(network))


def limit_scores(task: tuple[str, int, list[str], str]) -> None:
    file, group, names, out = task
    keys, found = [], []
    with pq.ParquetFile(file) as source:
        for batch in source.iter_batches(32_768, row_groups=[group], columns=["case_id", *names], use_threads=False):
            columns = {name: batch.column(name).flatten().to_numpy() for name in names}
            keys.append(batch.column("case_id"))
            found.append(
                risk(LOADED["engine"]({name: flat.reshape(batch.num_rows, -1) for name, flat in columns.items()}))
            )
    table = pa.table({"case_id": pa.chunked_array(keys), "probability": np.concatenate(found)})
    pq.write_table(table, out, compression="zstd", use_dictionary=False)


WAYS: dict[str, Callable[[Path, int], Callable[[Path], str]]] = {
    "medspark": medspark("auto"),
    "medspark-spark": medspark("spark"),
    "limit": limit,
    "predict_batch_udf-tuned": through_udf(tuned),
    "iterator-pandas_udf": through_udf(iterator),
    "mlflow-spark_udf": through_udf(mlflow_udf),
    "predict_batch_udf-documented": through_udf(documented),
}
SLOW = ("iterator-pandas_udf", "mlflow-spark_udf", "predict_batch_udf-documented")


if __name__ == "__main__":
    main()
