"""What all ways to score share: a place with one Parquet and one network, made up, as medspark writes them."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MIXED, LARGE = "mixed", "large"
LEVELS, CATEGORIES, CODES, BAG = 12, 8, 500, 16
INPUTS = ("numeric", "categories", "codes_diagnoses")


def prepare(place: Path, inputs: str, rows: int) -> None:
    """A bundle, and a store with its tensors as `medspark encode` writes them."""
    from medspark.bundles.bundle import load_bundle
    from medspark.score.checksums import sums_of_files
    from medspark.score.serve import statistics_digest
    from medspark.spark.session import start_session
    from medspark.store.facts import TensorsFacts, write_facts
    from medspark.store.tables import publish

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write_bundle(place, inputs)
    bundle = load_bundle(bundle_of(place))
    spark = start_session("prepare")
    version = "benchmark"
    tensors = str(place / "store" / "tensors" / version)
    write_tensors(spark, tensors, made_statistics(inputs), rows)
    sums = sums_of_files(spark.sparkContext, tensors)
    facts = TensorsFacts(statistics_digest(bundle), rows, version, files=sums)
    write_facts(spark.sparkContext, tensors, facts)
    publish(spark.sparkContext, str(place / "store"), ["tensors"], version)
    (place / "ready").touch()


def bundle_of(place: Path) -> Path:
    (bundle,) = (path for path in (place / "bundles").iterdir() if not path.name.startswith("."))
    return bundle


def numbers_of(inputs: str) -> int:
    return 64 if inputs in (MIXED, LARGE) else int(inputs)


def made_statistics(inputs: str) -> Any:
    """What a training run would have fitted."""
    from medspark.encode.kinds.base import KNOTS
    from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
    from medspark.encode.statistics import Statistics

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
    from medspark.bundles.bundle import (
        CALIBRATION,
        KERAS,
        LITERT,
        METRICS,
        REPORT,
        SCHEMA,
        STATISTICS,
        TASK,
        save_bundle,
    )
    from medspark.encode.statistics import to_json
    from medspark.score.worker.calibration import Calibration
    from medspark.task.load import check_task
    from medspark.task.tasks import dump_task
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
        if export_litert(network, folder / LITERT, draw(fitted, 0, 2000)).difference is None:
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

    keras.utils.set_random_seed(0)
    inputs, parts = {}, []
    for found in fitted.inputs():
        part = inputs[found.name] = keras.Input((found.width,), dtype=found.dtype, name=found.name)
        if found.dtype == "int32":
            vectors = keras.layers.Embedding(found.size, 6 if found.part == "categories" else 24)(part)
            pool = keras.layers.Flatten() if found.part == "categories" else keras.layers.GlobalAveragePooling1D()
            parts.append(pool(vectors))
        else:
            parts.append(part)
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for width in widths:
        hidden = keras.layers.Dense(width, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def draw(fitted: Any, seed: int, rows: int) -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {
        found.name: rng.integers(0, found.size, (rows, found.width), np.int32)
        if found.dtype == "int32"
        else rng.standard_normal((rows, found.width), np.float32)
        for found in fitted.inputs()
    }


def write_tensors(spark: Any, path: str, fitted: Any, rows: int) -> None:
    """Random tensors with their keys, by the writer and with the options that `medspark encode` has."""
    from pyspark.sql import types

    from medspark.encode.apply import tensors_options, tensors_schema
    from medspark.encode.worker.encoder import as_list

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
            columns.append(pa.repeat(0.0, len(ids)))  # nothing is missing
            arrays = [as_list(made[name]) for name in names]
            yield pa.RecordBatch.from_arrays([*columns, *arrays], names=schema.fieldNames())

    frame = spark.range(0, rows, 1, max(2, rows // 1_000_000)).mapInArrow(make, schema)
    frame.write.options(**tensors_options(fitted)).parquet(path)


def tensors_of(place: Path) -> str:
    return str(place / "store" / "tensors" / "benchmark")


def names_of(place: Path) -> list[str]:
    import pyarrow.parquet as pq  # not above: the workers of the ways import this file

    return [name for name in pq.read_schema(next(Path(tensors_of(place)).glob("*.parquet"))).names if name in INPUTS]


def widths_of(place: Path) -> dict[str, int]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(next(Path(tensors_of(place)).glob("*.parquet")))
    row = next(file.iter_batches(1, columns=names_of(place)))
    return {name: len(row.column(name)[0]) for name in names_of(place)}
