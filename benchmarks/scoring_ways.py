"""The ways to score: medspark, what else there is for Spark, and the limit. Each gives a function that scores once."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scoring_place import bundle_of, names_of, tensors_of, widths_of

BATCH = 10_000
"""Rows of a batch of the peers: their best, of 1,000, 10,000 and 100,000."""


def session(cores: int) -> Any:
    """The session that a notebook would start, with Arrow batches as large as medspark's."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{cores}]").appName("peer").config("spark.driver.memory", "4g")
    builder = builder.config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    return builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH)).getOrCreate()


def medspark(reader: str) -> Callable[[Path, int], Callable[[Path], str]]:
    def way(place: Path, cores: int) -> Callable[[Path], str]:
        from rich.console import Console

        from medspark.bundles.bundle import load_bundle
        from medspark.runs.receipt import Receipt
        from medspark.runs.run import Run
        from medspark.spark.session import start_context
        from medspark.stages.score import score_tensors_stage

        context = start_context("medspark", light=reader == "auto")
        quiet = Console(quiet=True)

        def score(out: Path) -> str:
            run = Run(context, str(out), quiet, Receipt("score", out.name, {}), quiet)
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
        from medspark.score.worker.engine import litert_engine

        engine = litert_engine(model_file)
        kinds = {name: np.float32 if name == "numeric" else np.int32 for name in names}

        def predict(*inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
            given = zip(names, inputs, strict=True)
            return risk(engine({name: array.astype(kinds[name], copy=False) for name, array in given}))

        return with_inputs(predict, names)

    shapes = [[width] for width in widths_of(place).values()]
    return predict_batch_udf(make_predict, return_type=DoubleType(), batch_size=BATCH, input_tensor_shapes=shapes)


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

    import pyarrow.parquet as pq

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
    from medspark.score.worker.engine import litert_engine

    LOADED["engine"] = litert_engine(Path(network))


def limit_scores(task: tuple[str, int, list[str], str]) -> None:
    import pyarrow.parquet as pq

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
