"""Encode a frame of cases in Spark: the encoder's Arrow function over every partition."""

from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DoubleType,
    FloatType,
    IntegerType,
    StructField,
    StructType,
)

from medspark.encode.kinds.events import SequenceStatistics
from medspark.encode.statistics import Statistics, from_json, to_json
from medspark.encode.worker.encoder import encode_batches
from medspark.schemas import CASE_ID, MISSING_SHARE, NEWEST_EVENT, SPLIT, TARGET_TYPES, TENSOR_TYPES, quoted
from medspark.spark.arrow import map_batches

_TYPES: Final[Mapping[str, DataType]] = {
    "float32": ArrayType(FloatType(), containsNull=False),
    "int32": ArrayType(IntegerType(), containsNull=False),
    "uint8": BinaryType(),
}
ROW_GROUP_BYTES = 32 * 2**20
KEYS = tuple(TENSOR_TYPES)


def encode_cases(cases: DataFrame, statistics: Statistics) -> DataFrame:
    """Cases to tensors: their keys, what is known of the outcome, the share that is missing, then one array column for
    each network input."""
    keys = (*KEYS, *(name for name in (*TARGET_TYPES, NEWEST_EVENT) if name in cases.columns))
    schema = tensors_schema({key: cases.schema[key].dataType for key in keys}, statistics)
    text = to_json(statistics)

    def apply(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return encode_batches(batches, from_json(text), keys)

    columns = [*keys, *(name for name in statistics.columns() if name not in keys)]
    return map_batches(cases.select(*map(quoted, columns)), apply, schema)


def encode_excerpts(excerpts: DataFrame, sequence: SequenceStatistics) -> DataFrame:
    """Excerpts of histories to the inputs of their sequence alone, one array column for each."""
    alone = Statistics(cases=0, numeric=(), categorical=(), codes=(), sequences=(sequence,))
    text = to_json(alone)

    def apply(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return encode_batches(batches, from_json(text), ())

    return map_batches(excerpts, apply, tensors_schema({}, alone))


def tensors_schema(keys: dict[str, DataType], statistics: Statistics) -> StructType:
    """The columns of tensors. No number in a list is ever null, which spares readers a third of their work."""
    inputs = {found.name: _TYPES[found.dtype] for found in statistics.inputs()}
    missing = {MISSING_SHARE: DoubleType()} if keys else {}
    return StructType([StructField(name, kind) for name, kind in (keys | missing | inputs).items()])


def tensors_options(statistics: Statistics) -> dict[str, str]:
    """How tensors are written: numbers that hardly repeat gain nothing from a dictionary or from strong compression.

    Read back, they take half the time that Spark's defaults take (benchmarks/scoring.py); a row group is what a
    worker reads.
    """
    leaves = [f.name if f.dtype == "uint8" else f"{f.name}.list.element" for f in statistics.inputs()]
    plain = {f"parquet.enable.dictionary#{leaf}": "false" for leaf in leaves}
    return {"compression": "lz4_raw", "parquet.block.size": str(ROW_GROUP_BYTES), **plain}


def in_training_order(tensors: DataFrame, files: int) -> DataFrame:
    """In the order of a hash of the case, the same for the same cases: one shuffle, and training reads file by file."""
    place = F.xxhash64(CASE_ID)
    return tensors.repartition(files, place).sortWithinPartitions(SPLIT, place)
